//! Where packets come from, which of them are wanted, and what that may cost.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use mirror_common::Direction;

use super::define::settings;
use super::shares::{CpuLimit, MemoryLimit, Percent};
use super::snaplen::SnaplenPart;
use crate::filter::{NetworkRule, Side};
use crate::rules::select::PortRange;
use crate::source::live::{Hook, KernelLog, Order};
use crate::units::Bytes;

settings! {
    /// Where packets come from.
    pub struct SourceSettings under "Source", changed AtNextStart {
        /// Interfaces (`veth*` for those whose names are like that, `any` for all; those that come later, too), capture files, read as one in the order of time, folders of them, or `-` for standard input
        setting from: Vec<String> {
            key: "from",
            value: "IFACE|FILE|DIR|-",
            with_spaces: true,
            required: "an interface, such as eth0, or a capture file",
        }
        /// In place of interfaces, a cgroup: what its sockets send and get, wherever it passes; a folder, or its name below /sys/fs/cgroup
        setting cgroup: Option<PathBuf> {
            key: "cgroup",
            value: "PATH",
            conflicts: &["from", "netns", "pid", "hook", "order"],
        }
        /// The network namespace of the interfaces: its path, a process in it, or its name (interfaces only)
        setting netns: Option<String> { key: "netns", value: "PATH|PID|NAME", conflicts: &["pid"] }
        /// The process whose network namespace has the interfaces, such as one of a pod (interfaces only)
        setting pid: Option<NonZeroU32> { key: "pid", value: "PID" }
        /// Where in the kernel packets are copied (interfaces only)
        setting hook: Option<Hook> { key: "hook", default: "tc" }
        /// Where among other TC programs of the interface it runs; those behind one that decides about a packet do not see it
        setting order: Option<Order> { key: "order", default: "first, where that is possible" }
        /// Size of the ring between kernel and user space, a power of two (interfaces only)
        setting ring_size: Option<Bytes> { key: "ring-size", default: "64MiB" }
        /// Let the kernel program report what becomes of single packets, on standard error (interfaces only)
        setting kernel_log: Option<KernelLog> { key: "kernel-log", default: "off" }
        /// Stop after this time (interfaces only); otherwise on Ctrl-C
        setting run_for: Option<Duration> { key: "for" }
        /// Which packets are wanted.
        group filter: FilterSettings { }
        /// What mirror may take.
        group guard: GuardSettings { key: "guard" }
    }
}

settings! {
    /// Which packets are wanted. What is not costs production a look at its headers and no copy.
    pub struct FilterSettings under "Filter", changed AtOnce {
        /// TCP port that production listens on, or a range such as 9000-9010. Needed for interfaces, optional for files
        setting ports: Vec<PortRange> { key: "ports", flag: "port", with_commas: true }
        /// Only connections whose client or server has an address of this network; `!` before it: only others. Of networks within one another the smallest decides
        setting nets: Vec<NetworkRule> { key: "nets", flag: "net", with_commas: true }
        /// The same for the client's address alone
        setting client_nets: Vec<NetworkRule> { key: "client-nets", flag: "client-net", with_commas: true }
        /// The same for the server's address alone
        setting server_nets: Vec<NetworkRule> { key: "server-nets", flag: "server-net", with_commas: true }
        /// Only packets that come in, or that go out (interfaces only; not on lo, where each does both)
        setting direction: Option<Direction> { key: "direction" }
        /// Only connections of which this host is the server, or the client (interfaces only; not on lo)
        setting side: Option<Side> { key: "side" }
        /// Only this percentage of the connections, the same ones on every host and in every run
        setting sample: Option<Percent> { key: "sample", default: "100" }
        /// Only packets to the server: requests without their responses
        setting requests_only: bool { key: "requests-only" }
        /// Copy only the first SIZE bytes of each packet, or of each packet with requests or with responses
        setting snaplen: Vec<SnaplenPart> { key: "snaplen", with_commas: true }
    }
}

settings! {
    /// What mirror may take of a host on which it is live.
    pub struct GuardSettings under "Guard", changed AtNextStart {
        /// Sample fewer connections while mirror takes more of one processor, its kernel program included (interfaces only)
        setting cpu_limit: Option<CpuLimit> { key: "cpu-limit" }
        /// Sample fewer connections while mirror holds more memory than this (interfaces only)
        setting memory_limit: Option<MemoryLimit> { key: "memory-limit" }
        /// Copy nothing while this file is there (interfaces only). SIGUSR1 pauses, too, and SIGUSR2 goes on
        setting pause_file: Option<PathBuf> { key: "pause-file" }
    }
}
