//! One connection: where each side's bytes are, and what is told of it.

use std::sync::Arc;

use bytes::Bytes;
use enum_map::EnumMap;

use super::clock::Nanos;
use super::contest::Contenders;
use super::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};
use super::key::{End, FlowKey};
use super::limits::TcpLimits;
use super::lru::Link;
use super::roles;
use super::stats::{Dropped, GapReason, TcpStats};
use super::twins::Twins;
use super::waiting::{Piece, Waiting};
use crate::packet::{InterfaceId, Timestamp};
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment};

/// How far a connection is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing but SYNs.
    #[default]
    HalfOpen,
    /// Both ends spoke, without payload: nothing is told yet.
    Silent,
    /// The same connection is read with other addresses; nothing of it is told.
    Translated,
    /// Told, but who is the client was guessed and may turn out to be wrong.
    Joined,
    /// Told.
    Open,
    /// Ended; kept for its late segments.
    Closed,
}

impl State {
    /// The connection was told and has not ended.
    pub(super) const fn is_told(self) -> bool {
        matches!(self, Self::Joined | Self::Open)
    }
}

/// How an end began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opening {
    /// Nobody saw it.
    #[default]
    Unseen,
    /// With a SYN.
    Syn,
    /// With a SYN-ACK.
    SynAck,
}

/// One end's place in its stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// The next byte that is expected from it (as RCV.NXT of its peer); SYN and FIN count as bytes.
    pub(super) next: SeqNumber,
    /// The number of its SYN, if that was seen or its peer's SYN-ACK acknowledges it.
    pub(super) isn: SeqNumber,
    /// What it acknowledged last of the other end.
    pub(super) last_ack: SeqNumber,
    /// `next` means something: from its own segments or from its peer's acknowledgments.
    pub(super) known: bool,
    /// It sent a segment.
    pub(super) seen: bool,
    /// Which SYN of it was seen.
    pub(super) opening: Opening,
    /// Its FIN was reached.
    pub(super) fin: bool,
}

impl Half {
    /// True for the number after its SYN, if that was seen.
    pub(super) fn follows_syn(&self, number: SeqNumber) -> bool {
        self.opening != Opening::Unseen && self.isn.advanced_by(1) == number
    }
}

/// What every segment needs, in one cache line; the rest is in [`Trouble`] and in the table.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Flow {
    pub(super) serial: u64,
    pub(super) trouble: Option<Box<Trouble>>,
    pub(super) halves: EnumMap<End, Half>,
    pub(super) link: Link,
    /// Second of the table's clock in which it was last heard of.
    pub(super) heard: u32,
    pub(super) state: State,
    pub(super) client: Option<End>,
    /// Who reset it, if that ended it.
    pub(super) reset_by: Option<End>,
    /// The slot is in the table's queue of timers.
    pub(super) timed: bool,
}

const _: () = assert!(size_of::<Flow>() == 64, "a flow fills one cache line");

/// What only a connection with holes or strange segments needs.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) halves: EnumMap<End, HalfTrouble>,
    /// SYNs that do not fit; one takes the connection over once something confirms it.
    pub(super) contenders: Contenders,
}

/// What waits in one end's stream.
#[derive(Debug, Default)]
pub(super) struct HalfTrouble {
    pub(super) waiting: Waiting,
    /// When the stream last went on, or the first hole appeared.
    pub(super) stuck_since: Nanos,
    /// How far its peer acknowledged bytes that were not seen.
    pub(super) acked: Option<Acked>,
    /// One acknowledged number was passed over. It was a FIN that the capture lost, unless bytes
    /// follow.
    pub(super) owed: bool,
    /// The end of the last segment outside the window, and how many fitted each other.
    pub(super) stray: Option<(SeqNumber, u8)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    pub(super) upto: SeqNumber,
    pub(super) since: Nanos,
    /// Segments of the connection since then.
    pub(super) segments: u32,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.contenders.is_empty()
            && self
                .halves
                .values()
                .all(|h| h.waiting.is_empty() && h.acked.is_none() && !h.owed && h.stray.is_none())
    }
}

/// What only telling and forgetting a connection need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub(super) key: FlowKey,
    pub(super) interface: InterfaceId,
}

/// What a flow needs from its table while it works: where it is, when, and where to tell.
pub(super) struct Desk<'a> {
    pub(super) slot: u32,
    pub(super) now: Nanos,
    pub(super) at: Timestamp,
    pub(super) birth: &'a Birth,
    pub(super) limits: &'a TcpLimits,
    pub(super) stats: &'a mut TcpStats,
    /// What all connections hold, as [`Waiting::cost`].
    pub(super) held: &'a mut usize,
    pub(super) next_serial: &'a mut u64,
    pub(super) twins: &'a mut Twins,
    pub(super) out: &'a mut Vec<StreamEvent>,
}

impl Flow {
    pub(super) fn side(&self, end: End) -> Side {
        if self.client.unwrap_or(End::Low) == end { Side::Client } else { Side::Server }
    }

    pub(super) fn trouble(&mut self, desk: &Desk<'_>) -> &mut Trouble {
        self.trouble.get_or_insert_with(|| {
            let mut trouble = Box::<Trouble>::default();
            trouble.halves.values_mut().for_each(|h| h.stuck_since = desk.now);
            trouble
        })
    }

    /// How far a segment that bears other tags is from what is expected of its sender, in bytes;
    /// `None` if it does not belong here. The first one of an end in what cannot be the same network
    /// must fit exactly.
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

    /// True when time alone can change something.
    pub(super) fn waits(&self) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|t| t.halves.values().any(|h| !h.waiting.is_empty() || h.acked.is_some()))
    }

    pub(super) fn half_trouble(&self, end: End) -> Option<&HalfTrouble> {
        self.trouble.as_ref().map(|t| &t.halves[end])
    }

    /// Gives the box back once nothing waits, so that the fast path is open again.
    pub(super) fn end_trouble(&mut self) {
        if self.trouble.as_ref().is_some_and(|t| t.is_over()) {
            self.trouble = None;
        }
    }

    pub(super) fn tell(&self, change: Change, desk: &mut Desk<'_>) {
        desk.out.push(StreamEvent { conn: self.id(desk), at: desk.at, change });
    }

    fn id(&self, desk: &Desk<'_>) -> ConnId {
        ConnId { slot: desk.slot, serial: self.serial }
    }

    /// Tells the connection, if that was not done.
    #[inline]
    pub(super) fn open(&mut self, desk: &mut Desk<'_>) {
        if !self.state.is_told() {
            self.begin(desk);
        }
    }

    /// Tells the connection, which is done once in its life as long as its sides stay what they are.
    #[cold]
    fn begin(&mut self, desk: &mut Desk<'_>) {
        let client = *self.client.get_or_insert_with(|| {
            roles::client_end(&desk.birth.key, &desk.limits.server_ports, None)
        });
        self.serial = *desk.next_serial;
        *desk.next_serial += 1;
        let midstream = self.halves.values().all(|h| h.opening == Opening::Unseen);
        let guessed =
            midstream && roles::by_ports(&desk.birth.key, &desk.limits.server_ports).is_none();
        self.state = if guessed { State::Joined } else { State::Open };
        desk.stats.opened += 1;
        let peers = Arc::new(Peers {
            client: desk.birth.key.address(client),
            server: desk.birth.key.address(client.other()),
            interface: desk.birth.interface,
        });
        self.tell(Change::Opened { peers, midstream }, desk);
        for end in [client, client.other()] {
            if self.halves[end].fin {
                self.tell(Change::Finished(self.side(end)), desk);
            }
        }
    }

    /// Tells payload of `end` that is next in its stream and was seen at `at`: earlier than now if it
    /// had to wait.
    #[inline]
    pub(super) fn tell_data(
        &mut self,
        end: End,
        payload: Bytes,
        at: Timestamp,
        desk: &mut Desk<'_>,
    ) {
        if payload.is_empty() {
            return;
        }
        desk.stats.bytes_delivered += payload.len() as u64;
        if self.state != State::Open {
            self.reconsider(end, &payload, desk);
        }
        let change = Change::Data(self.side(end), payload);
        desk.out.push(StreamEvent { conn: self.id(desk), at, change });
    }

    /// Tells the connection before its first bytes; afterwards, while its sides are a guess, lets
    /// the start of a message say whether they are right. If not, it ends and begins anew the
    /// other way round.
    #[cold]
    fn reconsider(&mut self, end: End, payload: &[u8], desk: &mut Desk<'_>) {
        if self.state != State::Joined {
            return self.begin(desk);
        }
        let Some(side) = roles::speaker(payload) else { return };
        if side == self.side(end) {
            self.state = State::Open;
            return;
        }
        desk.stats.closed.count(CloseReason::SidesChanged);
        self.tell(Change::Closed(CloseReason::SidesChanged), desk);
        self.client = self.client.map(End::other);
        self.begin(desk);
    }

    /// Takes a piece that begins at `next`.
    pub(super) fn deliver(&mut self, end: End, piece: Piece, desk: &mut Desk<'_>) {
        if self.trouble.as_ref().is_some_and(|t| t.halves[end].owed) && piece.span() > 0 {
            self.trouble(desk).halves[end].owed = false;
            self.tell_gap(end, 1, GapReason::Acknowledged, desk);
        }
        self.halves[end].next = piece.end();
        self.tell_data(end, piece.payload, piece.at, desk);
        if piece.cut > 0 {
            self.tell_gap(end, piece.cut, GapReason::Cut, desk);
        }
        if piece.fin {
            self.finish_half(end, desk);
        }
        let next = self.halves[end].next;
        if let Some(trouble) = &mut self.trouble {
            let half = &mut trouble.halves[end];
            half.stuck_since = desk.now;
            half.stray = None;
            half.acked = half.acked.filter(|acked| acked.upto.is_after(next));
        }
    }

    /// `end`'s FIN was reached: nothing can follow.
    pub(super) fn finish_half(&mut self, end: End, desk: &mut Desk<'_>) {
        self.halves[end].fin = true;
        if self.state.is_told() {
            self.tell(Change::Finished(self.side(end)), desk);
        }
        while let Some(piece) = self.pop(end, desk) {
            desk.stats.drop_bytes(Dropped::AfterFin, piece.payload.len());
        }
        if let Some(trouble) = &mut self.trouble {
            trouble.halves[end].acked = None;
        }
    }

    pub(super) fn tell_gap(&mut self, end: End, bytes: u32, why: GapReason, desk: &mut Desk<'_>) {
        desk.stats.gaps.count(why);
        desk.stats.gap_bytes.add(why, u64::from(bytes));
        self.open(desk);
        self.tell(Change::Gap(self.side(end), u64::from(bytes)), desk);
    }

    /// Takes the first waiting piece of `end` out of the books.
    pub(super) fn pop(&mut self, end: End, desk: &mut Desk<'_>) -> Option<Piece> {
        let waiting = &mut self.trouble.as_mut()?.halves[end].waiting;
        let before = (waiting.cost, waiting.payload);
        let piece = waiting.pop()?;
        *desk.held -= before.0 - waiting.cost;
        desk.stats.bytes_held -= (before.1 - waiting.payload) as u64;
        Some(piece)
    }

    /// Ends the connection: what waits is told behind its holes, then the end.
    pub(super) fn close(&mut self, reason: CloseReason, desk: &mut Desk<'_>) {
        self.flush(desk);
        if self.state.is_told() {
            desk.stats.closed.count(reason);
            self.tell(Change::Closed(reason), desk);
        }
        self.state = State::Closed;
        self.trouble = None;
    }

    /// Makes place for a new connection between the same ends.
    pub(super) fn forget(&mut self) {
        let (link, heard, timed) = (self.link, self.heard, self.timed);
        *self = Self { link, heard, timed, ..Self::default() };
    }
}
