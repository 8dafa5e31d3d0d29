//! The failing part over time, of all endpoints on one axis.

use mirror_compare::report::EndpointReport;
use mirror_compare::trend::Point;
use serde::Serialize;

/// Steps of the axis.
const STEPS: usize = 30;

/// The axis, and what all endpoints together have on it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Trend {
    /// When it begins, in seconds since 1970.
    from: i64,
    /// Seconds of a step.
    width: i64,
    /// Pairs of each step, and those that fail.
    steps: Vec<(u64, u64)>,
}

/// One step of one endpoint.
pub(super) type Share = Option<u16>;

impl Trend {
    /// Of these endpoints.
    pub(super) fn new<'r>(reports: impl Iterator<Item = &'r EndpointReport> + Clone) -> Self {
        let points = reports.flat_map(|report| &report.trend);
        let from = points.clone().map(|point| point.at).min().unwrap_or_default();
        let end = |point: &Point| point.at.saturating_add(point.width);
        let end = points.clone().map(end).max().unwrap_or_default();
        let width = end.saturating_sub(from).div_euclid(STEPS as i64).saturating_add(1);
        let steps = (end.saturating_sub(from) / width).clamp(0, STEPS as i64) as usize + 1;
        let mut trend = Self { from, width, steps: Vec::new() };
        trend.steps = trend.sums(points, steps.min(STEPS));
        trend
    }

    /// An endpoint's part on the same axis: failing pairs of a thousand, or nothing where there is no pair.
    pub(super) fn shares(&self, report: &EndpointReport) -> Vec<Share> {
        let sums = self.sums(report.trend.iter(), self.steps.len());
        let share = |(total, failing): (u64, u64)| {
            (total > 0)
                .then(|| u16::try_from(failing.saturating_mul(1_000) / total).unwrap_or(1_000))
        };
        sums.into_iter().map(share).collect()
    }

    fn sums<'p>(&self, points: impl Iterator<Item = &'p Point>, steps: usize) -> Vec<(u64, u64)> {
        let mut sums = vec![(0, 0); steps];
        for point in points {
            let middle = point.at.saturating_add(point.width / 2);
            let at = middle.saturating_sub(self.from).div_euclid(self.width);
            let at = usize::try_from(at).unwrap_or_default().min(steps.saturating_sub(1));
            if let Some((total, failing)) = sums.get_mut(at) {
                *total += point.total;
                *failing += point.failing;
            }
        }
        sums
    }
}
