//! What one segment does to its connection (RFC 9293 §3.10.7, as an observer sees it).

use super::event::CloseReason;
use super::flow::{Acked, Context, Flow, State};
use super::key::End;
use super::limits::{MAX_ACK_AHEAD, STRAYS_TO_MOVE};
use super::roles;
use super::stats::{Disposition, Dropped, GapReason};
use super::waiting::Piece;
use crate::segment::{Flags, Segment, SeqNumber};

impl Flow {
    /// True for the in-order segment of a connection that needs no recovery: nearly every segment.
    #[inline]
    pub(super) fn expects(&self, segment: &Segment, from: End) -> bool {
        const ODD: u8 = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0 | Flags::URG.0;
        let half = &self.halves[from];
        self.state == State::Open
            && self.recovery.is_none()
            && segment.flags.0 & (ODD | Flags::ACK.0) == Flags::ACK.0
            && segment.seq == half.next
            && !segment.ack.is_after(self.halves[from.other()].next)
            && segment.cut == 0
            && half.seen
            && !half.fin
    }

    /// Handles a segment for which [`expects`](Self::expects) is true.
    #[inline]
    pub(super) fn receive_expected(
        &mut self,
        segment: Segment,
        from: End,
        cx: &mut Context<'_>,
    ) -> Disposition {
        let half = &mut self.halves[from];
        let same_ack = std::mem::replace(&mut half.last_ack, segment.ack) == segment.ack;
        if segment.payload.is_empty() {
            return if same_ack { Disposition::DuplicateAck } else { Disposition::Ack };
        }
        half.next = half.next.advanced_by(segment.payload.len() as u32);
        self.emit_data(from, segment.payload, segment.at, cx);
        Disposition::InOrder
    }

    /// Handles any segment.
    pub(super) fn receive(
        &mut self,
        segment: Segment,
        from: End,
        cx: &mut Context<'_>,
    ) -> Disposition {
        if segment.flags.contains(Flags::URG) {
            cx.stats.urgent += 1;
        }
        if self.state == State::Closed && !self.revived_by(&segment, from, cx) {
            cx.stats.drop_bytes(Dropped::AfterClose, segment.payload.len());
            return Disposition::AfterClose;
        }
        self.confirm(&segment, from, cx);
        if segment.flags.contains(Flags::RST) {
            cx.stats.drop_bytes(Dropped::WithReset, segment.payload.len());
            return self.reset(&segment, from, cx);
        }
        if segment.flags.contains(Flags::SYN) {
            return self.synchronize(segment, from, cx);
        }
        if self.state == State::Translated {
            return self.pass_over(&segment, from, cx);
        }
        let disposition = self.text(segment, from, cx);
        if !matches!(self.state, State::Closed | State::Translated) {
            if self.state == State::HalfOpen && self.halves.values().all(|h| h.seen) {
                self.state = State::Silent;
            }
            self.settle(cx);
            if self.halves.values().all(|h| h.fin) {
                self.close(CloseReason::Fin, cx);
            }
        }
        disposition
    }

    /// Handles a segment without SYN and RST: an acknowledgment, payload, FIN.
    pub(super) fn text(
        &mut self,
        segment: Segment,
        from: End,
        cx: &mut Context<'_>,
    ) -> Disposition {
        let first_payload = (from, segment.payload.as_ref());
        if self.client.is_none() && !segment.payload.is_empty() {
            let ports = &cx.limits.server_ports;
            self.client = Some(roles::client_end(&cx.origin.key, ports, Some(first_payload)));
        }
        if !segment.payload.is_empty()
            && !self.state.is_reported()
            && self.is_translated(&segment, cx)
        {
            self.discard(from, Dropped::Translated, cx);
            self.discard(from.other(), Dropped::Translated, cx);
            self.recovery = None;
            self.state = State::Translated;
            return self.pass_over(&segment, from, cx);
        }
        let piece = Piece::of(segment);
        let ack = piece.ack;
        self.meet(from, &piece, cx);

        let half = &self.halves[from];
        let window = cx.limits.window.min(MAX_ACK_AHEAD.unsigned_abs()).cast_signed();
        let ahead = piece.start.distance_from(half.next);
        // The peer's acknowledgment gives the position, however much the capture lost.
        let from_acked = self
            .half_recovery(from)
            .and_then(|h| h.acked)
            .map_or(ahead, |acked| piece.start.distance_from(acked.upto));
        if ahead < -window || (ahead > window && !(-window..=window).contains(&from_acked)) {
            return self.stray(from, piece, cx);
        }
        let last_ack = half.last_ack;
        if let Some(ack) = ack {
            self.note_ack(from, ack, cx);
        }
        match piece.span() {
            0 if ahead == -1 => Disposition::KeepAlive,
            0 if ack == Some(last_ack) => Disposition::DuplicateAck,
            0 => Disposition::Ack,
            _ => self.take(from, piece, cx),
        }
    }

    /// True if the first payload of a connection was just seen with other addresses.
    fn is_translated(&self, segment: &Segment, cx: &mut Context<'_>) -> bool {
        let client = self.client.unwrap_or(End::Low);
        let port = cx.origin.key.address(client).port();
        cx.twins.is_copy(segment, port, cx.now)
    }

    /// Handles a segment of a connection that is read with other addresses.
    fn pass_over(&mut self, segment: &Segment, from: End, cx: &mut Context<'_>) -> Disposition {
        cx.stats.drop_bytes(Dropped::Translated, segment.payload.len());
        let half = &mut self.halves[from];
        half.next = segment.seq.advanced_by(segment.payload.len() as u32);
        (half.known, half.seen) = (true, true);
        half.fin |= segment.flags.contains(Flags::FIN);
        if self.halves.values().all(|half| half.fin) {
            self.state = State::Closed;
        }
        Disposition::Translated
    }

    /// Starts the stream of an end at its first captured segment, unless the peer's acknowledgments
    /// show that it begins a little earlier.
    fn meet(&mut self, from: End, piece: &Piece, cx: &Context<'_>) {
        let half = &mut self.halves[from];
        let ahead = piece.start.distance_from(half.next);
        let probe = ahead == -1 && piece.span() <= 1;
        let fits = (0..=cx.limits.window.cast_signed()).contains(&ahead) || probe;
        // If they are more than a window apart, its own segment outweighs its peer's
        // acknowledgment.
        let far = ahead.unsigned_abs() > cx.limits.window;
        if !half.known || (!half.seen && !fits && (piece.span() > 0 || far)) {
            half.next = piece.start;
        }
        (half.known, half.seen) = (true, true);
    }

    /// Notes what `from` has received. Acknowledged bytes that were not captured were lost by the
    /// capture or come later in it.
    pub(super) fn note_ack(&mut self, from: End, ack: SeqNumber, cx: &mut Context<'_>) {
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
        if let Some(recovery) = &mut self.recovery {
            for half in recovery.halves.values_mut() {
                if let Some(acked) = &mut half.acked {
                    acked.segments = acked.segments.saturating_add(1);
                }
            }
        }
        if !peer.fin && (1..=MAX_ACK_AHEAD).contains(&ack.distance_from(peer.next)) {
            let now = cx.now;
            let half = &mut self.recovery(cx).halves[from.other()];
            let acked = half.acked.get_or_insert(Acked { upto: ack, since: now, segments: 0 });
            if ack.is_after(acked.upto) {
                acked.upto = ack;
            }
        }
    }

    /// Handles a segment outside the window. If several contiguous ones arrive, the capture lost
    /// more than a window, and the stream continues there.
    fn stray(&mut self, from: End, piece: Piece, cx: &mut Context<'_>) -> Disposition {
        cx.stats.drop_bytes(Dropped::OutsideWindow, piece.payload.len());
        if self.halves[from].fin || piece.span() == 0 {
            return Disposition::OutsideWindow;
        }
        let (start, end) = (piece.start, piece.end());
        let stray = &mut self.recovery(cx).halves[from].stray;
        let fitting = match stray {
            Some((expected, n)) if *expected == start => n.saturating_add(1),
            _ => 1,
        };
        *stray = Some((end, fitting));
        if fitting >= STRAYS_TO_MOVE {
            self.flush(cx);
            self.skip_to(from, end, GapReason::Moved, cx);
        }
        Disposition::OutsideWindow
    }

    /// Handles payload or FIN within the window.
    fn take(&mut self, from: End, mut piece: Piece, cx: &mut Context<'_>) -> Disposition {
        let next = self.halves[from].next;
        let ahead = piece.start.distance_from(next);
        let captured = piece.payload.len();
        if !piece.end().is_after(next) {
            if piece.fin && piece.end() == next && self.found_fin(from, cx) {
                cx.stats.drop_bytes(Dropped::Duplicate, captured);
                return Disposition::InOrder;
            }
            let probe = ahead == -1 && captured == 1;
            let (why, disposition) = match probe {
                true => (Dropped::KeepAlive, Disposition::KeepAlive),
                false => (Dropped::Duplicate, Disposition::Retransmitted),
            };
            cx.stats.drop_bytes(why, captured);
            return disposition;
        }
        if self.halves[from].fin {
            cx.stats.drop_bytes(Dropped::AfterFin, captured);
            return Disposition::AfterFin;
        }
        if ahead < 0 {
            let dropped = piece.skip(ahead.unsigned_abs());
            cx.stats.drop_bytes(Dropped::Duplicate, dropped);
        }
        if ahead <= 0 && !self.must_wait(from, piece.ack) {
            self.deliver(from, piece, cx);
            return if ahead < 0 { Disposition::Overlapping } else { Disposition::InOrder };
        }
        self.hold(from, piece, cx)
    }

    /// Handles a FIN whose sequence number was skipped as a possible gap of one byte.
    fn found_fin(&mut self, from: End, cx: &mut Context<'_>) -> bool {
        let Some(recovery) = &mut self.recovery else { return false };
        if !std::mem::take(&mut recovery.halves[from].fin_pending) {
            return false;
        }
        self.finish_half(from, cx);
        true
    }

    pub(super) fn hold(&mut self, from: End, piece: Piece, cx: &mut Context<'_>) -> Disposition {
        let now = cx.now;
        let captured = piece.payload.len();
        let half = &mut self.recovery(cx).halves[from];
        if half.waiting.is_empty() {
            half.stuck_since = now;
        }
        let before = half.waiting.cost;
        let (kept, dropped) = half.waiting.insert(piece);
        let after = half.waiting.cost;
        *cx.held = (*cx.held + after).saturating_sub(before);
        cx.stats.drop_bytes(Dropped::Duplicate, dropped);
        cx.stats.bytes_held = (cx.stats.bytes_held + captured as u64) - dropped as u64;
        self.keep_limits(from, cx);
        if kept { Disposition::OutOfOrder } else { Disposition::Retransmitted }
    }
}
