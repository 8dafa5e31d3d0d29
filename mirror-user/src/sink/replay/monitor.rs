//! What other threads can read of a replay: its counters while it runs, and its report at the end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::engine::queue::Queue;
use super::load::health::Health;
use super::outcome::figures::ReplayFigures;
use super::outcome::groups::Groups;
use super::{ReplayProgress, ReplayReport, clock};

/// What a target was offered, and what it did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests that were to be replayed.
    pub offered: u64,
    /// Those of them for which the target, or the queue in front of it, had no room.
    pub not_taken: u64,
    /// As [`ReplayOptions::needs_all`](super::ReplayOptions::needs_all).
    pub needs_all: bool,
    /// False once the replay has ended.
    pub is_running: bool,
}

/// Reads the counters of a running replay, and its report at the end.
#[derive(Clone)]
pub struct ReplayMonitor {
    pub(super) target: Arc<str>,
    pub(super) queue: Arc<Queue>,
    pub(super) needs_all: bool,
    pub(super) groups: Groups,
    pub(super) health: Option<Arc<Health>>,
    pub(super) report: Arc<OnceLock<ReplayReport>>,
}

impl ReplayMonitor {
    /// The same, with this name of its target in place of host and port.
    #[must_use]
    pub fn named(self, target: Option<Arc<str>>) -> Self {
        Self { target: target.unwrap_or(self.target), ..self }
    }

    /// The name of its target.
    #[must_use]
    pub fn target(&self) -> &Arc<str> {
        &self.target
    }

    /// The current counters. Their sums hold while it runs, too.
    #[must_use]
    pub fn progress(&self) -> ReplayProgress {
        self.queue.counters.progress()
    }

    /// True once the sink has finished, so that there is a report.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.report.get().is_some()
    }

    /// The current counters in the form in which they can be added up.
    #[must_use]
    pub fn figures(&self) -> ReplayFigures {
        // Before the sums, so that no group has a request that is not in them.
        let groups = self.groups.figures();
        let mut figures = self.queue.counters.figures();
        figures.account.target = Some(Arc::clone(&self.target));
        figures.groups = groups;
        let outcomes = || self.queue.counters.outcomes();
        figures.health = self.health.as_ref().map(|health| health.look(outcomes(), clock::now()));
        figures.is_running = !self.has_ended();
        figures
    }

    /// What its target was offered so far, and did not take.
    #[must_use]
    pub fn taken(&self) -> Taken {
        let [offered, not_taken] = self.queue.counters.offered_and_not_taken();
        let (needs_all, is_running) = (self.needs_all, !self.has_ended());
        Taken { offered, not_taken, needs_all, is_running }
    }

    /// The report; `None` until the sink has finished.
    #[must_use]
    pub fn report(&self) -> Option<ReplayReport> {
        self.report.get().cloned()
    }
}

/// The monitors of all replays that a run has started, in order. A cheap handle: clones share the
/// list.
#[derive(Clone, Default)]
pub struct ReplayMonitors(Arc<Mutex<Vec<ReplayMonitor>>>);

impl ReplayMonitors {
    /// The replays at the start.
    #[must_use]
    pub fn new(monitors: Vec<ReplayMonitor>) -> Self {
        Self(Arc::new(Mutex::new(monitors)))
    }

    /// Adds one.
    pub fn add(&self, monitor: ReplayMonitor) {
        self.list().push(monitor);
    }

    /// True if there was none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// Those that have not ended.
    #[must_use]
    pub fn running(&self) -> Vec<ReplayMonitor> {
        self.list().iter().filter(|one| !one.has_ended()).cloned().collect()
    }

    /// What each target was offered and did not take, in the order in which they were added.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.list().iter().map(ReplayMonitor::taken).collect()
    }

    /// The reports of those that have ended.
    #[must_use]
    pub fn reports(&self) -> Vec<ReplayReport> {
        self.list().iter().filter_map(ReplayMonitor::report).collect()
    }

    /// The same of all: of those that have not ended as they are now, without verdicts.
    #[must_use]
    pub fn reports_so_far(&self) -> Vec<ReplayReport> {
        let so_far = |monitor: &ReplayMonitor| ReplayReport {
            target: monitor.target.to_string(),
            end: monitor.progress(),
            rules: monitor.groups.report(),
            verdicts: Vec::new(),
        };
        let report = |monitor: &ReplayMonitor| monitor.report().unwrap_or_else(|| so_far(monitor));
        self.list().iter().map(report).collect()
    }

    /// The counters of each target, in the order in which targets were first added. One that was
    /// removed and added again has one entry.
    #[must_use]
    pub fn figures(&self) -> Vec<ReplayFigures> {
        let mut targets: Vec<ReplayFigures> = Vec::new();
        for figures in self.list().iter().map(ReplayMonitor::figures) {
            let same = |known: &&mut ReplayFigures| known.account.target == figures.account.target;
            match targets.iter_mut().find(same) {
                Some(known) => known.add(figures),
                None => targets.push(figures),
            }
        }
        targets
    }

    fn list(&self) -> MutexGuard<'_, Vec<ReplayMonitor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
