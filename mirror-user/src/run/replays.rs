//! The replays of a run, including those that a reload started: their progress and their reports.

use std::sync::{Arc, Mutex, PoisonError};

use crate::progress::Progress;
use crate::sink::replay::{ReplayMonitor, ReplayReport};

/// All replays that a run has started, in order. A cheap handle: clones share the list.
#[derive(Clone)]
pub(crate) struct Replays {
    monitors: Arc<Mutex<Vec<ReplayMonitor>>>,
    progress: Progress,
}

impl Replays {
    /// The replays at the start, which `progress` shows.
    pub(super) fn new(monitors: Vec<ReplayMonitor>, progress: Progress) -> Self {
        progress.show_replays(monitors.clone());
        Self { monitors: Arc::new(Mutex::new(monitors)), progress }
    }

    /// Adds a replay that a reload started.
    pub(super) fn add(&self, monitor: ReplayMonitor) {
        let mut monitors = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.push(monitor);
        // Replays that have ended are not shown any more.
        let running = monitors.iter().filter(|one| !one.has_ended()).cloned().collect();
        self.progress.show_replays(running);
    }

    /// The reports of the replays that have ended.
    pub(super) fn reports(&self) -> Vec<ReplayReport> {
        let monitors = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.iter().filter_map(ReplayMonitor::report).collect()
    }
}
