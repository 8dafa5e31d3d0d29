//! How long each side took, and whether the candidate is slower. The only file that uses `hdrhistogram`.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::stats::{MannWhitney, mann_whitney};

/// Longer times are recorded as this: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;
/// Significant digits: an error of 1 % at most, and 13 KiB for a side of an endpoint.
const DIGITS: u8 = 2;
/// A step of a distribution that is shown: a fifth more.
pub const STEP: f64 = 1.2;
/// Samples that each side needs.
pub const MIN_SAMPLES: u64 = 50;
/// Below this p the candidate is slower.
const ALPHA: f64 = 0.01;
/// How often a response of the candidate must be slower than one of the other side.
const MIN_EFFECT: f64 = 0.6;

/// Times of one side.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u32>);

impl Default for Times {
    fn default() -> Self {
        let mut histogram = Histogram::new(DIGITS).expect("digits from 0 to 5");
        histogram.auto(true);
        Self(histogram)
    }
}

/// Quantiles of one side, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Responses.
    pub count: u64,
    /// Half took at most this.
    pub p50_us: u64,
    /// 9 of 10.
    pub p90_us: u64,
    /// 19 of 20.
    pub p95_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
}

impl Times {
    /// Adds one, in microseconds, which stands for so many responses.
    pub fn record(&mut self, micros: u64, responses: u64) {
        // It resizes itself, and no time is above the longest.
        let responses = u32::try_from(responses).unwrap_or(u32::MAX);
        let _ = self.0.record_n(micros.clamp(1, LONGEST), responses);
    }

    /// Adds those of another one.
    pub fn add(&mut self, other: &Self) {
        let _ = self.0.add(&other.0);
    }

    /// Its quantiles.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| if self.0.is_empty() { 0 } else { self.0.value_at_quantile(quantile) };
        Quantiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p95_us: at(0.95),
            p99_us: at(0.99),
        }
    }

    /// How many took how long, in steps of a factor of [`STEP`]: the upper end of each step that is not empty, in
    /// microseconds, and its responses.
    #[must_use]
    pub fn distribution(&self) -> Vec<(u64, u64)> {
        let mut steps: Vec<(u64, u64)> = Vec::new();
        for (value, count) in self.values() {
            let step = (value.max(1) as f64).log(STEP).ceil();
            let end = STEP.powf(step).ceil() as u64;
            match steps.last_mut() {
                Some((last, responses)) if *last == end => *responses += count,
                _ => steps.push((end, count)),
            }
        }
        steps
    }

    fn values(&self) -> Vec<(u64, u64)> {
        self.0
            .iter_recorded()
            .map(|step| (step.value_iterated_to(), u64::from(step.count_at_value())))
            .collect()
    }
}

/// How the candidate's times compare with another side's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Slower {
    /// Its median as a part of the other's.
    pub median_ratio: f64,
    /// Its 95th percentile as a part of the other's.
    pub p95_ratio: f64,
    /// How often a response of it is slower than one of the other side.
    pub a12: f64,
    /// How likely that is if it is not slower.
    pub p: f64,
    /// Both sides have [`MIN_SAMPLES`].
    pub enough: bool,
}

impl Slower {
    /// Compares the candidate's times with another side's; `None` if one has none. `measured` is the part of them that
    /// was measured: what stands for others makes nothing more certain.
    #[must_use]
    pub fn new(other: &Times, candidate: &Times, measured: f64) -> Option<Self> {
        let values = |times: &Times| -> Vec<(u64, f64)> {
            let each = times.values().into_iter();
            each.map(|(value, count)| (value, count as f64 * measured)).collect()
        };
        let MannWhitney { a12, p, .. } = mann_whitney(&values(other), &values(candidate))?;
        let (a, b) = (other.quantiles(), candidate.quantiles());
        let ratio = |a: u64, b: u64| b as f64 / (a.max(1)) as f64;
        let enough = a.count.min(b.count) as f64 * measured >= MIN_SAMPLES as f64;
        Some(Self {
            median_ratio: ratio(a.p50_us, b.p50_us),
            p95_ratio: ratio(a.p95_us, b.p95_us),
            a12,
            p,
            enough,
        })
    }

    /// True if it is slower by more than `tolerance`, a ratio of medians, and that is no chance.
    #[must_use]
    pub fn is_slower(&self, tolerance: f64) -> bool {
        self.is_certain() && self.median_ratio > tolerance
    }

    /// True if it is slower at all, and that is no chance.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.enough && self.p < ALPHA && self.a12 > MIN_EFFECT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(values: impl Iterator<Item = u64>) -> Times {
        let mut times = Times::default();
        values.for_each(|value| times.record(value, 1));
        times
    }

    #[test]
    fn a_candidate_is_slower_only_where_that_is_no_chance() {
        let base = times((0..200).map(|n| 10_000 + n * 37 % 4_000));
        let slower = times((0..200).map(|n| 15_000 + n * 53 % 6_000));
        let same = times((0..200).map(|n| 10_000 + n * 41 % 4_000));
        assert!(Slower::new(&base, &slower, 1.0).unwrap().is_slower(1.2));
        assert!(!Slower::new(&base, &same, 1.0).unwrap().is_slower(1.2));
        let few = times((0..20).map(|n| 30_000 + n));
        let judged = Slower::new(&base, &few, 1.0).unwrap();
        assert!(!judged.enough && !judged.is_slower(1.2));
        assert!(Slower::new(&base, &Times::default(), 1.0).is_none());
        // A tenth of the responses, each standing for ten.
        let judged = Slower::new(&base, &slower, 0.1).unwrap();
        assert!(!judged.enough && judged.median_ratio > 1.2);
    }

    #[test]
    fn a_distribution_has_every_response_once_in_rising_steps() {
        let times = times((0..1_000).map(|n| n * n));
        let steps = times.distribution();
        assert_eq!(steps.iter().map(|(_, count)| count).sum::<u64>(), 1_000);
        assert!(steps.windows(2).all(|two| two[0].0 < two[1].0), "{steps:?}");
        assert!(steps.len() < 80, "{}", steps.len());
        assert_eq!(Times::default().distribution(), []);
    }
}
