//! What the tcp stage may hold, and how long it waits. All times are packet time.

use std::time::Duration;

use crate::filter::Ports;

/// The limits of a [`FlowTable`](super::FlowTable).
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections remembered, of any state. A flow takes about 170 bytes, so the default of
    /// 262,144 is some 44 MiB when full, and 80 MiB when all packets have tags; counted as
    /// `evicted` beyond.
    pub connections: usize,
    /// Out-of-order bytes held for one connection, with [`PIECE_OVERHEAD`] for each segment. The
    /// default of 4 MiB is near Linux's largest automatic receive buffer (6 MiB, half of it
    /// payload). Beyond it the first gap is given up. One segment may exceed it within a push.
    pub held_per_connection: usize,
    /// The same for all connections together; 64 MiB.
    pub held_in_all: usize,
    /// Out-of-order segments held for one side of a connection; bounds the search in them.
    pub held_segments: usize,
    /// How long a gap that the receiver acknowledged may still be filled: captures of several
    /// queues or interfaces are reordered by no more than a few milliseconds.
    pub grace: Duration,
    /// The same in segments of the connection, for captures that are denser than that.
    pub grace_segments: u32,
    /// How long an unacknowledged gap waits for its retransmission if the receiver's side is
    /// captured too: seven back-offs of Linux's first 200 ms time-out take 25 s.
    pub gap_wait: Duration,
    /// The same if only the sender is captured, and no acknowledgment can show that it was
    /// received.
    pub blind_gap_wait: Duration,
    /// How far ahead of the expected byte a segment may lie. Windows are known only up to their
    /// scale, so this is one bound for all: twice the 32 MiB that tuned hosts let a window grow to.
    pub window: u32,
    /// After this long without a segment a connection is closed as idle.
    pub idle: Duration,
    /// After this long without a segment a connection with an unfinished handshake is forgotten;
    /// Linux answers SYNs for 63 s.
    pub half_open: Duration,
    /// How long a closed connection is remembered, so that its late segments do not open another
    /// one; Linux's TIME-WAIT.
    pub linger: Duration,
    /// Ports that servers listen on, if known; they decide which end is the client if no SYN was
    /// captured.
    pub server_ports: Ports,
    /// True if only the beginning of each packet to the client was asked for: what is missing at its end is
    /// [`Change::Omitted`](super::event::Change::Omitted), and no gap.
    pub brief_responses: bool,
}

/// What a held segment costs besides its bytes: its entry in the queue and its allocation.
pub const PIECE_OVERHEAD: usize = 80;

/// The most bytes of one segment that are believed, whatever the packet claims; 1 MiB is
/// beyond the 512 KiB of BIG TCP (Linux 6.3).
pub(super) const MAX_CUT: u32 = 1 << 20;

/// The largest window there is, 65,535 · 2¹⁴ (RFC 7323 §2.3): no acknowledgment can be further
/// ahead of the captured bytes and still be distinguished from one that lags.
pub(super) const MAX_ACK_AHEAD: i32 = 1 << 30;

/// Connections whose first payload is remembered, to recognize them with other addresses; 24 bytes
/// each.
pub(super) const TWIN_SLOTS: usize = 4096;

/// How long after a connection's first payload it may be seen with other addresses: a translation
/// on this host takes microseconds.
pub(super) const TWIN_WITHIN: Duration = Duration::from_millis(50);

/// SYNs that contradict a connection's own and are remembered until an acknowledgment shows which
/// one counts; 12 bytes each. Beyond it the oldest is forgotten, and the acknowledgment decides
/// alone.
pub(super) const MAX_CONTENDERS: usize = 8;

/// After this many contiguous segments outside its window a side moves there: the capture lost more
/// than a window. A forger would have to send all of them.
pub(super) const STRAYS_TO_MOVE: u8 = 4;

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 262_144,
            held_per_connection: 4 << 20,
            held_in_all: 64 << 20,
            held_segments: 4096,
            grace: Duration::from_millis(20),
            grace_segments: 32,
            gap_wait: Duration::from_secs(30),
            blind_gap_wait: Duration::from_secs(2),
            window: 64 << 20,
            idle: Duration::from_secs(3600),
            half_open: Duration::from_secs(63),
            linger: Duration::from_secs(60),
            server_ports: Ports::default(),
            brief_responses: false,
        }
    }
}

impl TcpLimits {
    /// For captures in files, which nobody waits for: merged from several, they may be out of order
    /// by seconds. An acknowledged gap waits as long as any other; the segments bound what is held.
    #[must_use]
    pub fn for_files() -> Self {
        let live = Self::default();
        Self { grace: live.gap_wait, grace_segments: 2048, ..live }
    }
}
