//! The replays of a run, those that came later included: who reports on them and shows them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::progress::Progress;
use crate::sink::replay::{ReplayMonitor, ReplayReport};

/// Every replay that a run has started, in that order. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Replays {
    monitors: Arc<Mutex<Vec<ReplayMonitor>>>,
    progress: Progress,
}

impl Replays {
    /// Those of the start, which `progress` shows.
    pub(super) fn new(monitors: Vec<ReplayMonitor>, progress: Progress) -> Self {
        progress.show_replays(monitors.clone());
        Self { monitors: Arc::new(Mutex::new(monitors)), progress }
    }

    /// Adds one that was started meanwhile.
    pub(super) fn add(&self, monitor: ReplayMonitor) {
        let mut monitors = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.push(monitor);
        // One that has ended is not shown any more.
        let running = monitors.iter().filter(|one| one.report().is_none()).cloned().collect();
        self.progress.show_replays(running);
    }

    /// What those that have ended came to.
    pub(super) fn reports(&self) -> Vec<ReplayReport> {
        let monitors = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.iter().filter_map(ReplayMonitor::report).collect()
    }
}
