//! The capabilities of this process, and which of them each thread drops when it no longer needs
//! them.

use anyhow::{Context, bail};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// A capability that live capture needs, with its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    number: u32,
    /// What it is needed for.
    pub purpose: &'static str,
}

/// The capabilities that live capture needs.
pub const CAPTURE: [Capability; 3] = [
    Capability { name: "CAP_BPF", number: 39, purpose: "to load the kernel program" },
    Capability { name: "CAP_PERFMON", number: 38, purpose: "to let it read packets" },
    Capability { name: "CAP_NET_ADMIN", number: 12, purpose: "to attach it" },
];

/// CAP_SYS_ADMIN, which includes CAP_BPF and CAP_PERFMON.
const SYS_ADMIN: u32 = 21;

impl Capability {
    /// True if this process has it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let effective = effective();
        let has = |number: u32| effective >> number & 1 == 1;
        has(self.number) || (self.number != 12 && has(SYS_ADMIN))
    }
}

/// Checks that this process has the capabilities for live capture.
///
/// # Errors
/// If any is missing; the message names all that are.
pub fn check_capture() -> anyhow::Result<()> {
    let missing: Vec<&str> = CAPTURE
        .iter()
        .filter(|capability| !capability.is_held())
        .map(|capability| capability.name)
        .collect();
    if !missing.is_empty() {
        bail!(
            "live capture needs {}: run as root, or give the binary these with setcap",
            missing.join(", ")
        );
    }
    Ok(())
}

/// True if this process may open the kernel programs of others (CAP_SYS_ADMIN).
#[must_use]
pub fn is_admin() -> bool {
    effective() >> SYS_ADMIN & 1 == 1
}

/// Protects the memory of this process, which contains captured bytes: a crash writes no core file,
/// and unprivileged processes cannot trace or read it (prctl(2), `PR_SET_DUMPABLE`).
///
/// # Errors
/// When the kernel refuses, which is not expected.
pub fn hide_memory() -> anyhow::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core files cannot be forbidden")
}

/// The effective set, one bit for each capability; empty if it cannot be read.
fn effective() -> u64 {
    capabilities(None).map_or(0, |sets| sets.effective.bits())
}

/// What a thread does. This decides which capabilities it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Opens files and targets, attaches, and starts the threads with other duties.
    Open,
    /// Reads captured packets, and attaches to new interfaces; true: in another network namespace.
    Read(bool),
    /// Measures the kernel program, and changes what it captures.
    Guard,
    /// Connects to a target, and registers mirror's own sockets with the kernel program; true: to a
    /// unix socket, which may belong to another user.
    Send(bool),
    /// Waits, or writes to files that are open.
    Nothing,
}

impl Duty {
    fn needs(self) -> CapabilitySet {
        use CapabilitySet as Set;
        let capture = Set::BPF | Set::PERFMON | Set::NET_ADMIN;
        match self {
            // Files and sockets may belong to other users, and another namespace may have to be
            // entered.
            Self::Open => capture | Set::SYS_ADMIN | Set::DAC_OVERRIDE | Set::DAC_READ_SEARCH,
            Self::Read(elsewhere) => {
                capture | if elsewhere { Set::SYS_ADMIN } else { Set::empty() }
            }
            Self::Guard => Set::BPF | Set::SYS_ADMIN,
            // Before Linux 5.19, every bpf(2) call needs it if `kernel.unprivileged_bpf_disabled` is set.
            Self::Send(unix) => Set::BPF | if unix { Set::DAC_OVERRIDE } else { Set::empty() },
            Self::Nothing => Set::empty(),
        }
    }
}

/// Drops every capability that this duty does not need, for this thread and the threads that it
/// will start. Never adds a capability.
///
/// # Errors
/// When the kernel refuses, which is not expected.
pub fn keep_for(duty: Duty) -> anyhow::Result<()> {
    let failed = "capabilities cannot be dropped";
    let CapabilitySets { effective, permitted, .. } = capabilities(None).context(failed)?;
    let needs = duty.needs();
    let sets = CapabilitySets {
        effective: effective & needs,
        permitted: permitted & needs,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).context(failed)
}
