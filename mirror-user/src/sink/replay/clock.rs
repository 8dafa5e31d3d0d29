//! The clock of a replay. No other file of the replay reads the time.

/// The current time.
#[expect(clippy::disallowed_methods, reason = "a replay happens in real time")]
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
