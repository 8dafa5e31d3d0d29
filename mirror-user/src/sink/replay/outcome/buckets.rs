//! Histograms with few and fixed buckets, as Prometheus sums them over targets and hosts. They are
//! written beside the precise ones of `times`, whose quantiles cannot be summed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets, in microseconds: from the tenth of a millisecond by which a
/// replay is late to the 30 s that a response may take, in steps that tell 2 from 5.
pub const BOUNDS_MICROS: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// The buckets, and one for what is longer.
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// Counts times; written by one thread and read by others.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct Buckets {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Buckets {
    /// Counts one.
    pub(in crate::sink::replay) fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Relaxed);
        }
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// Adds what another one counted.
    pub(in crate::sink::replay) fn add(&self, more: &Self) {
        for (count, more) in self.counts.iter().zip(&more.counts) {
            count.fetch_add(more.load(Relaxed), Relaxed);
        }
        self.sum_micros.fetch_add(more.sum_micros.load(Relaxed), Relaxed);
    }

    pub(in crate::sink::replay) fn now(&self) -> Distribution {
        Distribution {
            counts: self.counts.each_ref().map(|count| count.load(Relaxed)),
            sum: Duration::from_micros(self.sum_micros.load(Relaxed)),
        }
    }
}

/// How many times lay between which bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: [u64; BUCKETS],
    /// All times together.
    pub sum: Duration,
}

impl Distribution {
    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Each bound, and how many times were at most as long and longer than the bound before. The last
    /// one has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = BOUNDS_MICROS.iter().map(|bound| Some(Duration::from_micros(*bound)));
        bounds.chain([None]).zip(self.counts)
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_under_the_first_bound_that_it_does_not_exceed() {
        let buckets = Buckets::default();
        for micros in [0, 100, 101, 30_000_000, 30_000_001] {
            buckets.record(Duration::from_micros(micros));
        }
        let mut times = buckets.now();
        let counted = |times: &Distribution| -> Vec<(Option<u64>, u64)> {
            let buckets = times.buckets().filter(|(_, count)| *count > 0);
            let micros = |bound: Duration| u64::try_from(bound.as_micros()).unwrap();
            buckets.map(|(bound, count)| (bound.map(micros), count)).collect()
        };
        let wanted = [(Some(100), 2), (Some(250), 1), (Some(30_000_000), 1), (None, 1)];
        assert_eq!(counted(&times), wanted);
        assert_eq!(times.sum, Duration::from_micros(60_000_202));
        times.add(&buckets.now());
        assert_eq!((times.count(), counted(&times)[0]), (10, (Some(100), 4)));
    }
}
