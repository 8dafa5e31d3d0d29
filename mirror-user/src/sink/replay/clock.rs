//! The clock of a replay. No other file of the replay reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::packet::Timestamp;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "a replay happens in real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The current time of day.
#[expect(clippy::disallowed_methods, reason = "the target's responses arrive in real time")]
pub(super) fn wall_time() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::default().later(since_epoch)
}
