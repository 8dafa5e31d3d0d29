//! What the dashboard watches: a comparison, the counters of the run that feeds it, and whether it has ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::judgement::{Judged, Judgement};
use crate::sink::compare::Shared;
use crate::stats::{Snapshot, SnapshotSlot};

/// How long a run may take to give its counters; after that, those that it gave last are shown.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is watched; shared by the command, the page and its streams of events.
pub struct Watched {
    pub(super) comparison: Shared,
    pub(super) judgement: Arc<Judgement>,
    resets: AtomicU64,
    ended: AtomicBool,
    counters: Mutex<Arc<SnapshotSlot>>,
}

/// Differs whenever there is something new to show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct State {
    /// How many comparisons have begun: a reload may begin another one.
    #[serde(skip)]
    begun: u64,
    pairs: u64,
    resets: u64,
    ended: bool,
    /// What is shown instead of the run's own comparison.
    judged: Option<Judged>,
}

/// Differs for each comparison that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    judgement: u64,
    /// A reload may begin another comparison of the run.
    begun: u64,
}

impl State {
    /// True if nothing more comes.
    pub(super) fn is_final(&self) -> bool {
        self.ended && self.judged.as_ref().is_none_or(Judged::is_final)
    }
}

impl Watched {
    /// Watches a comparison.
    #[must_use]
    pub fn new(comparison: Shared) -> Arc<Self> {
        let (resets, ended, counters) = Default::default();
        let judgement = Judgement::new(comparison.store().cloned());
        Arc::new(Self { comparison, judgement, resets, ended, counters })
    }

    /// Another run feeds the comparison from now on.
    pub fn run(&self, counters: Arc<SnapshotSlot>) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// Nothing more comes.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    pub(super) fn reset(&self) {
        self.judgement.end();
        self.comparison.lock().reset();
        self.resets.fetch_add(1, Relaxed);
    }

    pub(super) fn state(&self) -> State {
        State {
            begun: self.comparison.begun(),
            pairs: self.comparison.lock().pairs(),
            resets: self.resets.load(Relaxed),
            ended: self.ended.load(Relaxed),
            judged: self.judgement.judged(),
        }
    }

    /// The comparison that is shown, and which one it is.
    pub(super) fn shown(&self) -> (Turn, Shared) {
        let (judgement, shown) = self.judgement.shown();
        let turn = Turn { judgement, begun: self.comparison.begun() };
        (turn, shown.unwrap_or_else(|| self.comparison.clone()))
    }

    pub(super) async fn health(&self) -> Arc<Snapshot> {
        let counters = Arc::clone(&self.counters.lock().unwrap_or_else(PoisonError::into_inner));
        timeout(PATIENCE, counters.request()).await.unwrap_or_else(|_| counters.latest())
    }
}
