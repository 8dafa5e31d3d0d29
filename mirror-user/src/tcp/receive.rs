//! What one segment does to its connection (RFC 9293 §3.10.7, as an observer sees it).

use super::contest::Syn;
use super::event::CloseReason;
use super::flow::{Acked, Desk, Flow, Opening, State};
use super::key::End;
use super::limits::{MAX_ACK_AHEAD, STRAYS_TO_MOVE};
use super::roles;
use super::stats::{Dropped, Fate, GapReason};
use super::waiting::Piece;
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment};

impl Flow {
    /// True for the in-order segment of a connection without trouble, which is nearly every one.
    #[inline]
    pub(super) fn expects(&self, segment: &Segment, from: End) -> bool {
        const ODD: u8 = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0 | Flags::URG.0;
        let half = &self.halves[from];
        self.state == State::Open
            && self.trouble.is_none()
            && segment.flags.0 & (ODD | Flags::ACK.0) == Flags::ACK.0
            && segment.seq == half.next
            && !segment.ack.is_after(self.halves[from.other()].next)
            && segment.cut == 0
            && half.seen
            && !half.fin
    }

    /// A segment that [`expects`](Self::expects) is true for.
    #[inline]
    pub(super) fn receive_expected(
        &mut self,
        segment: Segment,
        from: End,
        desk: &mut Desk<'_>,
    ) -> Fate {
        let half = &mut self.halves[from];
        let same_ack = std::mem::replace(&mut half.last_ack, segment.ack) == segment.ack;
        if segment.payload.is_empty() {
            return if same_ack { Fate::DuplicateAck } else { Fate::Ack };
        }
        half.next = half.next.advanced_by(segment.payload.len() as u32);
        self.tell_data(from, segment.payload, segment.at, desk);
        Fate::InOrder
    }

    /// Any segment.
    pub(super) fn receive(&mut self, segment: Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        if segment.flags.contains(Flags::URG) {
            desk.stats.urgent += 1;
        }
        if self.state == State::Closed && !self.revived_by(&segment, from, desk) {
            desk.stats.drop_bytes(Dropped::AfterClose, segment.payload.len());
            return Fate::AfterClose;
        }
        self.confirm(&segment, from, desk);
        if segment.flags.contains(Flags::RST) {
            desk.stats.drop_bytes(Dropped::WithReset, segment.payload.len());
            return self.reset(&segment, from, desk);
        }
        if segment.flags.contains(Flags::SYN) {
            return self.synchronize(segment, from, desk);
        }
        if self.state == State::Translated {
            return self.pass_over(&segment, from, desk);
        }
        let fate = self.text(segment, from, desk);
        if !matches!(self.state, State::Closed | State::Translated) {
            if self.state == State::HalfOpen && self.halves.values().all(|h| h.seen) {
                self.state = State::Silent;
            }
            self.settle(desk);
            if self.halves.values().all(|h| h.fin) {
                self.close(CloseReason::Fin, desk);
            }
        }
        fate
    }

    /// Whether a segment on a closed connection begins another one: a SYN, bytes far from the old
    /// ones, or bytes of the very end that is said to have reset it (so that the RST was forged).
    fn revived_by(&mut self, segment: &Segment, from: End, desk: &Desk<'_>) -> bool {
        let half = &self.halves[from];
        let far =
            half.known && segment.seq.distance_from(half.next).unsigned_abs() > desk.limits.window;
        let goes_on = self.reset_by == Some(from) && segment.seq == half.next;
        let syn = segment.flags.contains(Flags::SYN) && !segment.flags.contains(Flags::RST);
        let repeated = half.opening != Opening::Unseen && segment.seq == half.isn;
        let revived = match syn {
            true => !repeated,
            false => !segment.payload.is_empty() && (far || goes_on),
        };
        if revived {
            self.forget();
        }
        revived
    }

    /// SYN and SYN-ACK, perhaps with payload (TCP Fast Open, RFC 7413). One that does not fit what is
    /// known changes nothing until something confirms it.
    fn synchronize(&mut self, mut segment: Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        let half = self.halves[from];
        let first = segment.seq.advanced_by(1);
        let answers = segment.flags.contains(Flags::ACK).then_some(segment.ack);
        let syn = Syn { end: from, isn: segment.seq, answers };
        if half.opening == Opening::Unseen {
            let late = half.known && half.next == first || self.is_acknowledged(&syn);
            if !late && (half.seen || self.state != State::HalfOpen) {
                return self.refuse_syn(&segment, syn, desk);
            }
            self.start(syn);
        } else if half.isn != segment.seq {
            return self.refuse_syn(&segment, syn, desk);
        }
        self.client.get_or_insert(if answers.is_some() { from.other() } else { from });
        if let Some(ack) = answers
            && self.state == State::HalfOpen
        {
            self.note_syn_ack(from, ack, desk);
        }
        if segment.payload.is_empty() {
            return Fate::Handshake;
        }
        segment.seq = first;
        segment.flags = Flags(segment.flags.0 & !Flags::SYN.0);
        if self.state == State::HalfOpen && self.halves[from].next == first {
            // It is the peer that accepts it.
            self.hold(from, Piece::of(segment), desk);
        } else {
            self.text(segment, from, desk);
            self.settle(desk);
        }
        Fate::Handshake
    }

    fn refuse_syn(&mut self, segment: &Segment, syn: Syn, desk: &mut Desk<'_>) -> Fate {
        self.contend(syn, desk);
        desk.stats.drop_bytes(Dropped::OutsideWindow, segment.payload.len());
        Fate::Handshake
    }

    /// True for the SYN that the other end's SYN-ACK acknowledges, however late it is seen.
    fn is_acknowledged(&self, syn: &Syn) -> bool {
        let half = &self.halves[syn.end];
        let answered = self.halves[syn.end.other()].opening == Opening::SynAck;
        !half.seen && half.known && answered && half.isn == syn.isn
    }

    /// What the first SYN-ACK acknowledges is where its peer begins, unless the peer's own SYN says
    /// otherwise.
    fn note_syn_ack(&mut self, from: End, ack: SeqNumber, desk: &mut Desk<'_>) {
        let peer = &mut self.halves[from.other()];
        if !peer.known {
            peer.isn = SeqNumber(ack.0.wrapping_sub(1));
            (peer.next, peer.known) = (ack, true);
        }
        let waiting = self.half_trouble(from.other()).and_then(|half| half.waiting.end());
        if waiting == Some(ack) {
            // It accepts the payload of the SYN.
            self.note_ack(from, ack, desk);
        }
    }

    /// Whether a RST fits: exactly the next byte (RFC 5961 §3.2), or one that is as good when the
    /// capture lacks something: where the peer has acknowledged to (Linux takes the number of its
    /// RST from there), or behind all that waits; or it refuses the peer's SYN.
    fn reset(&mut self, segment: &Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        let half = &self.halves[from];
        let peer = &self.halves[from.other()];
        let waiting = self.half_trouble(from);
        let fits = half.known && segment.seq == half.next
            || peer.seen && half.known && segment.seq == peer.last_ack
            || waiting.is_some_and(|h| h.waiting.end() == Some(segment.seq))
            || waiting.and_then(|h| h.acked).is_some_and(|acked| acked.upto == segment.seq)
            || !half.seen
                && segment.flags.contains(Flags::ACK)
                && peer.opening != Opening::Unseen
                && segment.ack == peer.next;
        if !fits {
            return Fate::ResetIgnored;
        }
        self.close(CloseReason::Reset, desk);
        self.reset_by = Some(from);
        Fate::Reset
    }

    /// Everything but SYN and RST: an acknowledgment, payload, FIN.
    fn text(&mut self, segment: Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        let first_payload = (from, segment.payload.as_ref());
        if self.client.is_none() && !segment.payload.is_empty() {
            let ports = &desk.limits.server_ports;
            self.client = Some(roles::client_end(&desk.birth.key, ports, Some(first_payload)));
        }
        if !segment.payload.is_empty()
            && !self.state.is_told()
            && self.is_translated(&segment, desk)
        {
            self.discard(from, Dropped::Translated, desk);
            self.discard(from.other(), Dropped::Translated, desk);
            self.trouble = None;
            self.state = State::Translated;
            return self.pass_over(&segment, from, desk);
        }
        let piece = Piece::of(segment);
        let ack = piece.ack;
        self.meet(from, &piece, desk);

        let half = &self.halves[from];
        let window = desk.limits.window.min(MAX_ACK_AHEAD.unsigned_abs()).cast_signed();
        let ahead = piece.start.distance_from(half.next);
        // What the peer acknowledged is where the stream is, however much the capture lost.
        let from_acked = self
            .half_trouble(from)
            .and_then(|h| h.acked)
            .map_or(ahead, |acked| piece.start.distance_from(acked.upto));
        if ahead < -window || (ahead > window && !(-window..=window).contains(&from_acked)) {
            return self.stray(from, piece, desk);
        }
        let last_ack = half.last_ack;
        if let Some(ack) = ack {
            self.note_ack(from, ack, desk);
        }
        match piece.span() {
            0 if ahead == -1 => Fate::KeepAlive,
            0 if ack == Some(last_ack) => Fate::DuplicateAck,
            0 => Fate::Ack,
            _ => self.take(from, piece, desk),
        }
    }

    /// Whether the first payload of a connection was just seen with other addresses.
    fn is_translated(&self, segment: &Segment, desk: &mut Desk<'_>) -> bool {
        let client = self.client.unwrap_or(End::Low);
        let port = desk.birth.key.address(client).port();
        desk.twins.is_copy(segment, port, desk.now)
    }

    /// Text of a connection that is read with other addresses.
    fn pass_over(&mut self, segment: &Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        desk.stats.drop_bytes(Dropped::Translated, segment.payload.len());
        let half = &mut self.halves[from];
        half.next = segment.seq.advanced_by(segment.payload.len() as u32);
        (half.known, half.seen) = (true, true);
        half.fin |= segment.flags.contains(Flags::FIN);
        if self.halves.values().all(|half| half.fin) {
            self.state = State::Closed;
        }
        Fate::Translated
    }

    /// Puts the stream of an end that was not heard before at its first segment, unless the
    /// peer's acknowledgments say that it begins a little earlier.
    fn meet(&mut self, from: End, piece: &Piece, desk: &Desk<'_>) {
        let half = &mut self.halves[from];
        let ahead = piece.start.distance_from(half.next);
        let probe = ahead == -1 && piece.span() <= 1;
        let fits = (0..=desk.limits.window.cast_signed()).contains(&ahead) || probe;
        // What it sends outweighs a number that only its peer told, when they are a window apart.
        let far = ahead.unsigned_abs() > desk.limits.window;
        if !half.known || (!half.seen && !fits && (piece.span() > 0 || far)) {
            half.next = piece.start;
        }
        (half.known, half.seen) = (true, true);
    }

    /// Remembers what `from` has got. When that was not seen, the capture lost it or has it later.
    fn note_ack(&mut self, from: End, ack: SeqNumber, desk: &mut Desk<'_>) {
        self.halves[from].last_ack = ack;
        let peer = self.halves[from.other()];
        if !peer.seen && !self.awaits(from.other()) {
            let peer = &mut self.halves[from.other()];
            if !peer.known || ack.is_after(peer.next) {
                peer.next = ack;
                peer.known = true;
            }
            return;
        }
        if let Some(trouble) = &mut self.trouble {
            for half in trouble.halves.values_mut() {
                if let Some(acked) = &mut half.acked {
                    acked.segments = acked.segments.saturating_add(1);
                }
            }
        }
        if !peer.fin && (1..=MAX_ACK_AHEAD).contains(&ack.distance_from(peer.next)) {
            let now = desk.now;
            let half = &mut self.trouble(desk).halves[from.other()];
            let acked = half.acked.get_or_insert(Acked { upto: ack, since: now, segments: 0 });
            if ack.is_after(acked.upto) {
                acked.upto = ack;
            }
        }
    }

    /// A segment outside the window. When several follow each other, the capture lost more than a
    /// window and the stream is where they are.
    fn stray(&mut self, from: End, piece: Piece, desk: &mut Desk<'_>) -> Fate {
        desk.stats.drop_bytes(Dropped::OutsideWindow, piece.payload.len());
        if self.halves[from].fin || piece.span() == 0 {
            return Fate::OutsideWindow;
        }
        let (start, end) = (piece.start, piece.end());
        let stray = &mut self.trouble(desk).halves[from].stray;
        let fitting = match stray {
            Some((expected, n)) if *expected == start => n.saturating_add(1),
            _ => 1,
        };
        *stray = Some((end, fitting));
        if fitting >= STRAYS_TO_MOVE {
            self.flush(desk);
            self.skip_to(from, end, GapReason::Moved, desk);
        }
        Fate::OutsideWindow
    }

    /// Payload or FIN within the window.
    fn take(&mut self, from: End, mut piece: Piece, desk: &mut Desk<'_>) -> Fate {
        let next = self.halves[from].next;
        let ahead = piece.start.distance_from(next);
        let captured = piece.payload.len();
        if !piece.end().is_after(next) {
            if piece.fin && piece.end() == next && self.found_fin(from, desk) {
                desk.stats.drop_bytes(Dropped::Duplicate, captured);
                return Fate::InOrder;
            }
            let probe = ahead == -1 && captured == 1;
            let (why, fate) = match probe {
                true => (Dropped::KeepAlive, Fate::KeepAlive),
                false => (Dropped::Duplicate, Fate::Retransmitted),
            };
            desk.stats.drop_bytes(why, captured);
            return fate;
        }
        if self.halves[from].fin {
            desk.stats.drop_bytes(Dropped::AfterFin, captured);
            return Fate::AfterFin;
        }
        if ahead < 0 {
            let dropped = piece.skip(ahead.unsigned_abs());
            desk.stats.drop_bytes(Dropped::Duplicate, dropped);
        }
        if ahead <= 0 && !self.must_wait(from, piece.ack) {
            self.deliver(from, piece, desk);
            return if ahead < 0 { Fate::Overlapping } else { Fate::InOrder };
        }
        self.hold(from, piece, desk)
    }

    /// A FIN whose number was passed over as a hole of one byte.
    fn found_fin(&mut self, from: End, desk: &mut Desk<'_>) -> bool {
        let Some(trouble) = &mut self.trouble else { return false };
        if !std::mem::take(&mut trouble.halves[from].owed) {
            return false;
        }
        self.finish_half(from, desk);
        true
    }

    fn hold(&mut self, from: End, piece: Piece, desk: &mut Desk<'_>) -> Fate {
        let now = desk.now;
        let captured = piece.payload.len();
        let half = &mut self.trouble(desk).halves[from];
        if half.waiting.is_empty() {
            half.stuck_since = now;
        }
        let before = half.waiting.cost;
        let (kept, dropped) = half.waiting.insert(piece);
        let after = half.waiting.cost;
        *desk.held = (*desk.held + after).saturating_sub(before);
        desk.stats.drop_bytes(Dropped::Duplicate, dropped);
        desk.stats.bytes_held = (desk.stats.bytes_held + captured as u64) - dropped as u64;
        self.keep_limits(from, desk);
        if kept { Fate::OutOfOrder } else { Fate::Retransmitted }
    }
}
