//! What targets take of what they are offered.

use crate::sink::replay::{ReplayMonitors, Taken};

/// With fewer requests in the span of a measurement, their share says nothing.
const MIN_OFFERED: u64 = 50;

/// Measures it over all targets.
pub(super) struct Deliveries {
    targets: ReplayMonitors,
    /// What each of them had taken at the last measurement. The list of targets grows at its end alone.
    last: Vec<Taken>,
}

/// What was found since the last measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Delivered {
    /// True if whoever gets the traffic can do with less: there are targets, and nobody needs all of it.
    pub(super) may_be_less: bool,
    /// The share of its requests that the target took which took most; `None`: none was offered enough.
    ///
    /// Of several targets the best one counts: what a slow one cannot take still goes to the others.
    pub(super) taken: Option<f64>,
}

impl Deliveries {
    pub(super) fn new(targets: ReplayMonitors) -> Self {
        let last = targets.taken();
        Self { targets, last }
    }

    /// True if there is a target, or was one.
    pub(super) fn has_targets(&self) -> bool {
        !self.targets.is_empty()
    }

    /// What was found since the last call.
    pub(super) fn since_last(&mut self) -> Delivered {
        let now = self.targets.taken();
        let last = std::mem::replace(&mut self.last, now);
        of_spans(&self.last, &last)
    }
}

fn of_spans(now: &[Taken], last: &[Taken]) -> Delivered {
    let running = || now.iter().filter(|target| target.is_running);
    let shares = now.iter().enumerate().filter_map(|(n, now)| {
        let last = last.get(n).copied().unwrap_or_default();
        let offered = now.offered.saturating_sub(last.offered);
        let refused = now.not_taken.saturating_sub(last.not_taken).min(offered);
        (offered >= MIN_OFFERED).then(|| 1.0 - refused as f64 / offered as f64)
    });
    Delivered {
        may_be_less: running().count() > 0 && running().all(|target| !target.needs_all),
        taken: shares.reduce(f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(offered: u64, not_taken: u64) -> Taken {
        Taken { offered, not_taken, needs_all: false, is_running: true }
    }

    #[test]
    fn the_best_target_counts() {
        let last = [taken(1000, 900), taken(1000, 0)];
        let found = of_spans(&[taken(2000, 1650), taken(2000, 500)], &last);
        assert_eq!(found, Delivered { may_be_less: true, taken: Some(0.5) });
        let found = of_spans(&[taken(2000, 1000), taken(2000, 500)], &last);
        assert_eq!(found.taken, Some(0.9));
    }

    #[test]
    fn few_requests_say_nothing() {
        assert_eq!(of_spans(&[taken(49, 49)], &[]).taken, None);
        assert_eq!(of_spans(&[taken(50, 50)], &[]).taken, Some(0.0));
        assert_eq!(of_spans(&[], &[]), Delivered::default(), "there is no target");
    }

    #[test]
    fn one_that_needs_all_keeps_all_until_it_has_ended() {
        let mut target = Taken { needs_all: true, ..taken(0, 0) };
        assert!(!of_spans(&[target, taken(0, 0)], &[]).may_be_less);
        target.is_running = false;
        assert!(of_spans(&[target, taken(0, 0)], &[]).may_be_less);
    }
}
