//! What is captured, and where in the kernel.

use super::{Cgroup, KernelLog, Namespace, OwnSockets};
use crate::filter::Watch;

/// 64 MiB hold 0.7 s of 40,000 requests a second with their answers (1 KiB each), and are the
/// smallest ring that seldom loses anything of one connection at full speed; see
/// `docs/capture-cost.md`.
pub const DEFAULT_RING_BYTES: u32 = 64 << 20;

/// The smallest ring: the largest packet without BIG TCP must fit, and another one while it is read.
pub(super) const MIN_RING_BYTES: u32 = 512 * 1024;

/// What to capture.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Names of interfaces, patterns of names (`veth*`), or `any` for all that are up. Those that come
    /// are attached to, and those that go let go, as the kernel tells of them.
    pub interfaces: Vec<String>,
    /// In their place a cgroup, whose sockets' packets are copied wherever they pass.
    pub cgroup: Option<Cgroup>,
    /// Whose interfaces.
    pub namespace: Namespace,
    /// What is wanted of their packets.
    pub watch: Watch,
    /// Where in the kernel packets are copied.
    pub hook: Hook,
    /// Its place among other TC programs.
    pub order: Order,
    /// Size of the ring in bytes, a power of two.
    pub ring_bytes: u32,
    /// How much the kernel program says of single packets.
    pub log: KernelLog,
    /// Where something cannot be captured any more, the run goes on without and tries again; otherwise
    /// it ends.
    pub persists: bool,
    /// Sockets whose packets are not copied; `None` where mirror connects to nobody.
    pub own: Option<OwnSockets>,
}

/// Where in the kernel packets are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// TC, by TCX where the kernel has it (6.6) and by clsact before.
    #[default]
    Tc,
    /// TC by clsact, even where the kernel has TCX.
    Clsact,
    /// XDP, ingress only.
    Xdp,
}

/// The place among other TC programs of a device. Ours lets every packet pass on to the next
/// (`TC_ACT_UNSPEC`), wherever it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Before all others where that is possible; where it is not, that is said.
    #[default]
    Front,
    /// Before all others, or not at all: it sees every packet.
    First,
    /// Behind those that are there when it is attached: it sees what they let pass.
    Last,
}
