//! The state of one connection: the position of each side in its stream.

use enum_map::EnumMap;

use super::clock::Nanos;
use super::contest::Contenders;
use super::event::{Side, StreamEvent};
use super::key::{End, FlowKey};
use super::limits::TcpLimits;
use super::lru::Link;
use super::stats::TcpStats;
use super::twins::Twins;
use super::waiting::{Piece, Waiting};
use crate::packet::{InterfaceId, Timestamp};
use crate::segment::{Flags, Segment, SeqNumber};

/// How far a connection has come, and whether it has been reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Only SYNs were seen.
    #[default]
    HalfOpen,
    /// Both ends sent segments without payload: not reported yet.
    Silent,
    /// The same connection is read with other addresses; this copy is never reported.
    Translated,
    /// Reported; which end is the client is a guess that may turn out to be wrong.
    Joined,
    /// Reported.
    Open,
    /// Ended; remembered for its late segments.
    Closed,
}

impl State {
    /// The connection was reported and has not ended.
    pub(super) const fn is_reported(self) -> bool {
        matches!(self, Self::Joined | Self::Open)
    }
}

/// How an end opened its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opening {
    /// It was not captured.
    #[default]
    Unseen,
    /// With a SYN.
    Syn,
    /// With a SYN-ACK.
    SynAck,
}

/// One end's position in its stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// The next byte that is expected from it (as RCV.NXT of its peer); SYN and FIN count as bytes.
    pub(super) next: SeqNumber,
    /// Its initial sequence number, if its SYN was seen or its peer's SYN-ACK acknowledges it.
    pub(super) isn: SeqNumber,
    /// Its last acknowledgment of the other end's bytes.
    pub(super) last_ack: SeqNumber,
    /// `next` is known, from its own segments or from its peer's acknowledgments.
    pub(super) known: bool,
    /// It sent a segment.
    pub(super) seen: bool,
    /// Which kind of SYN was seen.
    pub(super) opening: Opening,
    /// Its FIN was reached in order.
    pub(super) fin: bool,
}

impl Half {
    /// True for the number after its SYN, if that was seen.
    pub(super) fn follows_syn(&self, number: SeqNumber) -> bool {
        self.opening != Opening::Unseen && self.isn.advanced_by(1) == number
    }
}

/// What every segment needs, in one cache line. The rest is in [`Recovery`] and in the table.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Flow {
    pub(super) serial: u64,
    pub(super) recovery: Option<Box<Recovery>>,
    pub(super) halves: EnumMap<End, Half>,
    pub(super) link: Link,
    /// The second of the table's clock in which its last segment was seen.
    pub(super) heard: u32,
    pub(super) state: State,
    pub(super) client: Option<End>,
    /// Which end reset it, if a RST ended it.
    pub(super) reset_by: Option<End>,
    /// The slot is in the table's queue of timers.
    pub(super) timed: bool,
}

const _: () = assert!(size_of::<Flow>() == 64, "a flow fills one cache line");

/// What only a connection with gaps or unexpected segments needs.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub(super) halves: EnumMap<End, HalfRecovery>,
    /// SYNs that do not match; one of them takes over when a later segment confirms it.
    pub(super) contenders: Contenders,
}

/// The out-of-order state of one end.
#[derive(Debug, Default)]
pub(super) struct HalfRecovery {
    pub(super) waiting: Waiting,
    /// When the stream last advanced, or when its first gap appeared.
    pub(super) stuck_since: Nanos,
    /// How far its peer acknowledged bytes that were not captured.
    pub(super) acked: Option<Acked>,
    /// One acknowledged sequence number was skipped. It was a FIN that the capture lost, unless
    /// bytes follow.
    pub(super) fin_pending: bool,
    /// The end of the last segment outside the window, and how many such segments were contiguous.
    pub(super) stray: Option<(SeqNumber, u8)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    pub(super) upto: SeqNumber,
    pub(super) since: Nanos,
    /// Segments of the connection since `since`.
    pub(super) segments: u32,
}

impl Recovery {
    fn is_over(&self) -> bool {
        self.contenders.is_empty()
            && self.halves.values().all(|h| {
                h.waiting.is_empty() && h.acked.is_none() && !h.fin_pending && h.stray.is_none()
            })
    }
}

/// Where a connection comes from: needed only to report it and to forget it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowOrigin {
    pub(super) key: FlowKey,
    pub(super) interface: InterfaceId,
}

/// What a flow borrows from its table while it handles a segment or a timer.
pub(super) struct Context<'a> {
    pub(super) slot: u32,
    pub(super) now: Nanos,
    pub(super) at: Timestamp,
    pub(super) origin: &'a FlowOrigin,
    pub(super) limits: &'a TcpLimits,
    pub(super) stats: &'a mut TcpStats,
    /// The bytes held by all connections, as [`Waiting::cost`].
    pub(super) held: &'a mut usize,
    pub(super) next_serial: &'a mut u64,
    pub(super) twins: &'a mut Twins,
    pub(super) out: &'a mut Vec<StreamEvent>,
}

impl Flow {
    pub(super) fn side(&self, end: End) -> Side {
        if self.client.unwrap_or(End::Low) == end { Side::Client } else { Side::Server }
    }

    pub(super) fn recovery(&mut self, cx: &Context<'_>) -> &mut Recovery {
        self.recovery.get_or_insert_with(|| {
            let mut recovery = Box::<Recovery>::default();
            recovery.halves.values_mut().for_each(|h| h.stuck_since = cx.now);
            recovery
        })
    }

    /// The distance in bytes of a segment with other tags from what is expected of its sender;
    /// `None` if it does not belong here. If it cannot be the same network, the first segment of an
    /// end must match exactly.
    pub(super) fn distance(
        &self,
        segment: &Segment,
        from: End,
        same_network: bool,
        window: u32,
    ) -> Option<u32> {
        let (own, peer) = (&self.halves[from], &self.halves[from.other()]);
        let acknowledges = segment.flags.contains(Flags::ACK) && peer.known;
        let ack = segment.ack.distance_from(peer.next).unsigned_abs();
        let seq = segment.seq.distance_from(own.next).unsigned_abs();
        let (fits, far) = if self.state == State::Closed {
            (false, 0)
        } else if own.seen && segment.flags.contains(Flags::SYN) {
            let repeated = own.opening != Opening::Unseen && own.isn == segment.seq;
            (same_network && repeated, 0)
        } else if own.seen {
            let far = if acknowledges { seq.max(ack) } else { seq };
            (far <= window, far)
        } else {
            let limit = if same_network { window } else { 0 };
            (acknowledges && ack <= limit && (!own.known || seq <= window), ack)
        };
        fits.then_some(far)
    }

    /// True if the passing of time can change the state.
    pub(super) fn waits(&self) -> bool {
        self.recovery
            .as_ref()
            .is_some_and(|t| t.halves.values().any(|h| !h.waiting.is_empty() || h.acked.is_some()))
    }

    pub(super) fn half_recovery(&self, end: End) -> Option<&HalfRecovery> {
        self.recovery.as_ref().map(|t| &t.halves[end])
    }

    /// Frees the recovery state when nothing is left in it, which enables the fast path again.
    pub(super) fn end_recovery(&mut self) {
        if self.recovery.as_ref().is_some_and(|t| t.is_over()) {
            self.recovery = None;
        }
    }

    /// Removes the first waiting piece of `end` and updates the counters of held bytes.
    pub(super) fn pop(&mut self, end: End, cx: &mut Context<'_>) -> Option<Piece> {
        let waiting = &mut self.recovery.as_mut()?.halves[end].waiting;
        let before = (waiting.cost, waiting.payload);
        let piece = waiting.pop()?;
        *cx.held -= before.0 - waiting.cost;
        cx.stats.bytes_held -= (before.1 - waiting.payload) as u64;
        Some(piece)
    }

    /// Resets the slot for a new connection between the same ends.
    pub(super) fn forget(&mut self) {
        let (link, heard, timed) = (self.link, self.heard, self.timed);
        *self = Self { link, heard, timed, ..Self::default() };
    }
}
