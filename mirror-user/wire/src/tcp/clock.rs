//! Packet time, made monotonic.

use std::time::Duration;

use crate::packet::Timestamp;

/// In nanoseconds. A larger step back means that the clock was set or a file was appended; smaller
/// steps are packets of several queues that are slightly out of order.
const RESET: u64 = 10_000_000_000;

/// A time that never runs backwards and never stops for long, whatever the packets' timestamps are.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: u64,
    offset: u64,
    last: Timestamp,
}

/// Nanoseconds on a [`Clock`].
pub(super) type Nanos = u64;

impl Clock {
    /// Advances to a packet with the timestamp `at`, and returns the time.
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

    /// The time of the last packet.
    pub(super) const fn now(&self) -> Nanos {
        self.now
    }

    /// The timestamp of the last packet, as captured.
    pub(super) const fn last(&self) -> Timestamp {
        self.last
    }
}

/// A limit in nanoseconds; more than 584 years is as good as none.
pub(super) fn nanos(limit: Duration) -> Nanos {
    u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
}
