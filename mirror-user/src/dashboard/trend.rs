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
        Self::of(reports.flat_map(|report| &report.trend))
    }

    fn of<'p>(points: impl Iterator<Item = &'p Point> + Clone) -> Self {
        let from = points.clone().map(|point| point.at).min().unwrap_or_default();
        let end = |point: &Point| point.at.saturating_add(point.width);
        let end = points.clone().map(end).max().unwrap_or_default();
        let (span, most) = (end.saturating_sub(from), STEPS as i64);
        let width = span.saturating_add(most - 1).div_euclid(most).max(1);
        let steps = span.saturating_add(width - 1).div_euclid(width).clamp(1, most) as usize;
        let mut trend = Self { from, width, steps: Vec::new() };
        trend.steps = trend.sums(points, steps);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(points: &[(i64, i64)]) -> Trend {
        let point =
            |(at, width): &(i64, i64)| Point { at: *at, width: *width, total: 4, failing: 1 };
        let points: Vec<Point> = points.iter().map(point).collect();
        Trend::of(points.iter())
    }

    #[test]
    fn an_axis_holds_every_point_and_no_more() {
        assert_eq!(trend(&[]).steps, [(0, 0)]);
        assert_eq!(trend(&[(100, 1), (102, 1)]).steps, [(4, 1), (0, 0), (4, 1)]);
        let long = trend(&[(0, 64), (64 * 59, 64), (64 * 30, 64)]);
        assert_eq!((long.steps.len(), long.width), (STEPS, 128));
        assert_eq!(long.steps.iter().map(|(total, _)| total).sum::<u64>(), 12);
        let wide = trend(&[(i64::MIN, 1), (i64::MAX, 1)]);
        assert_eq!(wide.steps.iter().map(|(total, _)| total).sum::<u64>(), 8);
    }
}
