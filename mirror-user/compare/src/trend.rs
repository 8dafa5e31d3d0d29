//! When pairs were answered, and which fields differed in them: the failing part over time.
//!
//! Time goes in steps, all of one width, which doubles when there are too many: a minute and a month take as much
//! memory. What fails is judged by the reader, from the combinations of fields that differed.

use std::collections::BTreeMap;

/// Steps of an endpoint's time.
pub const MAX_STEPS: usize = 60;
/// Combinations of fields that are counted in all steps together, 16 bytes each; pairs of others count as without a
/// difference.
const MAX_ENTRIES: usize = 4_096;
/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// One endpoint's time.
#[derive(Clone, Debug)]
pub struct Trend {
    /// Seconds of a step.
    width: i64,
    /// By number: seconds since 1970, divided by the width.
    steps: BTreeMap<i64, Step>,
    entries: usize,
}

/// What was counted in one step.
#[derive(Clone, Debug, Default)]
struct Step {
    total: u64,
    /// The combination's number, and its pairs.
    differing: Vec<(u32, u64)>,
}

/// One step, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When it begins, in seconds since 1970.
    pub at: i64,
    /// How long it is, in seconds.
    pub width: i64,
    /// Pairs.
    pub total: u64,
    /// Those that fail.
    pub failing: u64,
}

impl Default for Trend {
    fn default() -> Self {
        Self { width: 1, steps: BTreeMap::new(), entries: 0 }
    }
}

impl Trend {
    /// Counts pairs at a moment, in nanoseconds since 1970; `combination` of fields differed in them.
    pub(crate) fn count(&mut self, at: i64, combination: Option<u32>, pairs: u64) {
        self.add(at.div_euclid(SECOND), pairs, combination.map(|one| (one, pairs)));
    }

    fn add(&mut self, second: i64, total: u64, differing: impl IntoIterator<Item = (u32, u64)>) {
        let step = self.steps.entry(second.div_euclid(self.width)).or_default();
        step.total += total;
        for (combination, pairs) in differing {
            match step.differing.iter_mut().find(|(known, _)| *known == combination) {
                Some((_, count)) => *count += pairs,
                None if self.entries < MAX_ENTRIES => {
                    self.entries += 1;
                    step.differing.push((combination, pairs));
                }
                None => {}
            }
        }
        while self.steps.len() > MAX_STEPS {
            self.widen();
        }
    }

    /// Steps twice as wide.
    fn widen(&mut self) {
        let old = std::mem::take(&mut self.steps);
        let width = self.width;
        (self.width, self.entries) = (width.saturating_mul(2), 0);
        for (number, step) in old {
            self.add(number.saturating_mul(width), step.total, step.differing);
        }
    }

    /// Adds another endpoint's time, whose combinations have these numbers here.
    pub(crate) fn merge(&mut self, other: Self, number: impl Fn(u32) -> Option<u32>) {
        while self.width < other.width {
            self.widen();
        }
        for (step, Step { total, differing }) in other.steps {
            let differing = differing.into_iter().filter_map(|(one, n)| Some((number(one)?, n)));
            self.add(step.saturating_mul(other.width), total, differing);
        }
    }

    /// The steps that have pairs, in their order; `fails` says which combinations do.
    pub(crate) fn points(&self, fails: impl Fn(u32) -> bool) -> Vec<Point> {
        let point = |(number, step): (&i64, &Step)| {
            let failing = step.differing.iter().filter(|(one, _)| fails(*one));
            Point {
                at: number.saturating_mul(self.width),
                width: self.width,
                total: step.total,
                failing: failing.map(|(_, count)| count).sum(),
            }
        };
        self.steps.iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_widen_and_lose_no_pair() {
        let mut trend = Trend::default();
        let mut other = Trend::default();
        for second in 0..1_000 {
            let at = second * SECOND;
            trend.count(at, (second >= 900).then_some(7), 1);
            other.count(at * 1_000, Some(3), 2);
        }
        let points = trend.points(|one| one == 7);
        assert!(points.len() <= MAX_STEPS, "{points:?}");
        assert_eq!(points[0].width, 32);
        assert_eq!(points.iter().map(|one| one.total).sum::<u64>(), 1_000);
        assert_eq!(points.iter().map(|one| one.failing).sum::<u64>(), 100);
        assert!(points.iter().all(|one| one.failing == 0 || one.at >= 896));
        assert_eq!(trend.points(|_| false).iter().map(|one| one.failing).sum::<u64>(), 0);
        trend.merge(other, |one| (one == 3).then_some(8));
        let points = trend.points(|one| one == 8);
        assert!(points.len() <= MAX_STEPS && points.windows(2).all(|two| two[0].at < two[1].at));
        assert_eq!(points.iter().map(|one| one.total).sum::<u64>(), 3_000);
        assert_eq!(points.iter().map(|one| one.failing).sum::<u64>(), 2_000);
    }

    #[test]
    fn any_moment_is_taken() {
        let mut trend = Trend::default();
        for at in [i64::MIN, -1, 0, i64::MAX] {
            (0..200).for_each(|n| trend.count(at.saturating_sub(n * SECOND), None, 1));
        }
        assert_eq!(trend.points(|_| true).iter().map(|one| one.total).sum::<u64>(), 800);
    }
}
