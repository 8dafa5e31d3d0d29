//! The counters of a run, from where they are counted.

use std::sync::Arc;
use std::time::Duration;

use enum_map::EnumMap;

use crate::guard;
use crate::origin::{Labels, OriginChange, Origins};
use crate::pipeline::{Handover, Reloads};
use crate::process::Process;
use crate::shutdown::Stop;
use crate::sink::replay::{ReplayFigures, ReplayMonitors, SpanCounts};
use crate::source::live::{Control, Copying, Health, PodFigures};
use crate::stats::{Snapshot, SnapshotSlot};
use crate::summary::Summary;

/// How long the pipeline may take to give its counters. A live one comes to it every 20 ms; one that
/// takes so long reads no ring any more, or waits for a target that is slower than a capture file.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Where the figures of a run are. Handles: nothing is read yet.
#[derive(Clone)]
pub struct Sources {
    /// The counters of the pipeline.
    pub snapshots: Arc<SnapshotSlot>,
    /// Those of the replays, which have threads of their own.
    pub targets: ReplayMonitors,
    /// With a live source.
    pub live: Option<(Health, Control)>,
    /// With a live source.
    pub guard: Option<Arc<guard::Counts>>,
    /// With a configuration file that is followed.
    pub handover: Option<Arc<Handover>>,
    /// Where requests come from.
    pub origins: Origins,
    /// With spans that are exported.
    pub spans: Option<Arc<SpanCounts>>,
    /// Whether the run is to end.
    pub stop: Stop,
}

/// The figures of a run at one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The counters of the pipeline.
    pub snapshot: Arc<Snapshot>,
    /// The pipeline did not give its counters in time: they are older.
    pub is_stalled: bool,
    /// Those of each target.
    pub targets: Vec<ReplayFigures>,
    /// With a live source.
    pub capture: Option<Capture>,
    /// With a live source.
    pub guard: Option<guard::Figures>,
    /// With a configuration file that is followed.
    pub reloads: Option<Reloads>,
    /// What the counts of shadow requests tell apart.
    pub labels: Labels,
    /// With labels of pods: what became of origins.
    pub origins: Option<EnumMap<OriginChange, u64>>,
    /// With spans that are exported.
    pub spans: Option<Arc<SpanCounts>>,
    /// The run is to end.
    pub is_stopping: bool,
    /// What the kernel says of the process.
    pub process: Process,
}

/// The state of a live source.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// By which of the kernel's hooks it is attached.
    pub hook: &'static str,
    /// How many interfaces and cgroups it is attached to.
    pub attached: usize,
    /// The names of what is wanted, is there, and cannot be captured.
    pub lost: Vec<String>,
    /// The size of the ring.
    pub ring_bytes: u64,
    /// What waits in it.
    pub waiting_bytes: u64,
    /// What is copied of the connections that are wanted.
    pub copying: Copying,
    /// If pods are captured.
    pub pods: Option<PodFigures>,
}

impl Sources {
    /// Reads the figures. Takes no longer than a second, and nobody waits for it.
    pub async fn read(&self) -> Figures {
        let snapshot = tokio::time::timeout(LONGEST_WAIT, self.snapshots.request()).await;
        let is_stalled = snapshot.is_err();
        Figures {
            snapshot: snapshot.unwrap_or_else(|_| self.snapshots.latest()),
            is_stalled,
            targets: self.targets.figures(),
            // Read after the snapshot, for which the bytes that wait in the ring are counted.
            capture: self.live.as_ref().map(|(health, control)| Capture {
                hook: health.hook(),
                attached: health.attached(),
                lost: health.lost(),
                ring_bytes: health.ring_bytes(),
                waiting_bytes: health.waiting_bytes(),
                copying: control.copying(),
                pods: health.pods(),
            }),
            guard: self.guard.as_ref().map(|guard| guard.figures()),
            reloads: self.handover.as_ref().map(|handover| handover.reloads()),
            labels: self.origins.labels(),
            origins: self.origins.changes(),
            spans: self.spans.clone(),
            is_stopping: self.stop.requested(),
            process: Process::now(),
        }
    }

    /// The summary so far, in the form of the one at the end.
    pub async fn summary(&self) -> Summary {
        let snapshot = self.read().await.snapshot;
        let replays = self.targets.reports_so_far();
        Summary { snapshot: (*snapshot).clone(), replays, ..Summary::default() }
    }
}

#[cfg(test)]
impl Figures {
    /// Those of a run that reads files and has no targets.
    pub(super) fn of_files(snapshot: Snapshot) -> Self {
        Self {
            snapshot: Arc::new(snapshot),
            is_stalled: false,
            targets: Vec::new(),
            capture: None,
            guard: None,
            reloads: None,
            labels: Labels::default(),
            origins: None,
            spans: None,
            is_stopping: false,
            process: Process::default(),
        }
    }
}
