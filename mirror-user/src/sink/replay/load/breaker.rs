//! Outcomes in, whether the next request may go out: a target that mostly fails is left alone for
//! a while, and then asked by one request whether it is well again.
//!
//! Never waits and never looks at a clock: every time is told. Remembers the outcomes of the last while.

use std::time::{Duration, Instant};

use super::recent::{Recent, Seen};

/// When a target is left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerOptions {
    /// The share of failures, from 0 to 1, from which on it opens.
    pub share: f64,
    /// An answer that takes longer than this counts as a failure.
    pub slow: Option<Duration>,
    /// How long it stays open before it lets one request through.
    pub rest: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        // Half: a target that answers more often than not can still be compared. Five seconds are
        // long for a service that restarts, and short for an operator who watches.
        Self { share: 0.5, slow: None, rest: Duration::from_secs(5) }
    }
}

/// What the operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Change {
    /// So many of so many failed: nothing is sent for a while.
    Opened(Seen),
    /// The request that was let through failed, too.
    StillOpen,
    /// It was answered: everything is sent again.
    Closed,
}

/// Whether a request may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Pass {
    /// It may.
    Yes,
    /// It may, to see whether the target is well again.
    Probe,
    /// It may not.
    No,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// One for each target.
#[derive(Debug)]
pub(in crate::sink::replay) struct Breaker {
    options: BreakerOptions,
    state: State,
    recent: Recent,
}

impl Breaker {
    pub(in crate::sink::replay) fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed, recent: Recent::default() }
    }

    /// Asked before a request is sent. Whoever is told [`Pass::Probe`] must record its outcome.
    pub(in crate::sink::replay) fn pass(&mut self, now: Instant) -> Pass {
        match self.state {
            State::Closed => Pass::Yes,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Pass::Probe
            }
            State::Open { .. } | State::Probing => Pass::No,
        }
    }

    /// True while nothing is to be prepared for requests either, such as a connection.
    pub(in crate::sink::replay) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Takes note of how a request ended that went out with `pass`: in how long it was answered, or
    /// `None` when the target failed it.
    pub(in crate::sink::replay) fn record(
        &mut self,
        pass: Pass,
        answered: Option<Duration>,
        now: Instant,
    ) -> Option<Change> {
        let slow = |took: Duration| self.options.slow.is_some_and(|longest| took > longest);
        let failed = answered.is_none_or(slow);
        match (self.state, pass) {
            (State::Probing, Pass::Probe) if failed => {
                self.open(now);
                Some(Change::StillOpen)
            }
            (State::Probing, Pass::Probe) => {
                *self = Self::new(self.options);
                Some(Change::Closed)
            }
            (State::Closed, _) => {
                self.recent.add(Seen::one(failed), now);
                let seen = self.recent.reaches(self.options.share).filter(|_| failed)?;
                self.open(now);
                Some(Change::Opened(seen))
            }
            // What was on its way when it opened tells nothing new.
            (State::Open { .. } | State::Probing, _) => None,
        }
    }

    /// A request that went out with [`Pass::Probe`] was given up: another one is to ask.
    pub(in crate::sink::replay) fn give_up(&mut self, now: Instant) {
        if let State::Probing = self.state {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, now: Instant) {
        self.state = State::Open { until: now + self.options.rest };
        self.recent = Recent::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::load::recent::WINDOW;

    const WELL: Option<Duration> = Some(Duration::from_millis(1));

    /// A breaker that has seen so many failures and answers, all at `at`.
    fn after(failed: u32, well: u32, at: Instant) -> (Breaker, Vec<Change>) {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let outcomes = (0..well).map(|_| WELL).chain((0..failed).map(|_| None));
        let changes =
            outcomes.filter_map(|outcome| breaker.record(Pass::Yes, outcome, at)).collect();
        (breaker, changes)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn it_opens_when_half_of_enough_requests_failed() {
        let start = Instant::now();
        assert_eq!(after(19, 0, start).1, [], "too few to say");
        assert_eq!(after(19, 21, start).1, [], "less than half");
        let (mut breaker, changes) = after(20, 20, start);
        assert_eq!(changes, [Change::Opened(Seen { failed: 20, all: 40 })]);
        assert_eq!(breaker.pass(start), Pass::No);
        assert!(breaker.is_open());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn one_request_asks_whether_the_target_is_well_again() {
        let start = Instant::now();
        let rest = BreakerOptions::default().rest;
        let (mut breaker, _) = after(20, 0, start);
        assert_eq!(breaker.pass(start + rest / 2), Pass::No);
        assert_eq!(breaker.pass(start + rest), Pass::Probe);
        assert_eq!(breaker.pass(start + rest), Pass::No, "one at a time");
        assert_eq!(breaker.record(Pass::Probe, None, start + rest), Some(Change::StillOpen));
        assert_eq!(breaker.pass(start + rest * 2), Pass::Probe);
        breaker.give_up(start + rest * 2);
        assert_eq!(breaker.pass(start + rest * 2), Pass::Probe);
        assert_eq!(breaker.record(Pass::Probe, WELL, start + rest * 2), Some(Change::Closed));
        assert_eq!(breaker.pass(start + rest * 2), Pass::Yes);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn old_failures_are_forgotten_and_slow_answers_are_failures() {
        let start = Instant::now();
        let (mut breaker, _) = after(19, 0, start);
        assert_eq!(breaker.record(Pass::Yes, None, start + WINDOW), None);
        let slow = Some(Duration::from_millis(100));
        let mut breaker = Breaker::new(BreakerOptions { slow, ..BreakerOptions::default() });
        let changes: Vec<Change> = (0..20)
            .filter_map(|_| breaker.record(Pass::Yes, Some(Duration::from_secs(1)), start))
            .collect();
        assert_eq!(changes, [Change::Opened(Seen { failed: 20, all: 20 })]);
    }

    proptest::proptest! {
        /// Whatever happens, a breaker that is open lets a request through once it has rested.
        #[test]
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        fn it_never_stays_open_for_good(steps in proptest::collection::vec((0_u64..3000, proptest::bool::ANY), 0..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(BreakerOptions::default());
            for (millis, well) in steps {
                now += Duration::from_millis(millis);
                let pass = breaker.pass(now);
                if pass != Pass::No {
                    breaker.record(pass, WELL.filter(|_| well), now);
                }
            }
            proptest::prop_assert_ne!(breaker.pass(now + BreakerOptions::default().rest), Pass::No);
        }
    }
}
