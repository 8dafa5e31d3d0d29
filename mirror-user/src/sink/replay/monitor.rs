//! What other threads can read of a replay: its counters while it runs, and its report at the end.

use std::sync::{Arc, OnceLock};

use super::engine::queue::Queue;
use super::{ReplayProgress, ReplayReport};

/// Reads the counters of a running replay, and its report at the end.
#[derive(Clone)]
pub struct ReplayMonitor {
    pub(super) queue: Arc<Queue>,
    pub(super) report: Arc<OnceLock<ReplayReport>>,
}

impl ReplayMonitor {
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

    /// The report; `None` until the sink has finished.
    #[must_use]
    pub fn report(&self) -> Option<ReplayReport> {
        self.report.get().cloned()
    }
}
