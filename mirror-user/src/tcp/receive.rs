//! What one segment does to its connection (RFC 9293 §3.10.7, as an observer sees it).

use super::event::CloseReason;
use super::flow::{Acked, Desk, Flow, State};
use super::key::End;
use super::limits::{MAX_ACK_AHEAD, MAX_CUT, STRAYS_TO_MOVE};
use super::roles;
use super::seq::SeqNumber;
use super::stats::{Dropped, Fate, GapReason};
use super::waiting::Piece;
use crate::decode::{Flags, Segment};

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
        self.confirm_new_syn(&segment, from, desk);
        if segment.flags.contains(Flags::RST) {
            desk.stats.drop_bytes(Dropped::WithReset, segment.payload.len());
            return self.reset(&segment, from, desk);
        }
        if segment.flags.contains(Flags::SYN) {
            return self.synchronize(segment, from, desk);
        }
        let fate = self.text(segment, from, desk);
        if self.state != State::Closed {
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
        let repeated = half.syn && segment.seq == half.isn;
        let revived = match syn {
            true => !repeated,
            false => !segment.payload.is_empty() && (far || goes_on),
        };
        if revived {
            self.forget();
        }
        revived
    }

    /// A SYN that did not fit takes the connection over when its number is used: by its sender's
    /// next segment or by its peer's acknowledgment. A forged SYN is answered by a challenge ACK
    /// (RFC 5961 §4) and never gets there.
    fn confirm_new_syn(&mut self, segment: &Segment, from: End, desk: &mut Desk<'_>) {
        let Some((end, isn)) = self.trouble.as_ref().and_then(|t| t.new_syn) else { return };
        let first = isn.advanced_by(1);
        let confirmed = match from == end {
            true => segment.seq == first && !segment.flags.contains(Flags::SYN),
            false => segment.flags.contains(Flags::ACK) && segment.ack == first,
        };
        if confirmed && !segment.flags.contains(Flags::RST) {
            self.close(CloseReason::Reused, desk);
            self.forget();
            self.client = Some(end);
            self.start(end, isn);
        }
    }

    fn start(&mut self, end: End, isn: SeqNumber) {
        let half = &mut self.halves[end];
        half.isn = isn;
        half.next = isn.advanced_by(1);
        (half.syn, half.seen, half.known) = (true, true, true);
    }

    /// SYN and SYN-ACK, perhaps with payload (TCP Fast Open, RFC 7413).
    fn synchronize(&mut self, mut segment: Segment, from: End, desk: &mut Desk<'_>) -> Fate {
        let half = self.halves[from];
        let answers = segment.flags.contains(Flags::ACK);
        let first = segment.seq.advanced_by(1);
        let late = half.known && half.next == first;
        if half.syn && half.isn == segment.seq {
            // Repeated; its payload, if any, is looked at below.
        } else if half.syn || (half.seen && !late) {
            if self.state == State::Open {
                self.trouble(desk).new_syn = Some((from, segment.seq));
                desk.stats.drop_bytes(Dropped::OutsideWindow, segment.payload.len());
                return Fate::Handshake;
            }
            self.close(CloseReason::Reused, desk);
            self.forget();
        }
        if !self.halves[from].syn {
            self.start(from, segment.seq);
        }
        let opener = if answers { from.other() } else { from };
        self.client.get_or_insert(opener);
        if answers {
            self.note_ack(from, segment.ack, desk);
        }
        if !segment.payload.is_empty() {
            segment.seq = first;
            segment.flags = Flags(segment.flags.0 & !Flags::SYN.0);
            self.text(segment, from, desk);
            self.settle(desk);
        }
        Fate::Handshake
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
                && peer.syn
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
        let ack = segment.flags.contains(Flags::ACK).then_some(segment.ack);
        let fin = segment.flags.contains(Flags::FIN);
        let first_payload = (from, segment.payload.as_ref());
        if self.client.is_none() && !segment.payload.is_empty() {
            let ports = &desk.limits.server_ports;
            self.client = Some(roles::client_end(&desk.birth.key, ports, Some(first_payload)));
        }
        let cut = segment.cut.min(MAX_CUT);
        let at = segment.at;
        let piece = Piece { start: segment.seq, payload: segment.payload, cut, fin, ack, at };
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
        let peer = &mut self.halves[from.other()];
        if !peer.seen {
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
