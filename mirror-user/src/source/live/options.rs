//! What is captured, and where in the kernel.

use strum::{EnumIter, EnumMessage, IntoStaticStr};

use super::{Cgroup, KernelLog, Namespace, OwnSockets, PodSource};
use crate::filter::Watch;

/// 64 MiB hold 0.7 s of 40,000 requests per second with their responses (1 KiB each). It is the smallest
/// ring that rarely loses packets of one connection at full speed; see `docs/capture-cost.md`.
pub const DEFAULT_RING_BYTES: u32 = 64 << 20;

/// The smallest ring: two of the largest packets without BIG TCP must fit, one of them being read.
pub(super) const MIN_RING_BYTES: u32 = 512 * 1024;

/// What to capture.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Names of interfaces, patterns of names (`veth*`), or `any` for all that are up. Interfaces that
    /// appear are attached to and those that disappear released, as the kernel reports them.
    pub interfaces: Vec<String>,
    /// A cgroup instead: the packets of its sockets are copied, whatever interface they pass.
    pub cgroup: Option<Cgroup>,
    /// The cgroups of pods instead, as they come and go.
    pub pods: Option<PodSource>,
    /// The network namespace of the interfaces.
    pub namespace: Namespace,
    /// Which packets are wanted.
    pub watch: Watch,
    /// Where in the kernel packets are copied.
    pub hook: Hook,
    /// The position among other TC programs.
    pub order: Order,
    /// Size of the ring in bytes, a power of two.
    pub ring_bytes: u32,
    /// How much the kernel program logs about single packets.
    pub log: KernelLog,
    /// If something cannot be captured any more, the run continues without it and retries; otherwise it
    /// ends.
    pub persists: bool,
    /// Sockets whose packets are not copied; `None` if mirror opens no connections.
    pub own: Option<OwnSockets>,
}

/// Where in the kernel packets are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Hook {
    /// Ingress and egress: TCX if the kernel has it (6.6), clsact otherwise
    #[default]
    Tc,
    /// Ingress and egress through clsact, even if the kernel has TCX
    Clsact,
    /// Ingress only, before the network stack
    Xdp,
}

/// The position among other TC programs of a device. At any position, mirror's program passes every packet
/// on to the next one (`TC_ACT_UNSPEC`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Order {
    /// Before all others if possible; otherwise a warning is reported
    #[default]
    #[strum(disabled)]
    Front,
    /// Before all others, or fail: it sees every packet
    First,
    /// After all others: it sees the packets that they pass on, with their changes
    Last,
}
