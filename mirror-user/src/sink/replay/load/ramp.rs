//! A target that gets its load little by little, and nothing more once that harms somebody.
//!
//! Captured connections in, whether they are shadowed yet out: one in a hundred at first, then more and
//! more of them, in a straight line, and all of them at the end. One that is let in stays in, so that
//! sessions are whole from then on. Outcomes in, of the target's requests and of production's own
//! answers; when too many of either fail, nothing is let through any more, until the next start.
//!
//! Never waits and never looks at a clock: every time is told.

use std::fmt;
use std::time::{Duration, Instant};

use super::recent::{Recent, Seen};
use crate::sink::replay::outcome::progress::Outcomes;

/// The part of the connections that a ramp begins with.
const FIRST_SHARE: f64 = 0.01;

/// How often the target's outcomes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a target gets its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RampOptions {
    /// How long it takes until it gets all of it.
    pub over: Duration,
    /// Nothing more is sent once this share of its requests fails, from 0 to 1: no answer, or 5xx.
    pub target_errors: Option<f64>,
    /// The same for this share of production's answers being 5xx.
    pub production_errors: Option<f64>,
}

/// Who came to harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Harmed {
    Target(Seen),
    Production(Seen),
}

impl fmt::Display for Harmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, Seen { failed, all }) = match self {
            Self::Target(seen) => ("requests failed", seen),
            Self::Production(seen) => ("answers of production were 5xx", seen),
        };
        write!(f, "{failed} of the last {all} {what}; nothing more is sent until the next start")
    }
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) enum Gate {
    /// It may.
    Open,
    /// Its connection's turn did not come yet.
    NotYet,
    /// Nothing may any more.
    Stopped,
}

/// One for each target.
#[derive(Debug)]
pub(in crate::sink::replay) struct Ramp {
    options: RampOptions,
    began: Option<Instant>,
    target: Recent,
    /// What was known of the target's outcomes when they were looked at last, and when.
    counted: Outcomes,
    looked: Option<Instant>,
    production: Recent,
    stopped: bool,
}

impl Ramp {
    pub(in crate::sink::replay) fn new(options: RampOptions) -> Self {
        Self {
            options,
            began: None,
            target: Recent::default(),
            counted: Outcomes::default(),
            looked: None,
            production: Recent::default(),
            stopped: false,
        }
    }

    /// Whether a request of this connection that is due then may go on.
    pub(in crate::sink::replay) fn gate(&mut self, connection: u64, due: Instant) -> Gate {
        if self.stopped {
            return Gate::Stopped;
        }
        let began = *self.began.get_or_insert(due);
        let done =
            due.saturating_duration_since(began).as_secs_f64() / self.options.over.as_secs_f64();
        let share = FIRST_SHARE + (1.0 - FIRST_SHARE) * done;
        if turn(connection) < share { Gate::Open } else { Gate::NotYet }
    }

    /// True when production's answers are to be shown to it.
    pub(in crate::sink::replay) fn watches_production(&self) -> bool {
        self.options.production_errors.is_some()
    }

    /// Takes note of one of production's answers.
    pub(in crate::sink::replay) fn production(
        &mut self,
        failed: bool,
        now: Instant,
    ) -> Option<Harmed> {
        let share = self.options.production_errors.filter(|_| !self.stopped)?;
        self.production.add(Seen::one(failed), now);
        let seen = self.production.reaches(share)?;
        self.stopped = true;
        Some(Harmed::Production(seen))
    }

    /// True when it is time to be told of the target's outcomes again.
    pub(in crate::sink::replay) fn wants_outcomes(&mut self, now: Instant) -> bool {
        let wants = !self.stopped
            && self.options.target_errors.is_some()
            && self.looked.is_none_or(|then| now.saturating_duration_since(then) >= LOOK_EVERY);
        if wants {
            self.looked = Some(now);
        }
        wants
    }

    /// Takes note of what became of the target's requests so far.
    pub(in crate::sink::replay) fn outcomes(
        &mut self,
        so_far: Outcomes,
        now: Instant,
    ) -> Option<Harmed> {
        let share = self.options.target_errors.filter(|_| !self.stopped)?;
        let since =
            |so_far: u64, then: u64| u32::try_from(so_far.saturating_sub(then)).unwrap_or(u32::MAX);
        let seen = Seen {
            failed: since(so_far.failed, self.counted.failed),
            all: since(so_far.all, self.counted.all),
        };
        self.counted = so_far;
        self.target.add(seen, now);
        let seen = self.target.reaches(share)?;
        self.stopped = true;
        Some(Harmed::Target(seen))
    }
}

/// When a connection's turn comes, from 0 to 1; those of any run of connections are spread evenly
/// (multiples of the golden ratio).
fn turn(connection: u64) -> f64 {
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
    fn connections_come_little_by_little_and_stay() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        assert_eq!(ramp.gate(0, start), Gate::Open, "the first of them");
        let mut before: Vec<u64> = Vec::new();
        for (seconds, share) in [(0, 0.01), (25, 0.2575), (50, 0.505), (100, 1.0), (200, 1.0)] {
            let at = start + Duration::from_secs(seconds);
            let open: Vec<u64> = (0..10_000).filter(|n| ramp.gate(*n, at) == Gate::Open).collect();
            let off = (open.len() as f64 / 10_000.0 - share).abs();
            assert!(off < 0.001, "{seconds} s: {} of 10,000", open.len());
            assert!(before.iter().all(|n| open.binary_search(n).is_ok()), "one that was in is out");
            before = open;
        }
    }

    #[test]
    fn it_stops_when_production_fails() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        let told: Vec<Harmed> =
            (0..100).filter_map(|n| ramp.production(n % 20 == 19, start)).collect();
        assert_eq!(told, [Harmed::Production(Seen { failed: 1, all: 20 })], "once");
        assert_eq!(ramp.gate(0, start), Gate::Stopped);
        let mut deaf = Ramp::new(RampOptions { production_errors: None, ..OPTIONS });
        assert!((0..100).all(|_| deaf.production(true, start).is_none()));
    }

    #[test]
    fn it_stops_when_the_target_fails() {
        let (mut ramp, start) = (Ramp::new(OPTIONS), now());
        assert!(ramp.wants_outcomes(start));
        assert!(!ramp.wants_outcomes(start));
        let so_far = |failed, all| Outcomes { failed, all };
        assert_eq!(ramp.outcomes(so_far(50, 1000), start), None);
        // What was counted before counts once.
        let later = start + Duration::from_secs(60);
        assert_eq!(ramp.outcomes(so_far(51, 1019), later), None, "too few to say");
        let told = ramp.outcomes(so_far(55, 1042), later);
        assert_eq!(told, Some(Harmed::Target(Seen { failed: 5, all: 42 })));
        assert_eq!(ramp.gate(0, later), Gate::Stopped);
    }
}
