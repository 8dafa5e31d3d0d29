//! The share of recent outcomes that are failures. Never reads a clock: the caller passes every
//! time. Keeps the counts of two half windows.

use std::time::{Duration, Instant};

/// The length of the window in which outcomes count.
pub(in crate::sink::replay) const WINDOW: Duration = Duration::from_secs(10);

/// The smallest number of outcomes that is evaluated: with little traffic a few failures in a row
/// mean nothing.
const MIN_OUTCOMES: u32 = 20;

/// The outcomes of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sink::replay) struct FailureCount {
    pub(in crate::sink::replay) failed: u32,
    pub(in crate::sink::replay) all: u32,
}

impl FailureCount {
    /// One outcome.
    pub(in crate::sink::replay) fn one(failed: bool) -> Self {
        Self { failed: failed.into(), all: 1 }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            failed: self.failed.saturating_add(other.failed),
            all: self.all.saturating_add(other.all),
        }
    }
}

/// The outcomes of the recent window.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sink::replay) struct RecentOutcomes {
    began: Option<Instant>,
    last: FailureCount,
    now: FailureCount,
}

impl RecentOutcomes {
    /// Adds outcomes.
    pub(in crate::sink::replay) fn add(&mut self, outcomes: FailureCount, now: Instant) {
        self.advance(now);
        self.now = self.now.plus(outcomes);
    }

    /// The counts, if there are enough outcomes and at least this share of them failed.
    pub(in crate::sink::replay) fn reaches(&self, share: f64) -> Option<FailureCount> {
        let seen = self.last.plus(self.now);
        let reached = f64::from(seen.failed) >= share * f64::from(seen.all);
        (seen.failed > 0 && seen.all >= MIN_OUTCOMES && reached).then_some(seen)
    }

    /// Moves the window on, by halves.
    fn advance(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let age = now.saturating_duration_since(began);
        if age >= WINDOW / 2 {
            self.last = if age < WINDOW { self.now } else { FailureCount::default() };
            self.now = FailureCount::default();
            self.began = Some(now);
        }
    }
}
