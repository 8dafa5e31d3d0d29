//! Sample pairs of each field: chosen evenly from all, not the first ones, and the same ones on every run.
//!
//! Each pair has a number by a hash of its name; a field keeps the pairs with the lowest numbers. That is a uniform
//! sample without replacement, whatever the order, and two samples are put together by the same rule.

use std::sync::Arc;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use crate::report::Finding;

/// Pairs that each field keeps.
pub const SAMPLES: usize = 5;

/// One pair, and its place in the order of choice.
#[derive(Clone, Debug)]
struct Sample {
    number: u64,
    finding: Arc<Finding>,
}

/// The samples of one field.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

/// The number of a pair.
#[must_use]
pub fn number(id: &str) -> u64 {
    FixedState::with_seed(0x5a4d_504c).hash_one(id)
}

impl Samples {
    /// True if a pair with this number would be kept.
    #[must_use]
    pub fn wants(&self, number: u64) -> bool {
        self.0.len() < SAMPLES || self.0.last().is_some_and(|last| number < last.number)
    }

    /// Offers a pair; the pair that it displaces comes back.
    pub fn offer(&mut self, number: u64, finding: &Arc<Finding>) -> Option<Arc<Finding>> {
        if !self.wants(number) {
            return None;
        }
        let place = self.0.partition_point(|sample| sample.number < number);
        self.0.insert(place, Sample { number, finding: Arc::clone(finding) });
        if self.0.len() > SAMPLES { self.0.pop().map(|last| last.finding) } else { None }
    }

    /// Adds another field's.
    pub(crate) fn merge(&mut self, other: Self) {
        for Sample { number, finding } in other.0 {
            self.offer(number, &finding);
        }
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, in the order of choice.
    pub fn findings(&self) -> impl Iterator<Item = &Arc<Finding>> {
        self.0.iter().map(|sample| &sample.finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_pairs_are_as_likely_as_early_ones_and_order_does_not_matter() {
        let finding = |n: u64| Arc::new(Finding { id: n.to_string(), ..Finding::default() });
        let (mut samples, mut backwards) = (Samples::default(), Samples::default());
        for n in 0..1_000 {
            samples.offer(number(&n.to_string()), &finding(n));
            backwards.offer(number(&(999 - n).to_string()), &finding(999 - n));
        }
        let ids =
            |samples: &Samples| samples.findings().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&samples).len(), SAMPLES);
        assert_eq!(ids(&samples), ids(&backwards));
        assert!(
            ids(&samples).iter().any(|id| id.parse::<u64>().unwrap() > 100),
            "{:?}",
            ids(&samples)
        );
    }
}
