//! What targets take of what they are offered.

use crate::sink::replay::{ReplayMonitors, Taken};

/// Fewer requests say nothing: a target is judged again once it was offered so many more, in however many measurements.
const MIN_OFFERED: u64 = 50;

/// Measures it over all targets.
pub(super) struct Deliveries {
    targets: ReplayMonitors,
    /// What each of them had taken when it was last judged. The list of targets grows at its end alone.
    last: Vec<Taken>,
}

/// What was found since the last measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Delivered {
    /// True if whoever gets the traffic can do with less: there are targets, and nobody needs all of it.
    pub(super) may_be_less: bool,
    /// The share of its requests that the target took which took most; `None`: none was judged.
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
        judge(&self.targets.taken(), &mut self.last)
    }
}

fn judge(now: &[Taken], last: &mut Vec<Taken>) -> Delivered {
    last.resize(now.len(), Taken::default());
    let shares = now.iter().zip(last).filter_map(|(now, last)| {
        let offered = now.offered.saturating_sub(last.offered);
        let refused = now.not_taken.saturating_sub(last.not_taken).min(offered);
        (offered >= MIN_OFFERED).then(|| {
            *last = *now;
            1.0 - refused as f64 / offered as f64
        })
    });
    let taken = shares.reduce(f64::max);
    let running = || now.iter().filter(|target| target.is_running);
    let may_be_less = running().count() > 0 && running().all(|target| !target.needs_all);
    Delivered { may_be_less, taken }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(offered: u64, not_taken: u64) -> Taken {
        Taken { offered, not_taken, needs_all: false, is_running: true }
    }

    #[test]
    fn the_best_target_counts() {
        let mut last = vec![taken(1000, 900), taken(1000, 0)];
        let found = judge(&[taken(2000, 1650), taken(2000, 500)], &mut last);
        assert_eq!(found, Delivered { may_be_less: true, taken: Some(0.5) });
        let found = judge(&[taken(3000, 1750), taken(3000, 1000)], &mut last);
        assert_eq!(found.taken, Some(0.9));
    }

    #[test]
    fn few_requests_say_nothing_until_there_are_more() {
        let mut last = Vec::new();
        assert_eq!(judge(&[taken(49, 49)], &mut last).taken, None);
        assert_eq!(judge(&[taken(50, 49)], &mut last).taken, Some(1.0 - 49.0 / 50.0));
        assert_eq!(judge(&[taken(60, 49)], &mut last).taken, None);
        assert_eq!(judge(&[], &mut Vec::new()), Delivered::default(), "there is no target");
    }

    #[test]
    fn one_that_needs_all_keeps_all_until_it_has_ended() {
        let mut target = Taken { needs_all: true, ..taken(0, 0) };
        assert!(!judge(&[target, taken(0, 0)], &mut Vec::new()).may_be_less);
        target.is_running = false;
        assert!(judge(&[target, taken(0, 0)], &mut Vec::new()).may_be_less);
    }
}
