//! Whether so many of a target's requests fail that it should not get those of more hosts: what `/readyz` says, so
//! that a rollout stops.
//!
//! Stops nothing by itself and counts nothing: it compares the target's counters with those of earlier looks, so
//! that a request costs nothing more. Never reads a clock: the caller passes every time.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sink::replay::outcome::progress::Outcomes;

/// How far back a look goes; further if nobody looked for so long. Three of the kubelet's looks at the longest
/// period that is usual, 10 s.
const WINDOW: Duration = Duration::from_secs(30);

/// Looks that are nearer to each other are one: so there are at most `WINDOW / RESOLUTION` of them and a few.
const RESOLUTION: Duration = Duration::from_secs(1);

/// The smallest number of outcomes that is judged: of a few requests a few failures mean nothing.
const MIN_OUTCOMES: u64 = 20;

/// How a target does that is held to a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetHealth {
    /// Fewer of its requests fail, or too few were sent to tell.
    Well,
    /// As many fail as the limit, or more.
    Failing {
        /// Requests without a response, or with a 5xx.
        failed: u64,
        /// All requests with an outcome in the same time.
        all: u64,
    },
}

/// The limit of one target, and the looks at it.
#[derive(Debug)]
pub(in crate::sink::replay) struct Health {
    /// The share of failures, from 0 to 1.
    limit: f64,
    /// The youngest last; the first one is [`WINDOW`] old, or the first at all.
    looks: Mutex<VecDeque<(Instant, Outcomes)>>,
}

impl Health {
    pub(in crate::sink::replay) fn new(limit: f64, now: Instant) -> Self {
        Self { limit, looks: Mutex::new([(now, Outcomes::default())].into()) }
    }

    /// How it does, by its outcomes so far.
    pub(in crate::sink::replay) fn look(&self, so_far: Outcomes, now: Instant) -> TargetHealth {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |(then, _): &(Instant, Outcomes)| now.saturating_duration_since(*then);
        while looks.get(1).is_some_and(|second| age(second) >= WINDOW) {
            looks.pop_front();
        }
        let (_, then) = looks.front().copied().unwrap_or((now, so_far));
        if looks.back().is_none_or(|last| age(last) >= RESOLUTION) {
            looks.push_back((now, so_far));
        }
        let failed = so_far.failed.saturating_sub(then.failed);
        let all = so_far.all.saturating_sub(then.all);
        let reached = failed as f64 >= self.limit * all as f64;
        if failed > 0 && all >= MIN_OUTCOMES && reached {
            TargetHealth::Failing { failed, all }
        } else {
            TargetHealth::Well
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::clock::now;

    fn after(failed: u64, all: u64) -> Outcomes {
        Outcomes { failed, all }
    }

    #[test]
    fn failures_count_while_they_are_recent() {
        let start = now();
        let health = Health::new(0.2, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(health.look(after(3, 19), at(1)), TargetHealth::Well, "too few to tell");
        let failing = TargetHealth::Failing { failed: 20, all: 100 };
        assert_eq!(health.look(after(20, 100), at(5)), failing);
        assert_eq!(health.look(after(20, 101), at(6)), TargetHealth::Well, "just below");
        let failing = TargetHealth::Failing { failed: 60, all: 180 };
        assert_eq!(health.look(after(60, 180), at(29)), failing);
        // At 35 s the look at 5 s is the youngest that is old enough.
        let failing = TargetHealth::Failing { failed: 40, all: 120 };
        assert_eq!(health.look(after(60, 220), at(35)), failing);
        assert_eq!(health.look(after(60, 260), at(60)), TargetHealth::Well);
        // After a long time without a look, all of it counts.
        let failing = TargetHealth::Failing { failed: 140, all: 340 };
        assert_eq!(health.look(after(200, 600), at(600)), failing);
    }

    #[test]
    fn however_often_one_looks_few_looks_are_kept() {
        let start = now();
        let health = Health::new(0.5, start);
        for tenth in 0..3_000 {
            let at = start + Duration::from_millis(100) * tenth;
            health.look(after(0, u64::from(tenth)), at);
        }
        let kept = health.looks.lock().unwrap().len();
        assert!((30..=33).contains(&kept), "{kept}");
    }
}
