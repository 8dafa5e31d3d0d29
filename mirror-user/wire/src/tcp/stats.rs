//! What became of each segment and each captured payload byte.

use enum_map::Enum;
use strum::IntoStaticStr;

use super::event::CloseReason;
use crate::stats::{Account, Seam, Tally};

/// What became of a segment: each has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Disposition {
    /// Its bytes or its FIN were next, and were delivered.
    InOrder,
    /// It arrived before segments that precede it, and was held.
    OutOfOrder,
    /// All of it had been received.
    Retransmitted,
    /// Part of it had been received; the rest was taken.
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
    /// Of a connection that is read with other addresses, before or after a translation.
    Translated,
    /// Without SYN and payload, of no known connection.
    NoConnection,
}

/// Why captured payload bytes were not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Dropped {
    /// The same position of the stream had been received before.
    Duplicate,
    /// See [`Disposition::KeepAlive`].
    KeepAlive,
    /// See [`Disposition::OutsideWindow`].
    OutsideWindow,
    /// See [`Disposition::AfterFin`].
    AfterFin,
    /// See [`Disposition::AfterClose`].
    AfterClose,
    /// See [`Disposition::Translated`].
    Translated,
    /// In a RST (RFC 9293 §3.10.7: text that explains the reset).
    WithReset,
}

/// Why a gap was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GapReason {
    /// The receiver acknowledged it: the capture lost it.
    Acknowledged,
    /// Nothing filled it in time.
    TimedOut,
    /// The bytes held after it reached a limit.
    HeldLimit,
    /// The connection ended, or the stream moved to another position.
    Ended,
    /// The stream continued more than a window ahead.
    Moved,
    /// The capture cut the packet (snaplen).
    Cut,
}

/// Everything that the tcp stage counts.
#[derive(Debug, Default)]
pub struct TcpStats {
    /// Segments by disposition; the total is the number of segments seen.
    pub segments: Tally<Disposition>,
    /// Captured payload bytes seen.
    pub bytes_seen: u64,
    /// Of these, those that were delivered.
    pub bytes_delivered: u64,
    /// Of these, the others.
    pub bytes_dropped: Tally<Dropped>,
    /// Of these, those that are held after a gap now; 0 after `finish`.
    pub bytes_held: u64,
    /// Gaps emitted, by reason.
    pub gaps: Tally<GapReason>,
    /// The bytes in these gaps, by reason.
    pub gap_bytes: Tally<GapReason>,
    /// Bytes that were left out on purpose.
    pub omitted_bytes: u64,
    /// Segments with urgent data; it is kept in line (RFC 6093 §5).
    pub urgent: u64,
    /// Connections reported.
    pub opened: u64,
    /// Of these, those that ended, by reason.
    pub closed: Tally<CloseReason>,
    /// Connections forgotten because the table was full, without those reported as `Evicted`.
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
