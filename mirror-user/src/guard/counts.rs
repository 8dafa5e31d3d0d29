//! What the guard has done, for the summary and for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use enum_map::EnumMap;

use super::Limits;
use super::excess::Cause;
use super::host::Host;
use crate::filter::Sample;
use crate::stats::{Note, Topic};

/// Counts of what the guard has done.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) pauses: AtomicU64,
    pub(super) lowered: EnumMap<Cause, AtomicU64>,
    pub(super) raised: AtomicU64,
    /// The smallest share of connections that was ever copied, out of 2³²; 0 if it was never lowered.
    smallest: AtomicU64,
    /// What was found in the last second.
    pub(super) last: Mutex<Last>,
    limits: Limits,
}

/// What was found in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Last {
    /// Share of one CPU that mirror used, the kernel programs included; `None` before the first measurement, and where
    /// nothing is measured.
    pub cpu: Option<f64>,
    /// What was left for production; `None` where it is not watched.
    pub host: Option<Host>,
}

/// What the guard has done so far, and within which limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// How often copying was paused.
    pub pauses: u64,
    /// How often the sample was lowered, by what exceeded its limit.
    pub lowered: EnumMap<Cause, u64>,
    /// How often it was raised again.
    pub raised: u64,
    /// What was found in the last second.
    pub last: Last,
    /// Its limits.
    pub limits: Limits,
}

impl Counts {
    pub(super) fn within(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A sample that is copied from now on.
    pub(super) fn sampled(&self, sample: Sample) {
        let smallest = self.smallest.load(Relaxed);
        if smallest == 0 || sample.threshold() < smallest {
            self.smallest.store(sample.threshold(), Relaxed);
        }
    }

    pub(super) fn found(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// The counts so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            pauses: self.pauses.load(Relaxed),
            lowered: EnumMap::from_fn(|cause| self.lowered[cause].load(Relaxed)),
            raised: self.raised.load(Relaxed),
            last: *self.last.lock().unwrap_or_else(PoisonError::into_inner),
            limits: self.limits.clone(),
        }
    }

    /// The counts for the summary.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let smallest = self.smallest.load(Relaxed);
        let one_in = Sample::ALL.threshold().checked_div(smallest).unwrap_or(0);
        let Figures { pauses, lowered, raised, .. } = self.figures();
        let steps = lowered.values().sum();
        let counts = [("pauses", pauses), ("lowered", steps), ("raised", raised)];
        let causes = lowered.iter().map(|(cause, count)| (cause.into(), *count));
        let counts = counts.into_iter().chain(causes);
        Note::new(Topic::Guard, counts.chain([("smallest_sample_one_in", one_in)]))
    }
}
