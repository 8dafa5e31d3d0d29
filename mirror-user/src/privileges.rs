//! What this process may do, and what its threads give up once they do not need it any more.

use anyhow::{Context, bail};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// A capability that capture needs, with its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    number: u32,
    /// What for.
    pub purpose: &'static str,
}

/// What live capture needs.
pub const CAPTURE: [Capability; 3] = [
    Capability { name: "CAP_BPF", number: 39, purpose: "to load the kernel program" },
    Capability { name: "CAP_PERFMON", number: 38, purpose: "to let it read packets" },
    Capability { name: "CAP_NET_ADMIN", number: 12, purpose: "to attach it" },
];

/// The old capability that includes CAP_BPF and CAP_PERFMON.
const SYS_ADMIN: u32 = 21;

impl Capability {
    /// True when this process has it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let effective = effective();
        let has = |number: u32| effective >> number & 1 == 1;
        has(self.number) || (self.number != 12 && has(SYS_ADMIN))
    }
}

/// Says what this process lacks for live capture.
///
/// # Errors
/// When it lacks something.
pub fn check_capture() -> anyhow::Result<()> {
    let lacking: Vec<&str> = CAPTURE
        .iter()
        .filter(|capability| !capability.is_held())
        .map(|capability| capability.name)
        .collect();
    if !lacking.is_empty() {
        bail!(
            "live capture needs {}: run as root, or give the binary these with setcap",
            lacking.join(", ")
        );
    }
    Ok(())
}

/// Keeps this process's memory, where captured bytes are, to itself: a crash leaves no core file, and
/// nobody without privileges may trace it or read it (prctl(2), `PR_SET_DUMPABLE`).
///
/// # Errors
/// When the kernel refuses it, which it has no reason for.
pub fn hide_memory() -> anyhow::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core files cannot be forbidden")
}

/// The effective set, one bit for each capability; empty when it cannot be read.
fn effective() -> u64 {
    capabilities(None).map_or(0, |sets| sets.effective.bits())
}

/// What a thread of a run still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// To open files and targets, to attach, and to let other threads do what theirs is.
    Open,
    /// To read what is copied, and to attach to interfaces that come; in another network namespace
    /// when it is true.
    Read(bool),
    /// To measure the kernel program, and to change what it copies.
    Guard,
    /// To connect to a target, and to tell the kernel program which sockets are mirror's own; to a
    /// unix socket, which may be another user's, when it is true.
    Send(bool),
    /// To wait, or to write to what is open.
    Nothing,
}

impl Duty {
    fn needs(self) -> CapabilitySet {
        use CapabilitySet as Set;
        let capture = Set::BPF | Set::PERFMON | Set::NET_ADMIN;
        match self {
            // Files and sockets of other users may be named; a namespace is entered.
            Self::Open => capture | Set::SYS_ADMIN | Set::DAC_OVERRIDE | Set::DAC_READ_SEARCH,
            Self::Read(elsewhere) => {
                capture | if elsewhere { Set::SYS_ADMIN } else { Set::empty() }
            }
            Self::Guard => Set::BPF | Set::SYS_ADMIN,
            // Before Linux 5.19 all of bpf(2) needs it where `kernel.unprivileged_bpf_disabled` is set.
            Self::Send(unix) => Set::BPF | if unix { Set::DAC_OVERRIDE } else { Set::empty() },
            Self::Nothing => Set::empty(),
        }
    }
}

/// Gives up every capability of this thread, and of those that it will start, that its duty does not
/// need. What it did not have it does not get.
///
/// # Errors
/// When the kernel refuses it, which it has no reason for.
pub fn keep_for(duty: Duty) -> anyhow::Result<()> {
    let given_up = "capabilities cannot be given up";
    let CapabilitySets { effective, permitted, .. } = capabilities(None).context(given_up)?;
    let needs = duty.needs();
    let sets = CapabilitySets {
        effective: effective & needs,
        permitted: permitted & needs,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).context(given_up)
}
