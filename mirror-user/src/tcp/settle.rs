//! When waiting bytes go on: their place is reached, or the hole before them is given up.

use super::clock::nanos;
use super::flow::{Desk, Flow, Half, Opening};
use super::key::End;
use super::limits::MAX_ACK_AHEAD;
use super::stats::{Dropped, GapReason};
use crate::segment::SeqNumber;

impl Flow {
    /// True when bytes that acknowledge `ack` of `end`'s peer must wait for the peer's bytes.
    pub(super) fn must_wait(&self, end: End, ack: Option<SeqNumber>) -> bool {
        let peer = &self.halves[end.other()];
        let Some(ack) = ack else { return false };
        (peer.seen || self.awaits(end.other()))
            && !peer.fin
            && (1..=MAX_ACK_AHEAD).contains(&ack.distance_from(peer.next))
    }

    /// True for an end of which only its peer's SYN-ACK tells so far. It may be seen late, in a
    /// capture of two taps, so what acknowledges its bytes waits once as for any hole.
    pub(super) fn awaits(&self, end: End) -> bool {
        let half = &self.halves[end];
        !half.seen
            && half.known
            && self.halves[end.other()].opening == Opening::SynAck
            && half.next == half.isn.advanced_by(1)
    }

    /// Tells all that can be told now, of both ends.
    pub(super) fn drain(&mut self, desk: &mut Desk<'_>) {
        if self.trouble.is_none() {
            return;
        }
        while self.step(End::Low, desk) || self.step(End::High, desk) || self.untie(desk) {}
    }

    /// When the next bytes of both ends are there and each acknowledges the other's, one of them
    /// was sent again, with a later acknowledgment than at first. The client spoke first.
    fn untie(&mut self, desk: &mut Desk<'_>) -> bool {
        let tied = [End::Low, End::High].into_iter().all(|end| {
            let next = self.halves[end].next;
            let first = self.half_trouble(end).and_then(|h| h.waiting.first());
            first.is_some_and(|piece| !piece.start.is_after(next))
        });
        if tied {
            self.take_first(self.client.unwrap_or(End::Low), desk);
        }
        tied
    }

    /// Tells the first waiting piece of `end`, if it is next and need not wait for the peer.
    fn step(&mut self, end: End, desk: &mut Desk<'_>) -> bool {
        let next = self.halves[end].next;
        let Some(first) = self.half_trouble(end).and_then(|h| h.waiting.first()) else {
            return false;
        };
        if first.start.is_after(next) || self.must_wait(end, first.ack) {
            return false;
        }
        self.take_first(end, desk);
        true
    }

    /// Tells the first waiting piece, whose start must not be after `next`.
    fn take_first(&mut self, end: End, desk: &mut Desk<'_>) {
        let Some(mut piece) = self.pop(end, desk) else { return };
        let next = self.halves[end].next;
        if !piece.end().is_after(next) {
            desk.stats.drop_bytes(Dropped::Duplicate, piece.payload.len());
            return;
        }
        let old = next.distance_from(piece.start).unsigned_abs();
        if old > 0 {
            let dropped = piece.skip(old);
            desk.stats.drop_bytes(Dropped::Duplicate, dropped);
        }
        self.deliver(end, piece, desk);
    }

    /// Moves `end`'s stream on to `upto` over bytes that will not come.
    pub(super) fn skip_to(
        &mut self,
        end: End,
        upto: SeqNumber,
        why: GapReason,
        desk: &mut Desk<'_>,
    ) {
        let Half { next, seen, .. } = self.halves[end];
        let bytes = upto.0.wrapping_sub(next.0);
        if bytes == 0 {
            return;
        }
        let trouble = &mut self.trouble(desk).halves[end];
        trouble.stuck_since = desk.now;
        trouble.stray = None;
        trouble.acked = trouble.acked.filter(|acked| acked.upto.is_after(upto));
        let owed = std::mem::take(&mut trouble.owed);
        if !seen {
            // The capture has this direction not at all: there is no stream that could have holes.
            self.halves[end].next = upto;
            return;
        }
        if bytes == 1 && !owed && why == GapReason::Acknowledged && trouble.waiting.is_empty() {
            trouble.owed = true;
        } else {
            self.tell_gap(end, bytes.wrapping_add(u32::from(owed)), why, desk);
        }
        self.halves[end].next = upto;
    }

    /// Where the first hole of `end` ends: at the first waiting piece, or where its peer has
    /// acknowledged to; first of all where the peer's next bytes were sent, for they come before
    /// what is missing behind.
    fn hole_end(&self, end: End) -> Option<SeqNumber> {
        let next = self.halves[end].next;
        let half = self.half_trouble(end)?;
        let first = half.waiting.first().map(|p| p.start).filter(|start| start.is_after(next));
        let acked = half.acked.map(|acked| acked.upto);
        let upto = match (first, acked) {
            // Bytes that wait at `next` stand in the way of what was acknowledged behind them.
            (None, _) if !half.waiting.is_empty() => return None,
            (Some(first), Some(acked)) if first.is_after(acked) => acked,
            (Some(first), _) => first,
            (None, acked) => acked?,
        };
        let sent_at = self.first_ack(end.other());
        sent_at.filter(|ack| ack.is_after(next) && upto.is_after(*ack)).or(Some(upto))
    }

    /// What the first waiting piece of `end` acknowledges.
    fn first_ack(&self, end: End) -> Option<SeqNumber> {
        self.half_trouble(end)?.waiting.first()?.ack
    }

    /// The hole that stands in the way of `end`: its own or its peer's, and where it ends.
    fn next_hole(&self, end: End) -> Option<(End, SeqNumber)> {
        let peer = end.other();
        match (self.hole_end(end), self.hole_end(peer)) {
            (Some(_), Some(theirs)) if self.first_of_two_holes() == peer => Some((peer, theirs)),
            (Some(own), _) => Some((end, own)),
            (None, Some(theirs)) if self.must_wait(end, self.first_ack(end)) => {
                Some((peer, theirs))
            }
            (None, _) => None,
        }
    }

    /// Whose hole was sent first, as far as what came behind them tells: it acknowledges the
    /// other's hole or does not.
    fn first_of_two_holes(&self) -> End {
        let client = self.client.unwrap_or(End::Low);
        let server = client.other();
        let [asked, answered] = [self.first_ack(client), self.first_ack(server)];
        let behind = |ack: Option<SeqNumber>, hole: End| {
            ack.is_some_and(|ack| ack.is_after(self.halves[hole].next))
        };
        let server_first = !behind(answered, client)
            && (behind(asked, server) || asked.is_none() && answered.is_some());
        if server_first { server } else { client }
    }

    /// Gives up the holes of which it is time.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>) {
        self.drain(desk);
        while self.give_up(End::Low, desk) || self.give_up(End::High, desk) {
            self.drain(desk);
        }
        self.end_trouble();
    }

    /// Gives up the first hole of `end` if it is time.
    fn give_up(&mut self, end: End, desk: &mut Desk<'_>) -> bool {
        let Some(why) = self.overdue(end, desk) else { return false };
        match self.next_hole(end) {
            // The peer's hole has its own time.
            Some((at, _)) if at != end && self.is_acked(at) => return false,
            Some((at, upto)) => self.skip_to(at, upto, why, desk),
            None => self.take_first(end, desk),
        }
        true
    }

    fn is_acked(&self, end: End) -> bool {
        self.half_trouble(end).is_some_and(|half| half.acked.is_some())
    }

    fn overdue(&self, end: End, desk: &Desk<'_>) -> Option<GapReason> {
        let half = self.half_trouble(end)?;
        if let Some(acked) = &half.acked
            && (acked.segments >= desk.limits.grace_segments
                || desk.now.saturating_sub(acked.since) >= nanos(desk.limits.grace))
        {
            return Some(GapReason::Acknowledged);
        }
        let peer_speaks = self.halves[end.other()].seen;
        let wait = if peer_speaks { desk.limits.hole_wait } else { desk.limits.blind_hole_wait };
        let late = desk.now.saturating_sub(half.stuck_since) >= nanos(wait);
        (late && !half.waiting.is_empty()).then_some(GapReason::TimedOut)
    }

    /// Brings what waits under the limits, by giving up first holes; `end` is who brought more.
    pub(super) fn keep_limits(&mut self, end: End, desk: &mut Desk<'_>) {
        loop {
            let Some(trouble) = &self.trouble else { return };
            let [own, other] = [&trouble.halves[end].waiting, &trouble.halves[end.other()].waiting];
            if own.cost + other.cost <= desk.limits.held_per_connection
                && own.len() <= desk.limits.held_segments
                && *desk.held <= desk.limits.held_in_all
            {
                return;
            }
            let end = if own.is_empty() { end.other() } else { end };
            if !self.force(end, GapReason::HeldLimit, desk) {
                return;
            }
        }
    }

    /// Brings `end` on by a hole: its own, or its peer's if that is what its next bytes wait for.
    fn force(&mut self, end: End, why: GapReason, desk: &mut Desk<'_>) -> bool {
        if self.half_trouble(end).is_none_or(|half| half.waiting.is_empty()) {
            return false;
        }
        match self.next_hole(end) {
            Some((at, upto)) => self.skip_to(at, upto, why, desk),
            None => self.take_first(end, desk),
        }
        self.drain(desk);
        true
    }

    /// Tells all that waits, and the holes at the end that were acknowledged.
    pub(super) fn flush(&mut self, desk: &mut Desk<'_>) {
        let client = self.client.unwrap_or(End::Low);
        self.drain(desk);
        for end in [client, client.other()] {
            while self.force(end, GapReason::Ended, desk) {}
            while let Some((at, upto)) = self.next_hole(end) {
                self.skip_to(at, upto, GapReason::Acknowledged, desk);
                self.drain(desk);
            }
        }
    }
}
