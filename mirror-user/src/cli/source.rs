//! Where packets come from, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::filter::{FilterArgs, either};
use super::guard::GuardArgs;
use crate::units::{parse_bytes, parse_duration};

/// Where packets come from.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Interfaces (`veth*` for those whose names are like that, `any` for all; those that come later, too), capture files, read as one in the order of time, folders of them, or `-` for standard input
    #[arg(long, value_name = "IFACE|FILE|DIR|-", num_args = 1.., required_unless_present_any = ["config", "cgroup"])]
    pub from: Vec<String>,
    /// A configuration file that says what flags do not: source, rules, redaction, targets; flags that are given win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// In place of interfaces, a cgroup: what its sockets send and get, wherever it passes; a folder, or its name below /sys/fs/cgroup
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["from", "netns", "pid", "hook", "order"]
    )]
    pub cgroup: Option<PathBuf>,
    /// The network namespace of the interfaces: its path, a process in it, or its name (interfaces only)
    #[arg(long, value_name = "PATH|PID|NAME", conflicts_with = "pid")]
    pub netns: Option<String>,
    /// The process whose network namespace has the interfaces, such as one of a pod (interfaces only)
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Where in the kernel packets are copied (interfaces only) [default: tc]
    #[arg(long, value_enum, value_name = "HOOK")]
    pub hook: Option<HookArg>,
    /// Where among other TC programs of the interface it runs; those behind one that decides of a packet do not see it [default: first, where that is possible]
    #[arg(long, value_enum, value_name = "PLACE")]
    pub order: Option<OrderArg>,
    /// Size of the ring between kernel and user space, a power of two (interfaces only)
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub ring_size: Option<u64>,
    /// Let the kernel program say what becomes of single packets, on standard error (interfaces only) [default: off]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub kernel_log: Option<KernelLogArg>,
    /// Stop after this time (interfaces only); otherwise on Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub run_for: Option<Duration>,
    /// Which packets are wanted.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What mirror may take.
    #[command(flatten)]
    pub guard: GuardArgs,
}

impl SourceArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // Of the two there is one.
        let from = either(self.from, other.from.clone());
        let from = if self.cgroup.is_some() { Vec::new() } else { from };
        let cgroup = self.cgroup.or(other.cgroup.filter(|_| from == other.from));
        Self {
            from,
            cgroup,
            config: self.config.or(other.config),
            // Of the two there is one.
            netns: self.netns.or(other.netns.filter(|_| self.pid.is_none())),
            pid: self.pid.or(other.pid),
            hook: self.hook.or(other.hook),
            order: self.order.or(other.order),
            ring_size: self.ring_size.or(other.ring_size),
            kernel_log: self.kernel_log.or(other.kernel_log),
            run_for: self.run_for.or(other.run_for),
            filter: self.filter.or(other.filter),
            guard: self.guard.or(other.guard),
        }
    }
}

/// The kernel hook that copies packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookArg {
    /// Ingress and egress: TCX where the kernel has it (6.6), clsact before
    Tc,
    /// Ingress and egress through clsact, even where the kernel has TCX
    Clsact,
    /// Ingress only, before the network stack
    Xdp,
}

/// The place among other TC programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// Before all others, or not at all: it sees every packet
    First,
    /// Behind those that are there: it sees what they let pass, as they changed it
    Last,
}

/// How much the kernel program says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KernelLogArg {
    /// Nothing, which costs nothing
    #[default]
    Off,
    /// Packets that were wanted and could not be had
    Warn,
    /// Packets of watched ports that carry something, too
    Debug,
    /// All packets
    Trace,
}
