//! Outcomes in, what share of the recent ones failed out. Looks at no clock: every time is told. Remembers
//! two half windows of counts.

use std::time::{Duration, Instant};

/// The failures of so long a time count.
pub(in crate::sink::replay) const WINDOW: Duration = Duration::from_secs(10);

/// Fewer outcomes than this in the window say nothing: what is quiet may fail twice in a row.
const AT_LEAST: u32 = 20;

/// What one window saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sink::replay) struct Seen {
    pub(in crate::sink::replay) failed: u32,
    pub(in crate::sink::replay) all: u32,
}

impl Seen {
    /// One outcome.
    pub(in crate::sink::replay) fn one(failed: bool) -> Self {
        Self { failed: failed.into(), all: 1 }
    }

    fn and(self, other: Self) -> Self {
        Self {
            failed: self.failed.saturating_add(other.failed),
            all: self.all.saturating_add(other.all),
        }
    }
}

/// The outcomes of the last while.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sink::replay) struct Recent {
    began: Option<Instant>,
    last: Seen,
    now: Seen,
}

impl Recent {
    /// Takes note of outcomes.
    pub(in crate::sink::replay) fn add(&mut self, outcomes: Seen, now: Instant) {
        self.turn(now);
        self.now = self.now.and(outcomes);
    }

    /// What was seen, when that is enough to say that at least this share of it failed.
    pub(in crate::sink::replay) fn reaches(&self, share: f64) -> Option<Seen> {
        let seen = self.last.and(self.now);
        let reached = f64::from(seen.failed) >= share * f64::from(seen.all);
        (seen.failed > 0 && seen.all >= AT_LEAST && reached).then_some(seen)
    }

    /// The window moves on by halves.
    fn turn(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let age = now.saturating_duration_since(began);
        if age >= WINDOW / 2 {
            self.last = if age < WINDOW { self.now } else { Seen::default() };
            self.now = Seen::default();
            self.began = Some(now);
        }
    }
}
