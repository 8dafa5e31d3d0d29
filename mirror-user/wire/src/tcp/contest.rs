//! SYNs that contradict each other: which of them began the connection.
//!
//! A SYN or SYN-ACK proves nothing by itself: it may be stale, forged or meant for an earlier
//! connection, and its receiver then answers with a challenge or not at all (RFC 9293 §3.10.7.4,
//! RFC 5961 §4). So a SYN that does not match is only noted. The numbers of the next segment
//! without SYN show which one the ends agreed on.

use super::event::CloseReason;
use super::flow::{Context, Flow, Half, HalfRecovery, Opening, State};
use super::key::End;
use super::limits::MAX_CONTENDERS;
use super::stats::Dropped;
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment};

/// A SYN or SYN-ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syn {
    pub(super) end: End,
    pub(super) isn: SeqNumber,
    /// What it acknowledges, if it is a SYN-ACK.
    pub(super) answers: Option<SeqNumber>,
}

/// The SYNs of a connection that contradict its assumed state, oldest first.
#[derive(Debug, Default)]
pub(super) struct Contenders {
    syns: Vec<Syn>,
    /// Some were forgotten because there were more than [`MAX_CONTENDERS`].
    overflowed: bool,
}

/// Which SYN a number belongs to.
#[derive(Clone, Copy, Debug)]
enum Belief {
    /// To the assumed one, or nothing contradicts it.
    Present,
    Other(Syn),
    /// To none.
    Refuted,
}

impl Syn {
    /// The sequence number after it.
    fn first(&self) -> SeqNumber {
        self.isn.advanced_by(1)
    }

    /// The SYN of `end` whose next sequence number is `first`.
    fn before(end: End, first: SeqNumber, answers: Option<SeqNumber>) -> Self {
        Self { end, isn: SeqNumber(first.0.wrapping_sub(1)), answers }
    }
}

impl Contenders {
    pub(super) fn is_empty(&self) -> bool {
        self.syns.is_empty()
    }

    fn add(&mut self, syn: Syn) {
        if self.syns.contains(&syn) {
            return;
        }
        if self.syns.len() == MAX_CONTENDERS {
            self.syns.remove(0);
            self.overflowed = true;
        }
        self.syns.push(syn);
    }

    fn exact(&self, end: End, first: SeqNumber) -> Option<Syn> {
        self.syns.iter().copied().find(|syn| syn.end == end && syn.first() == first)
    }
}

impl Flow {
    /// Notes a SYN that does not match.
    pub(super) fn contend(&mut self, syn: Syn, cx: &Context<'_>) {
        self.recovery(cx).contenders.add(syn);
    }

    fn contenders(&self) -> Option<&Contenders> {
        self.recovery.as_ref().map(|recovery| &recovery.contenders)
    }

    /// Finds out which SYNs a segment confirms.
    pub(super) fn confirm(&mut self, segment: &Segment, from: End, cx: &mut Context<'_>) {
        let odd = segment.flags.0 & (Flags::SYN.0 | Flags::RST.0) != 0;
        if odd || !segment.flags.contains(Flags::ACK) {
            return;
        }
        if self.state == State::HalfOpen {
            self.confirm_first(segment.seq, segment.ack, from, cx);
        } else if self.contenders().is_some_and(|contenders| !contenders.is_empty()) {
            self.confirm_anew(segment.seq, segment.ack, from, cx);
        }
    }

    /// Before the handshake has ended, each end's SYN is the one that the numbers belong to.
    fn confirm_first(&mut self, seq: SeqNumber, ack: SeqNumber, from: End, cx: &mut Context<'_>) {
        let peer_end = from.other();
        let mut own = self.belief(from, seq, cx);
        let mut peer = self.belief(peer_end, ack, cx);
        let overflowed = self.contenders().is_some_and(|contenders| contenders.overflowed);
        if self.is_exact(own, from, seq) {
            let vouched = self.answered(from, seq, own).is_some_and(|answered| {
                self.is_exact(peer, peer_end, answered) || self.awaits(peer_end)
            });
            if overflowed && !vouched && !self.is_exact(peer, peer_end, ack) {
                // The right one may be among the forgotten ones.
                peer = Belief::Refuted;
            }
        } else {
            let refuted = matches!(own, Belief::Refuted);
            if refuted && self.answered(peer_end, ack, peer) == Some(seq) {
                own = Belief::Other(Syn::before(from, seq, None));
            } else if overflowed {
                // The right ones may be among the forgotten ones, and with them the opener.
                own = Belief::Other(Syn::before(from, seq, None));
                peer = Belief::Other(Syn::before(peer_end, ack, None));
                self.client = None;
            } else if refuted {
                return;
            }
        }
        for belief in [own, peer] {
            if let Belief::Other(syn) = belief {
                self.restart(syn, cx);
            }
        }
        if self.halves[from].follows_syn(seq) {
            if matches!(peer, Belief::Refuted) {
                self.discard(peer_end, Dropped::OutsideWindow, cx);
                self.halves[peer_end] = Half::default();
            }
            let peer = &self.halves[peer_end];
            if let Some(recovery) = &mut self.recovery
                && (peer.follows_syn(ack) || !peer.seen)
            {
                recovery.contenders = Contenders::default();
            }
        }
        self.client = self.opener().or(self.client);
    }

    fn is_exact(&self, belief: Belief, end: End, number: SeqNumber) -> bool {
        match belief {
            Belief::Present => self.halves[end].follows_syn(number),
            Belief::Other(syn) => syn.first() == number,
            Belief::Refuted => false,
        }
    }

    /// Which SYN of `end` the number belongs to. None that was seen has numbers before it.
    fn belief(&self, end: End, number: SeqNumber, cx: &Context<'_>) -> Belief {
        let half = &self.halves[end];
        let window = cx.limits.window.cast_signed();
        if half.follows_syn(number) {
            return Belief::Present;
        }
        if let Some(syn) = self.contenders().and_then(|c| c.exact(end, number)) {
            return Belief::Other(syn);
        }
        let follows =
            half.opening == Opening::Unseen || number.distance_from(half.isn.advanced_by(1)) >= 0;
        let near = (-window..=window).contains(&number.distance_from(half.next));
        if !half.known || follows && near {
            return Belief::Present;
        }
        let near = |syn: &&Syn| {
            syn.end == end && (0..=window).contains(&number.distance_from(syn.first()))
        };
        let latest = self.contenders().and_then(|c| c.syns.iter().rev().find(near));
        latest.map_or(Belief::Refuted, |syn| Belief::Other(*syn))
    }

    /// What the SYN-ACK of `end` acknowledges, if `first` is the number after it.
    fn answered(&self, end: End, first: SeqNumber, belief: Belief) -> Option<SeqNumber> {
        let half = &self.halves[end];
        match belief {
            Belief::Other(syn) if syn.first() == first => syn.answers,
            Belief::Present if half.opening == Opening::SynAck && half.follows_syn(first) => {
                Some(half.last_ack)
            }
            _ => None,
        }
    }

    /// A handshake has ended before, so that a new one must be confirmed as a whole: by the exact
    /// number of one of its SYNs, unless the segment is what the present connection expects.
    fn confirm_anew(&mut self, seq: SeqNumber, ack: SeqNumber, from: End, cx: &mut Context<'_>) {
        let peer_end = from.other();
        let is_next = |half: &Half, number| half.known && half.next == number;
        let Some(contenders) = self.contenders() else { return };
        let (own, peer) = (contenders.exact(from, seq), contenders.exact(peer_end, ack));
        let goes_on = is_next(&self.halves[from], seq)
            || peer.is_none() && is_next(&self.halves[peer_end], ack);
        if goes_on || own.is_none() && peer.is_none() {
            return;
        }
        let answers = |syn: Option<Syn>| syn.and_then(|syn| syn.answers);
        let own = own.or_else(|| {
            answers(peer).filter(|a| *a == seq).map(|seq| Syn::before(from, seq, None))
        });
        let peer = peer.or_else(|| answers(own).map(|ack| Syn::before(peer_end, ack, None)));
        self.close(CloseReason::Reused, cx);
        self.forget();
        for syn in [own, peer].into_iter().flatten() {
            self.start(syn);
        }
        self.client = self.opener();
    }

    /// Restarts an end's stream after another SYN, and drops what followed the old one.
    fn restart(&mut self, syn: Syn, cx: &mut Context<'_>) {
        self.discard(syn.end, Dropped::OutsideWindow, cx);
        self.halves[syn.end] = Half::default();
        self.start(syn);
    }

    /// Drops the held bytes of an end.
    pub(super) fn discard(&mut self, end: End, why: Dropped, cx: &mut Context<'_>) {
        while let Some(piece) = self.pop(end, cx) {
            cx.stats.drop_bytes(why, piece.payload.len());
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.halves[end] = HalfRecovery { stuck_since: cx.now, ..HalfRecovery::default() };
        }
    }

    /// Starts an end's stream after its SYN.
    pub(super) fn start(&mut self, syn: Syn) {
        let half = &mut self.halves[syn.end];
        half.isn = syn.isn;
        half.next = syn.first();
        half.opening = if syn.answers.is_some() { Opening::SynAck } else { Opening::Syn };
        half.last_ack = syn.answers.unwrap_or(half.last_ack);
        (half.seen, half.known) = (true, true);
    }

    /// Who opened the connection, as far as the SYNs show: one end's SYN or the other's SYN-ACK.
    fn opener(&self) -> Option<End> {
        let [low, high] = [End::Low, End::High].map(|end| self.halves[end].opening);
        match (low, high) {
            (Opening::Syn, Opening::SynAck | Opening::Unseen)
            | (Opening::Unseen, Opening::SynAck) => Some(End::Low),
            (Opening::SynAck, Opening::Syn | Opening::Unseen) | (Opening::Unseen, Opening::Syn) => {
                Some(End::High)
            }
            _ => None,
        }
    }
}
