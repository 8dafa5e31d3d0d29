//! What is shown of pods to other threads.

use enum_map::{Enum, EnumMap};
use strum::{EnumIter, IntoStaticStr};

use super::WatchProblem;

/// What became of pods: "a pod was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PodChange {
    /// Attached to.
    Attached,
    /// Let go, as it ended or is not selected any more.
    Released,
    /// Gone before it could be attached to.
    Missed,
    /// Refused by the kernel; it is tried again.
    Refused,
    /// Beyond the number of pods that are remembered.
    TooMany,
}

/// What was seen of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodCount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The name of its Deployment, StatefulSet, DaemonSet or Job.
    pub workload: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests in them.
    pub requests: u64,
}

/// The state of the pods, and of the watch that they are known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFigures {
    /// How many are attached to.
    pub attached: u64,
    /// How many are selected and have no cgroup that could be attached to.
    pub waiting: u64,
    /// What became of pods so far.
    pub changes: EnumMap<PodChange, u64>,
    /// The pods were listed once.
    pub is_listed: bool,
    /// The API server is watched; otherwise the pods are those that were known last.
    pub is_watched: bool,
    /// Why the API server could not be asked, and how often.
    pub problems: EnumMap<WatchProblem, u64>,
    /// By pod; the first is what has no counts of its own.
    pub counts: Vec<PodCount>,
}
