//! What this process may do, as `/proc/self/status` tells.

use std::fs;

use anyhow::bail;

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
    Capability {
        name: "CAP_NET_ADMIN",
        number: 12,
        purpose: "to attach it, and to mark replay sockets",
    },
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

/// The effective set, one bit for each capability; empty when it cannot be read.
fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}
