//! What became of each segment and each captured payload byte.

use enum_map::Enum;
use strum::IntoStaticStr;

use super::event::CloseReason;
use crate::stats::{Account, Seam, Tally};

/// What became of a segment: each has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// Its bytes or its FIN were next, and went on.
    InOrder,
    /// It came before others that precede it, and was kept.
    OutOfOrder,
    /// All of it was there already.
    Retransmitted,
    /// Part of it was there already; the rest was taken.
    Overlapping,
    /// No bytes; acknowledged something or nothing.
    Ack,
    /// No bytes, and the same acknowledgment as before.
    DuplicateAck,
    /// SYN or SYN-ACK, also a repeated one.
    Handshake,
    /// A keep-alive probe: nothing or one old byte just before what is expected (RFC 9293 §3.8.4).
    KeepAlive,
    /// Too far from what is expected.
    OutsideWindow,
    /// A RST that ended its connection.
    Reset,
    /// A RST that did not fit its connection (RFC 5961 §3).
    ResetIgnored,
    /// Bytes after the sender's FIN.
    AfterFin,
    /// Of a connection that had ended.
    AfterClose,
    /// Of a connection that is read with other addresses, before or behind a translation.
    Translated,
    /// Without SYN and payload, of no known connection.
    NoConnection,
}

/// Why captured payload bytes did not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Dropped {
    /// The same place of the stream had been seen before.
    Duplicate,
    /// See [`Fate::KeepAlive`].
    KeepAlive,
    /// See [`Fate::OutsideWindow`].
    OutsideWindow,
    /// See [`Fate::AfterFin`].
    AfterFin,
    /// See [`Fate::AfterClose`].
    AfterClose,
    /// See [`Fate::Translated`].
    Translated,
    /// In a RST (RFC 9293 §3.10.7: text that explains the reset).
    WithReset,
}

/// Why a hole was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GapReason {
    /// The receiver acknowledged it: the capture lost it.
    Acknowledged,
    /// Nothing filled it in time.
    TimedOut,
    /// What waited behind it reached a limit.
    HeldLimit,
    /// The connection ended, or a new place of the stream was taken.
    Ended,
    /// The stream went on more than a window ahead.
    Moved,
    /// The capture cut the packet (snaplen).
    Cut,
}

/// Everything that the tcp room counts.
#[derive(Debug, Default)]
pub struct TcpStats {
    /// Segments by what became of them; the total is the segments seen.
    pub segments: Tally<Fate>,
    /// Captured payload bytes seen.
    pub bytes_seen: u64,
    /// Of these, those that went on.
    pub bytes_delivered: u64,
    /// Of these, the others.
    pub bytes_dropped: Tally<Dropped>,
    /// Of these, those that wait behind a hole now; 0 after `finish`.
    pub bytes_held: u64,
    /// Holes told, by reason.
    pub gaps: Tally<GapReason>,
    /// The bytes in them.
    pub gap_bytes: Tally<GapReason>,
    /// Segments with urgent data; it is kept in line (RFC 6093 §5).
    pub urgent: u64,
    /// Connections told.
    pub opened: u64,
    /// Of these, those that ended, by reason.
    pub closed: Tally<CloseReason>,
    /// Connections forgotten because the table was full, without those told as `Evicted`.
    pub evicted_unopened: u64,
}

impl TcpStats {
    pub(super) fn drop_bytes(&mut self, reason: Dropped, bytes: usize) {
        if bytes > 0 {
            self.bytes_dropped.add(reason, bytes as u64);
        }
    }

    /// The proof for payload bytes. Those that wait behind a gap are in flight.
    #[must_use]
    pub fn bytes(&self) -> Account {
        Account {
            seen: self.bytes_seen,
            delivered: self.bytes_delivered,
            in_flight: self.bytes_held,
            dropped: self.bytes_dropped.counts(),
            ..Account::new(Seam::PayloadBytes)
        }
    }

    /// The proof for connections. Those still open are in flight.
    #[must_use]
    pub fn connections(&self) -> Account {
        let (seen, delivered) = (self.opened, self.closed.total());
        Account { seen, delivered, ..Account::new(Seam::Connections) }.with_rest_in_flight()
    }
}
