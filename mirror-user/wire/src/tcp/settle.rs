//! When held bytes are emitted: the stream has reached them, or the gap before them is given up.

use super::clock::nanos;
use super::flow::{Context, Flow, Half, Opening};
use super::key::End;
use super::limits::MAX_ACK_AHEAD;
use super::stats::{Dropped, GapReason};
use crate::segment::SeqNumber;

impl Flow {
    /// True if bytes of `end` that acknowledge `ack` must wait for its peer's bytes.
    pub(super) fn must_wait(&self, end: End, ack: Option<SeqNumber>) -> bool {
        let peer = &self.halves[end.other()];
        let Some(ack) = ack else { return false };
        (peer.seen || self.awaits(end.other()))
            && !peer.fin
            && (1..=MAX_ACK_AHEAD).contains(&ack.distance_from(peer.next))
    }

    /// True for an end that is known only from its peer's SYN-ACK. A capture of two taps may show
    /// it late, so bytes that acknowledge it wait once, as for any gap.
    pub(super) fn awaits(&self, end: End) -> bool {
        let half = &self.halves[end];
        !half.seen
            && half.known
            && self.halves[end.other()].opening == Opening::SynAck
            && half.next == half.isn.advanced_by(1)
    }

    /// Emits everything that is ready, of both ends.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>) {
        if self.recovery.is_none() {
            return;
        }
        while self.step(End::Low, cx) || self.step(End::High, cx) || self.untie(cx) {}
    }

    /// If the next bytes of both ends are held and each acknowledges the other, one of them was
    /// retransmitted with a later acknowledgment. The client's bytes go first.
    fn untie(&mut self, cx: &mut Context<'_>) -> bool {
        let tied = [End::Low, End::High].into_iter().all(|end| {
            let next = self.halves[end].next;
            let first = self.half_recovery(end).and_then(|h| h.waiting.first());
            first.is_some_and(|piece| !piece.start.is_after(next))
        });
        if tied {
            self.take_first(self.client.unwrap_or(End::Low), cx);
        }
        tied
    }

    /// Emits the first held piece of `end` if it is next and need not wait for the peer.
    fn step(&mut self, end: End, cx: &mut Context<'_>) -> bool {
        let next = self.halves[end].next;
        let Some(first) = self.half_recovery(end).and_then(|h| h.waiting.first()) else {
            return false;
        };
        if first.start.is_after(next) || self.must_wait(end, first.ack) {
            return false;
        }
        self.take_first(end, cx);
        true
    }

    /// Emits the first held piece, whose start must not be after `next`.
    fn take_first(&mut self, end: End, cx: &mut Context<'_>) {
        let Some(mut piece) = self.pop(end, cx) else { return };
        let next = self.halves[end].next;
        if !piece.end().is_after(next) {
            cx.stats.drop_bytes(Dropped::Duplicate, piece.payload.len());
            return;
        }
        let old = next.distance_from(piece.start).unsigned_abs();
        if old > 0 {
            let dropped = piece.skip(old);
            cx.stats.drop_bytes(Dropped::Duplicate, dropped);
        }
        self.deliver(end, piece, cx);
    }

    /// Advances the stream of `end` to `upto`, over bytes that will not arrive.
    pub(super) fn skip_to(
        &mut self,
        end: End,
        upto: SeqNumber,
        why: GapReason,
        cx: &mut Context<'_>,
    ) {
        let Half { next, seen, .. } = self.halves[end];
        let bytes = upto.0.wrapping_sub(next.0);
        if bytes == 0 {
            return;
        }
        let recovery = &mut self.recovery(cx).halves[end];
        recovery.stuck_since = cx.now;
        recovery.stray = None;
        recovery.acked = recovery.acked.filter(|acked| acked.upto.is_after(upto));
        let fin_pending = std::mem::take(&mut recovery.fin_pending);
        if !seen {
            // This direction was not captured at all, so it has no gaps to report.
            self.halves[end].next = upto;
            return;
        }
        if bytes == 1
            && !fin_pending
            && why == GapReason::Acknowledged
            && recovery.waiting.is_empty()
        {
            recovery.fin_pending = true;
        } else {
            self.emit_gap(end, bytes.wrapping_add(u32::from(fin_pending)), why, cx);
        }
        self.halves[end].next = upto;
    }

    /// Where the first gap of `end` ends: at the first held piece or at its peer's acknowledgment,
    /// but not after the point at which the peer sent its next bytes, which come before the rest.
    fn gap_end(&self, end: End) -> Option<SeqNumber> {
        let next = self.halves[end].next;
        let half = self.half_recovery(end)?;
        let first = half.waiting.first().map(|p| p.start).filter(|start| start.is_after(next));
        let acked = half.acked.map(|acked| acked.upto);
        let upto = match (first, acked) {
            // Bytes held at `next` come before the acknowledged ones after them.
            (None, _) if !half.waiting.is_empty() => return None,
            (Some(first), Some(acked)) if first.is_after(acked) => acked,
            (Some(first), _) => first,
            (None, acked) => acked?,
        };
        let sent_at = self.first_ack(end.other());
        sent_at.filter(|ack| ack.is_after(next) && upto.is_after(*ack)).or(Some(upto))
    }

    /// The acknowledgment of the first held piece of `end`.
    fn first_ack(&self, end: End) -> Option<SeqNumber> {
        self.half_recovery(end)?.waiting.first()?.ack
    }

    /// The gap that blocks `end`, its own or its peer's, and where it ends.
    fn next_gap(&self, end: End) -> Option<(End, SeqNumber)> {
        let peer = end.other();
        match (self.gap_end(end), self.gap_end(peer)) {
            (Some(_), Some(theirs)) if self.first_of_two_gaps() == peer => Some((peer, theirs)),
            (Some(own), _) => Some((end, own)),
            (None, Some(theirs)) if self.must_wait(end, self.first_ack(end)) => {
                Some((peer, theirs))
            }
            (None, _) => None,
        }
    }

    /// Which end's gap was sent first, judged by whether the bytes after each gap acknowledge the
    /// other one.
    fn first_of_two_gaps(&self) -> End {
        let client = self.client.unwrap_or(End::Low);
        let server = client.other();
        let [asked, answered] = [self.first_ack(client), self.first_ack(server)];
        let acknowledges = |ack: Option<SeqNumber>, gap: End| {
            ack.is_some_and(|ack| ack.is_after(self.halves[gap].next))
        };
        let server_first = !acknowledges(answered, client)
            && (acknowledges(asked, server) || asked.is_none() && answered.is_some());
        if server_first { server } else { client }
    }

    /// Gives up the gaps that are overdue.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        self.drain(cx);
        while self.give_up(End::Low, cx) || self.give_up(End::High, cx) {
            self.drain(cx);
        }
        self.end_recovery();
    }

    /// Gives up the first gap of `end` if it is overdue.
    fn give_up(&mut self, end: End, cx: &mut Context<'_>) -> bool {
        let Some(why) = self.overdue(end, cx) else { return false };
        match self.next_gap(end) {
            // The peer's gap has its own deadline.
            Some((at, _)) if at != end && self.is_acked(at) => return false,
            Some((at, upto)) => self.skip_to(at, upto, why, cx),
            None => self.take_first(end, cx),
        }
        true
    }

    fn is_acked(&self, end: End) -> bool {
        self.half_recovery(end).is_some_and(|half| half.acked.is_some())
    }

    fn overdue(&self, end: End, cx: &Context<'_>) -> Option<GapReason> {
        let half = self.half_recovery(end)?;
        if let Some(acked) = &half.acked
            && (acked.segments >= cx.limits.grace_segments
                || cx.now.saturating_sub(acked.since) >= nanos(cx.limits.grace))
        {
            return Some(GapReason::Acknowledged);
        }
        let peer_speaks = self.halves[end.other()].seen;
        let wait = if peer_speaks { cx.limits.gap_wait } else { cx.limits.blind_gap_wait };
        let late = cx.now.saturating_sub(half.stuck_since) >= nanos(wait);
        (late && !half.waiting.is_empty()).then_some(GapReason::TimedOut)
    }

    /// Brings the held bytes below the limits by giving up the first gaps. `end` added the last
    /// ones.
    pub(super) fn keep_limits(&mut self, end: End, cx: &mut Context<'_>) {
        loop {
            let Some(recovery) = &self.recovery else { return };
            let [own, other] =
                [&recovery.halves[end].waiting, &recovery.halves[end.other()].waiting];
            if own.cost + other.cost <= cx.limits.held_per_connection
                && own.len() <= cx.limits.held_segments
                && *cx.held <= cx.limits.held_in_all
            {
                return;
            }
            let end = if own.is_empty() { end.other() } else { end };
            if !self.force(end, GapReason::HeldLimit, cx) {
                return;
            }
        }
    }

    /// Advances `end` past one gap: its own, or its peer's if its next bytes wait for that one.
    fn force(&mut self, end: End, why: GapReason, cx: &mut Context<'_>) -> bool {
        if self.half_recovery(end).is_none_or(|half| half.waiting.is_empty()) {
            return false;
        }
        match self.next_gap(end) {
            Some((at, upto)) => self.skip_to(at, upto, why, cx),
            None => self.take_first(end, cx),
        }
        self.drain(cx);
        true
    }

    /// Emits all held bytes, and the acknowledged gaps at the end.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        let client = self.client.unwrap_or(End::Low);
        self.drain(cx);
        for end in [client, client.other()] {
            while self.force(end, GapReason::Ended, cx) {}
            while let Some((at, upto)) = self.next_gap(end) {
                self.skip_to(at, upto, GapReason::Acknowledged, cx);
                self.drain(cx);
            }
        }
    }
}
