//! The replays of a run, including those that a reload started: their progress and their reports.

use crate::progress::Progress;
use crate::sink::replay::{ReplayMonitor, ReplayMonitors};

/// All replays that a run has started, and the line that shows them. A cheap handle.
#[derive(Clone)]
pub(crate) struct Replays {
    pub(super) monitors: ReplayMonitors,
    progress: Progress,
}

impl Replays {
    /// The replays at the start, which `progress` shows.
    pub(super) fn new(monitors: Vec<ReplayMonitor>, progress: Progress) -> Self {
        progress.show_replays(monitors.clone());
        Self { monitors: ReplayMonitors::new(monitors), progress }
    }

    /// Adds a replay that a reload started.
    pub(super) fn add(&self, monitor: ReplayMonitor) {
        self.monitors.add(monitor);
        // Replays that have ended are not shown any more.
        self.progress.show_replays(self.monitors.running());
    }
}
