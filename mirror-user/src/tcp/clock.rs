//! Packet time made to run forwards.

use std::time::Duration;

use crate::packet::Timestamp;

/// A step back by more than this is a clock that was set or a file that was appended; smaller ones
/// are packets of several queues in a slightly wrong order.
const RESET: u64 = 10_000_000_000;

/// A time that never runs backwards and never stands still for long, whatever the packets say.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: u64,
    offset: u64,
    last: Timestamp,
}

/// Nanoseconds on a [`Clock`].
pub(super) type Nanos = u64;

impl Clock {
    /// The time after a packet stamped `at`.
    pub(super) fn advance(&mut self, at: Timestamp) -> Nanos {
        self.last = at;
        let stamped = at.as_nanos().saturating_add(self.offset);
        if stamped >= self.now {
            self.now = stamped;
        } else if self.now - stamped > RESET {
            self.offset = self.offset.saturating_add(self.now - stamped);
        }
        self.now
    }

    /// The time after the last packet.
    pub(super) const fn now(&self) -> Nanos {
        self.now
    }

    /// What the last packet was stamped with.
    pub(super) const fn last(&self) -> Timestamp {
        self.last
    }
}

/// A limit in nanoseconds; one beyond 584 years is as good as none.
pub(super) fn nanos(limit: Duration) -> Nanos {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
}
