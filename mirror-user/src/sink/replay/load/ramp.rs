//! Increases a target's load gradually, and stops it if that does harm.
//!
//! Decides for each captured connection whether it is shadowed yet: 1 % of them at first, then
//! linearly more, and all of them at the end. A connection that is admitted stays admitted, so that
//! sessions are complete from then on. If too many of the target's requests or of production's
//! responses fail, nothing is admitted until the next start.
//!
//! Never waits and never reads a clock: the caller passes every time.

use std::fmt;
use std::time::{Duration, Instant};

use super::recent::{FailureCount, RecentOutcomes};
use crate::sink::replay::outcome::progress::Outcomes;

/// The share of connections at the start of a ramp.
const FIRST_SHARE: f64 = 0.01;

/// How often the target's outcomes are checked.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// How a target's load increases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RampOptions {
    /// How long it takes until the target gets the full load.
    pub over: Duration,
    /// Nothing more is sent once this share of the target's requests fails, from 0 to 1: no
    /// response, or 5xx.
    pub target_errors: Option<f64>,
    /// Nothing more is sent once this share of production's responses is 5xx, from 0 to 1.
    pub production_errors: Option<f64>,
}

/// Why a ramp stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum StopCause {
    Target(FailureCount),
    Production(FailureCount),
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, FailureCount { failed, all }) = match self {
            Self::Target(seen) => ("requests failed", seen),
            Self::Production(seen) => ("responses of production were 5xx", seen),
        };
        write!(f, "{failed} of the last {all} {what}; nothing more is sent until the next start")
    }
}

/// Whether a request is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum RampDecision {
    /// It is admitted.
    Admitted,
    /// Its connection is not admitted yet.
    NotYet,
    /// The ramp has stopped: nothing is admitted any more.
    Stopped,
}

/// The ramp of one target.
#[derive(Debug)]
pub(in crate::sink::replay) struct Ramp {
    options: RampOptions,
    began: Option<Instant>,
    target: RecentOutcomes,
    /// The target's outcomes at the last check, and the time of that check.
    counted: Outcomes,
    checked: Option<Instant>,
    production: RecentOutcomes,
    /// The share of connections that was last admitted.
    share: f64,
    stopped: bool,
}

impl Ramp {
    pub(in crate::sink::replay) fn new(options: RampOptions) -> Self {
        Self {
            options,
            began: None,
            target: RecentOutcomes::default(),
            counted: Outcomes::default(),
            checked: None,
            production: RecentOutcomes::default(),
            share: FIRST_SHARE,
            stopped: false,
        }
    }

    /// The share of connections that is admitted, from 0 to 1.
    pub(in crate::sink::replay) fn share(&self) -> f64 {
        if self.stopped { 0.0 } else { self.share }
    }

    /// Decides about a request of this connection that is due at `due`.
    pub(in crate::sink::replay) fn decide(
        &mut self,
        connection: u64,
        due: Instant,
    ) -> RampDecision {
        if self.stopped {
            return RampDecision::Stopped;
        }
        let began = *self.began.get_or_insert(due);
        let done =
            due.saturating_duration_since(began).as_secs_f64() / self.options.over.as_secs_f64();
        self.share = (FIRST_SHARE + (1.0 - FIRST_SHARE) * done).min(1.0);
        if position(connection) < self.share {
            RampDecision::Admitted
        } else {
            RampDecision::NotYet
        }
    }

    /// True if it needs production's responses.
    pub(in crate::sink::replay) fn watches_production(&self) -> bool {
        self.options.production_errors.is_some()
    }

    /// Records one response of production.
    pub(in crate::sink::replay) fn production(
        &mut self,
        failed: bool,
        now: Instant,
    ) -> Option<StopCause> {
        let share = self.options.production_errors.filter(|_| !self.stopped)?;
        self.production.add(FailureCount::one(failed), now);
        let seen = self.production.reaches(share)?;
        self.stopped = true;
        Some(StopCause::Production(seen))
    }

    /// True if the target's outcomes are to be checked now.
    pub(in crate::sink::replay) fn is_check_due(&mut self, now: Instant) -> bool {
        let due = !self.stopped
            && self.options.target_errors.is_some()
            && self.checked.is_none_or(|then| now.saturating_duration_since(then) >= CHECK_EVERY);
        if due {
            self.checked = Some(now);
        }
        due
    }

    /// Checks the outcomes of the target's requests so far.
    pub(in crate::sink::replay) fn outcomes(
        &mut self,
        so_far: Outcomes,
        now: Instant,
    ) -> Option<StopCause> {
        let share = self.options.target_errors.filter(|_| !self.stopped)?;
        let since =
            |so_far: u64, then: u64| u32::try_from(so_far.saturating_sub(then)).unwrap_or(u32::MAX);
        let seen = FailureCount {
            failed: since(so_far.failed, self.counted.failed),
            all: since(so_far.all, self.counted.all),
        };
        self.counted = so_far;
        self.target.add(seen, now);
        let seen = self.target.reaches(share)?;
        self.stopped = true;
        Some(StopCause::Target(seen))
    }
}

/// The share of the ramp, from 0 to 1, at which a connection is admitted. Values of successive
/// connections are spread evenly (multiples of the golden ratio).
fn position(connection: u64) -> f64 {
    let spread = connection.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::clock::now;

    const OPTIONS: RampOptions = RampOptions {
        over: Duration::from_secs(100),
        target_errors: Some(0.1),
        production_errors: Some(0.05),
    };

    #[test]
    fn connections_are_admitted_gradually_and_stay() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        assert_eq!(ramp.decide(0, start), RampDecision::Admitted, "the first of them");
        let mut before: Vec<u64> = Vec::new();
        for (seconds, share) in [(0, 0.01), (25, 0.2575), (50, 0.505), (100, 1.0), (200, 1.0)] {
            let at = start + Duration::from_secs(seconds);
            let open: Vec<u64> =
                (0..10_000).filter(|n| ramp.decide(*n, at) == RampDecision::Admitted).collect();
            let off = (open.len() as f64 / 10_000.0 - share).abs();
            assert!(off < 0.001, "{seconds} s: {} of 10,000", open.len());
            assert!(before.iter().all(|n| open.binary_search(n).is_ok()), "one that was in is out");
            before = open;
        }
    }

    #[test]
    fn it_stops_when_production_fails() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        let stops: Vec<StopCause> =
            (0..100).filter_map(|n| ramp.production(n % 20 == 19, start)).collect();
        assert_eq!(stops, [StopCause::Production(FailureCount { failed: 1, all: 20 })], "once");
        assert_eq!(ramp.decide(0, start), RampDecision::Stopped);
        let mut disabled = Ramp::new(RampOptions { production_errors: None, ..OPTIONS });
        assert!((0..100).all(|_| disabled.production(true, start).is_none()));
    }

    #[test]
    fn it_stops_when_the_target_fails() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        assert!(ramp.is_check_due(start));
        assert!(!ramp.is_check_due(start));
        let so_far = |failed, all| Outcomes { failed, all };
        assert_eq!(ramp.outcomes(so_far(50, 1000), start), None);
        // What was counted before counts once.
        let later = start + Duration::from_secs(60);
        assert_eq!(ramp.outcomes(so_far(51, 1019), later), None, "too few to evaluate");
        let stops = ramp.outcomes(so_far(55, 1042), later);
        assert_eq!(stops, Some(StopCause::Target(FailureCount { failed: 5, all: 42 })));
        assert_eq!(ramp.decide(0, later), RampDecision::Stopped);
    }
}
