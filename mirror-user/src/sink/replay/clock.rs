//! The clock of a replay: the one place of it that reads the time.

/// The time now.
#[expect(clippy::disallowed_methods, reason = "a replay happens in real time")]
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
