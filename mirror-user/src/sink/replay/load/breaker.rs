//! The circuit breaker of a target. It opens when too many requests fail, and stays open for a
//! while. Then one probe request decides whether it closes.
//!
//! Never waits and never reads a clock: the caller passes every time. Keeps counts of recent
//! outcomes.

use std::time::{Duration, Instant};

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::recent::{FailureCount, RecentOutcomes};

/// When the circuit breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerOptions {
    /// It opens at this share of failures, from 0 to 1.
    pub share: f64,
    /// A response that takes longer than this counts as a failure.
    pub slow: Option<Duration>,
    /// How long it stays open before it admits a probe request.
    pub rest: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        // Half: a target that succeeds more often than not can still be compared. Five seconds are
        // long for a service that restarts, and short for an operator who waits.
        Self { share: 0.5, slow: None, rest: Duration::from_secs(5) }
    }
}

/// A change of state, to be reported to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Transition {
    /// Too many requests failed: nothing is sent for a while.
    Opened(FailureCount),
    /// The probe failed.
    StillOpen,
    /// The probe succeeded: everything is sent again.
    Closed,
}

/// The state of a circuit breaker, in the words that Envoy and others use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum BreakerState {
    /// Requests are sent.
    #[default]
    Closed,
    /// Nothing is sent.
    Open,
    /// One request is sent to find out whether the target responds again.
    HalfOpen,
}

impl BreakerState {
    /// The state of this number; closed if there is none.
    pub(in crate::sink::replay) fn numbered(number: u8) -> Self {
        Self::iter().find(|state| *state as u8 == number).unwrap_or_default()
    }
}

/// Whether a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Admission {
    /// It may.
    Allowed,
    /// It may, as a probe.
    Probe,
    /// It may not.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Instant },
    Probing,
}

/// The circuit breaker of one target.
#[derive(Debug)]
pub(in crate::sink::replay) struct Breaker {
    options: BreakerOptions,
    state: State,
    recent: RecentOutcomes,
}

impl Breaker {
    pub(in crate::sink::replay) fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed, recent: RecentOutcomes::default() }
    }

    /// Decides whether a request may be sent. After [`Admission::Probe`] the caller must call
    /// [`record`](Self::record) or [`abandon_probe`](Self::abandon_probe).
    pub(in crate::sink::replay) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Allowed,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Admission::Probe
            }
            State::Open { .. } | State::Probing => Admission::Refused,
        }
    }

    /// True while open or probing. Then nothing is prepared for requests either, such as a
    /// connection.
    pub(in crate::sink::replay) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Its state, as it is shown.
    pub(in crate::sink::replay) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing => BreakerState::HalfOpen,
        }
    }

    /// Records the outcome of a request that was admitted with `admission`: the response time, or
    /// `None` if the target failed.
    pub(in crate::sink::replay) fn record(
        &mut self,
        admission: Admission,
        response_time: Option<Duration>,
        now: Instant,
    ) -> Option<Transition> {
        let slow = |took: Duration| self.options.slow.is_some_and(|longest| took > longest);
        let failed = response_time.is_none_or(slow);
        match (self.state, admission) {
            (State::Probing, Admission::Probe) if failed => {
                self.open(now);
                Some(Transition::StillOpen)
            }
            (State::Probing, Admission::Probe) => {
                *self = Self::new(self.options);
                Some(Transition::Closed)
            }
            (State::Closed, _) => {
                self.recent.add(FailureCount::one(failed), now);
                let seen = self.recent.reaches(self.options.share).filter(|_| failed)?;
                self.open(now);
                Some(Transition::Opened(seen))
            }
            // Requests that were in flight when it opened add nothing.
            (State::Open { .. } | State::Probing, _) => None,
        }
    }

    /// The probe was cancelled: the next request is the probe.
    pub(in crate::sink::replay) fn abandon_probe(&mut self, now: Instant) {
        if let State::Probing = self.state {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, now: Instant) {
        self.state = State::Open { until: now + self.options.rest };
        self.recent = RecentOutcomes::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::load::recent::WINDOW;

    const SUCCESS: Option<Duration> = Some(Duration::from_millis(1));

    /// A breaker after this many failures and successes, all at `at`.
    fn after(failed: u32, succeeded: u32, at: Instant) -> (Breaker, Vec<Transition>) {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let outcomes = (0..succeeded).map(|_| SUCCESS).chain((0..failed).map(|_| None));
        let transitions = outcomes
            .filter_map(|outcome| breaker.record(Admission::Allowed, outcome, at))
            .collect();
        (breaker, transitions)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn it_opens_when_half_of_enough_requests_failed() {
        let start = Instant::now();
        assert_eq!(after(19, 0, start).1, [], "too few to say");
        assert_eq!(after(19, 21, start).1, [], "less than half");
        let (mut breaker, transitions) = after(20, 20, start);
        assert_eq!(transitions, [Transition::Opened(FailureCount { failed: 20, all: 40 })]);
        assert_eq!(breaker.admit(start), Admission::Refused);
        assert!(breaker.is_open());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn one_probe_decides_whether_it_closes() {
        let start = Instant::now();
        let rest = BreakerOptions::default().rest;
        let (mut breaker, _) = after(20, 0, start);
        assert_eq!(breaker.admit(start + rest / 2), Admission::Refused);
        assert_eq!(breaker.admit(start + rest), Admission::Probe);
        assert_eq!(breaker.admit(start + rest), Admission::Refused, "one at a time");
        assert_eq!(
            breaker.record(Admission::Probe, None, start + rest),
            Some(Transition::StillOpen)
        );
        assert_eq!(breaker.admit(start + rest * 2), Admission::Probe);
        breaker.abandon_probe(start + rest * 2);
        assert_eq!(breaker.admit(start + rest * 2), Admission::Probe);
        assert_eq!(
            breaker.record(Admission::Probe, SUCCESS, start + rest * 2),
            Some(Transition::Closed)
        );
        assert_eq!(breaker.admit(start + rest * 2), Admission::Allowed);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn old_failures_are_forgotten_and_slow_responses_are_failures() {
        let start = Instant::now();
        let (mut breaker, _) = after(19, 0, start);
        assert_eq!(breaker.record(Admission::Allowed, None, start + WINDOW), None);
        let slow = Some(Duration::from_millis(100));
        let mut breaker = Breaker::new(BreakerOptions { slow, ..BreakerOptions::default() });
        let transitions: Vec<Transition> = (0..20)
            .filter_map(|_| breaker.record(Admission::Allowed, Some(Duration::from_secs(1)), start))
            .collect();
        assert_eq!(transitions, [Transition::Opened(FailureCount { failed: 20, all: 20 })]);
    }

    proptest::proptest! {
        /// Whatever happens, an open breaker admits a request after `rest`.
        #[test]
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        fn it_never_stays_open_for_good(steps in proptest::collection::vec((0_u64..3000, proptest::bool::ANY), 0..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(BreakerOptions::default());
            for (millis, succeeds) in steps {
                now += Duration::from_millis(millis);
                let admission = breaker.admit(now);
                if admission != Admission::Refused {
                    breaker.record(admission, SUCCESS.filter(|_| succeeds), now);
                }
            }
            proptest::prop_assert_ne!(breaker.admit(now + BreakerOptions::default().rest), Admission::Refused);
        }
    }
}
