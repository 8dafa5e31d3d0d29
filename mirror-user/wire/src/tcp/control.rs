//! SYN and RST: which of them begin and end a connection (RFC 9293 §3.10.7, RFC 5961).

use super::contest::Syn;
use super::event::CloseReason;
use super::flow::{Context, Flow, Opening, State};
use super::key::End;
use super::stats::{Disposition, Dropped};
use super::waiting::Piece;
use crate::segment::{Flags, Segment, SeqNumber};

impl Flow {
    /// True if a segment on a closed connection begins another one: a SYN, bytes far from the old
    /// ones, or bytes from the end that supposedly reset it (the RST was forged).
    pub(super) fn revived_by(&mut self, segment: &Segment, from: End, cx: &Context<'_>) -> bool {
        let half = &self.halves[from];
        let far =
            half.known && segment.seq.distance_from(half.next).unsigned_abs() > cx.limits.window;
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

    /// Handles SYN and SYN-ACK, perhaps with payload (TCP Fast Open, RFC 7413). One that
    /// contradicts the known state changes nothing until a later segment confirms it.
    pub(super) fn synchronize(
        &mut self,
        mut segment: Segment,
        from: End,
        cx: &mut Context<'_>,
    ) -> Disposition {
        let half = self.halves[from];
        let first = segment.seq.advanced_by(1);
        let answers = segment.flags.contains(Flags::ACK).then_some(segment.ack);
        let syn = Syn { end: from, isn: segment.seq, answers };
        if half.opening == Opening::Unseen {
            let late = half.known && half.next == first || self.is_acknowledged(&syn);
            // Its peer has said where it begins, by more than a SYN-ACK.
            let placed = half.known && !self.awaits(from);
            if !late && (placed || self.state != State::HalfOpen) {
                return self.refuse_syn(&segment, syn, cx);
            }
            self.start(syn);
        } else if half.isn != segment.seq {
            return self.refuse_syn(&segment, syn, cx);
        }
        self.client.get_or_insert(if answers.is_some() { from.other() } else { from });
        if let Some(ack) = answers
            && self.state == State::HalfOpen
        {
            self.note_syn_ack(from, ack, cx);
        }
        if segment.payload.is_empty() {
            return Disposition::Handshake;
        }
        segment.seq = first;
        segment.flags = Flags(segment.flags.0 & !Flags::SYN.0);
        if self.state == State::HalfOpen && self.halves[from].next == first {
            // The payload counts when the peer accepts it.
            self.hold(from, Piece::of(segment), cx);
        } else {
            self.text(segment, from, cx);
            self.settle(cx);
        }
        Disposition::Handshake
    }

    fn refuse_syn(&mut self, segment: &Segment, syn: Syn, cx: &mut Context<'_>) -> Disposition {
        self.contend(syn, cx);
        cx.stats.drop_bytes(Dropped::OutsideWindow, segment.payload.len());
        Disposition::Handshake
    }

    /// True if the other end's SYN-ACK acknowledges this SYN, however late it is captured.
    fn is_acknowledged(&self, syn: &Syn) -> bool {
        let half = &self.halves[syn.end];
        let answered = self.halves[syn.end.other()].opening == Opening::SynAck;
        !half.seen && half.known && answered && half.isn == syn.isn
    }

    /// The acknowledgment of the first SYN-ACK is the start of the peer's stream, unless the peer's
    /// own SYN contradicts it.
    fn note_syn_ack(&mut self, from: End, ack: SeqNumber, cx: &mut Context<'_>) {
        let peer = &mut self.halves[from.other()];
        if !peer.known {
            peer.isn = SeqNumber(ack.0.wrapping_sub(1));
            (peer.next, peer.known) = (ack, true);
        }
        let waiting = self.half_recovery(from.other()).and_then(|half| half.waiting.end());
        if waiting == Some(ack) {
            // The peer accepted the payload of the SYN.
            self.note_ack(from, ack, cx);
        }
    }

    /// Handles a RST. It is valid at exactly the next byte (RFC 5961 §3.2). If the capture lost
    /// segments, it is also valid at the peer's last acknowledgment (from which Linux takes the
    /// number of its RST), after all held bytes, or as a refusal of the peer's SYN.
    pub(super) fn reset(
        &mut self,
        segment: &Segment,
        from: End,
        cx: &mut Context<'_>,
    ) -> Disposition {
        let half = &self.halves[from];
        let peer = &self.halves[from.other()];
        let waiting = self.half_recovery(from);
        let fits = half.known && segment.seq == half.next
            || peer.seen && half.known && segment.seq == peer.last_ack
            || waiting.is_some_and(|h| h.waiting.end() == Some(segment.seq))
            || waiting.and_then(|h| h.acked).is_some_and(|acked| acked.upto == segment.seq)
            || !half.seen
                && segment.flags.contains(Flags::ACK)
                && peer.opening != Opening::Unseen
                && segment.ack == peer.next;
        if !fits {
            return Disposition::ResetIgnored;
        }
        self.close(CloseReason::Reset, cx);
        self.reset_by = Some(from);
        Disposition::Reset
    }
}
