//! The pods of this node that are wanted, by what the API server of Kubernetes says of them.
//!
//! In come the metadata of this node's pods, as they change, and the tree of cgroups; out go attachments to
//! the cgroups of those that are selected, and counts of what each of them sends and gets. A pod's cgroup is
//! found by the UID of the pod: the kubelet makes it before the first container and removes it after the
//! last, and every container of the pod is below it, however the runtime names it. So a container is captured
//! from its first packet on, and neither its id nor the socket of a runtime is needed.
//!
//! One watch asks for this node's pods alone, and for their metadata alone (`watch`, the only file that
//! names `kube`). While the API server is away, the pods that were known stay known (`known`). The thread
//! that reads the ring attaches and releases (`attached`).
//!
//! It refuses no run because of a pod: one that cannot be attached to, that ended before it could be, or
//! that is beyond a limit is counted by that reason.

mod attached;
mod cgroups;
mod counts;
mod figures;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "nobody tells of pods"))]
mod known;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "nobody tells of pods"))]
mod pod;
mod selection;
#[cfg_attr(not(feature = "kubernetes"), allow(dead_code, reason = "nobody tells of pods"))]
mod watch;

use std::fmt;

use strum::{EnumIter, IntoStaticStr};

pub(super) use self::attached::Pods;
pub use self::figures::{PodChange, PodCount, PodFigures};
pub use self::known::PauseSwitch;
pub(crate) use self::selection::namespace;
pub use self::selection::{PodSelection, Requirement};
pub use self::watch::api_port;
use crate::origin::Origins;

/// Which pods of which node are captured.
#[derive(Clone, Debug)]
pub struct PodSource {
    /// The name of this node.
    pub node: String,
    /// Which of its pods.
    pub selection: PodSelection,
    /// The pod that mirror runs in, as `NAMESPACE/NAME`: it is never captured, and its annotation
    /// [`PAUSE`] pauses.
    pub own: Option<String>,
    /// Set while that annotation says so.
    pub pause: PauseSwitch,
    /// Who is told which pod an interface stands for.
    pub origins: Origins,
}

/// The annotation by which a pod's owner decides: a pod where it is `off` is not captured, whatever is
/// selected.
pub const SHADOW: &str = "mirror.dev/shadow";

/// The annotation of mirror's own pod: while it is there, and is neither `false` nor `off`, nothing is copied.
pub const PAUSE: &str = "mirror.dev/pause";

/// Pods of one node that are known at the same time. A kubelet runs 110 unless it is told otherwise, and
/// clouds allow up to 256; those that have ended and are not removed yet are among them. A known pod takes
/// some 500 bytes, and two descriptors once it is attached to.
pub(crate) const MAX_PODS: usize = 2048;

/// Why the API server could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr, enum_map::Enum)]
#[strum(serialize_all = "snake_case")]
pub enum WatchProblem {
    /// There is no connection to it.
    Unreachable,
    /// It does not let this service account do that: 401 or 403.
    Forbidden,
    /// It has forgotten what was asked to go on from: 410. The pods are listed anew.
    Gone,
    /// It took too long.
    Timeout,
    /// It refused for another reason.
    Refused,
    /// Its answer could not be read.
    Unreadable,
}

impl fmt::Display for PodSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pods of {} with {}", self.node, self.selection)
    }
}
