//! The clock of whoever talks to a broker. No other file of the broker reads the time, or waits for it alone.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::packet::Timestamp;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "a broker answers in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The current time of day.
#[expect(clippy::disallowed_methods, reason = "others read when something was counted")]
pub(super) fn wall_time() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::default().later(since_epoch)
}

/// Waits before the next attempt.
#[expect(
    clippy::disallowed_methods,
    reason = "there is nothing else to wait for between two attempts to connect"
)]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}
