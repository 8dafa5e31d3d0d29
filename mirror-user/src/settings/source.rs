//! Where packets come from, which of them are captured, and how much mirror may use.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use mirror_common::Direction;

use super::define::settings;
use super::shares::{CpuLimit, MemoryLimit, Percent};
use super::snaplen::SnaplenPart;
use super::stream::StreamSourceSettings;
use crate::filter::{NetworkRule, Side};
use crate::guard::ShedLoad;
use crate::rules::select::PortRange;
use crate::source::live::{Hook, KernelLog, Order, PodSelection};
use crate::units::Bytes;

settings! {
    /// Where packets come from.
    pub struct SourceSettings under "Source", changed AtNextStart {
        /// Interfaces (`veth*` matches names, `any` is all; interfaces that appear later are included), capture files or directories of them (merged in order of time), HAR files, `-` for standard input, or a stream of NATS JetStream (nats://HOST:4222/STREAM)
        setting from: Vec<String> {
            key: "from",
            value: "IFACE|FILE|DIR|-|URL",
            with_spaces: true,
            required: "an interface, such as eth0, or a capture file",
            conflicts: &["pods"],
        }
        /// Instead of interfaces, capture what the sockets of a cgroup send and receive, on any interface; a directory, or its name below /sys/fs/cgroup
        setting cgroup: Option<PathBuf> {
            key: "cgroup",
            value: "PATH",
            conflicts: &["from", "netns", "pid", "hook", "order"],
        }
        /// Instead of interfaces, capture what this node's pods of these namespaces, labels and annotation send and receive, as they come and go; asks the API server of Kubernetes
        setting pods: Option<PodSelection> {
            key: "pods",
            conflicts: &["cgroup", "netns", "pid", "hook", "order"],
        }
        /// The name of this node in Kubernetes, for pods
        setting node: Option<String> { key: "node", env: "MIRROR_NODE" }
        /// The pod that mirror runs in: it is not captured, and pauses while it has the annotation mirror.dev/pause
        setting own_pod: Option<String> {
            key: "own-pod",
            value: "NAMESPACE/NAME",
            env: "MIRROR_POD",
            check: own_pod,
        }
        /// Network namespace of the interfaces: a path, the PID of a process in it, or a name (interfaces only)
        setting netns: Option<String> { key: "netns", value: "PATH|PID|NAME", conflicts: &["pid"] }
        /// Use the network namespace of this process, such as one of a pod (interfaces only)
        setting pid: Option<NonZeroU32> { key: "pid", value: "PID" }
        /// Where in the kernel packets are captured (interfaces only)
        setting hook: Option<Hook> { key: "hook", default: "tc" }
        /// Position among other TC programs on the interface; a program after one that returns a verdict does not see the packet
        setting order: Option<Order> { key: "order", default: "first, if possible" }
        /// Size of the ring buffer between kernel and user space, a power of two (interfaces only)
        setting ring_size: Option<Bytes> { key: "ring-size", default: "64MiB" }
        /// Log the kernel program's decisions about single packets to standard error (interfaces only)
        setting kernel_log: Option<KernelLog> { key: "kernel-log", default: "off" }
        /// Stop after this time (interfaces only); without it, run until Ctrl-C
        setting run_for: Option<Duration> { key: "for" }
        /// A stream as the source.
        group stream: StreamSourceSettings { key: "stream" }
        /// Which packets are captured.
        group filter: FilterSettings { }
        /// How much mirror may use.
        group guard: GuardSettings { key: "guard" }
    }
}

settings! {
    /// Which packets are captured. The kernel program reads the headers of all others, but does not copy them.
    pub struct FilterSettings under "Filter", changed AtOnce {
        /// TCP port that production listens on, or a range such as 9000-9010. Required for interfaces, optional for files
        setting ports: Vec<PortRange> { key: "ports", flag: "port", with_commas: true }
        /// Only connections whose client or server address is in this network; with `!` in front, only those outside. If networks overlap, the most specific one decides
        setting nets: Vec<NetworkRule> { key: "nets", flag: "net", with_commas: true }
        /// Like --net, for the client's address only
        setting client_nets: Vec<NetworkRule> { key: "client-nets", flag: "client-net", with_commas: true }
        /// Like --net, for the server's address only
        setting server_nets: Vec<NetworkRule> { key: "server-nets", flag: "server-net", with_commas: true }
        /// Only incoming or only outgoing packets (interfaces only; not on lo, where every packet is both)
        setting direction: Option<Direction> { key: "direction" }
        /// Only connections in which this host is the server, or the client (interfaces only; not on lo)
        setting side: Option<Side> { key: "side" }
        /// Only this percentage of the connections; every host and every run selects the same ones
        setting sample: Option<Percent> { key: "sample", default: "100" }
        /// Only packets to the server: requests without responses
        setting requests_only: bool { key: "requests-only" }
        /// Copy only the first SIZE bytes of each packet, or of each packet with requests or with responses
        setting snaplen: Vec<SnaplenPart> { key: "snaplen", with_commas: true }
    }
}

settings! {
    /// How much of a production host mirror may use while it captures.
    pub struct GuardSettings under "Guard", changed AtNextStart {
        /// Sample fewer connections while mirror, including its kernel program, uses more than this share of one processor (interfaces only)
        setting cpu_limit: Option<CpuLimit> { key: "cpu-limit" }
        /// Sample fewer connections while mirror uses more memory than this (interfaces only)
        setting memory_limit: Option<MemoryLimit> { key: "memory-limit" }
        /// Sample fewer connections while no target takes what is captured, or while production needs the processors that mirror uses (interfaces only)
        setting shed_load: Option<ShedLoad> { key: "shed-load", env: "MIRROR_SHED_LOAD", default: "auto" }
        /// The smallest percentage of connections that is captured when load is shed or a limit is exceeded (interfaces only)
        setting min_sample: Option<Percent> { key: "min-sample", default: "0.1" }
        /// Pause capturing while this file exists (interfaces only). SIGUSR1 also pauses, SIGUSR2 resumes
        setting pause_file: Option<PathBuf> { key: "pause-file" }
    }
}

fn own_pod(text: &str) -> Result<(), String> {
    let is_named = text.split_once('/').is_some_and(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    });
    if is_named { Ok(()) } else { Err("NAMESPACE/NAME".to_owned()) }
}
