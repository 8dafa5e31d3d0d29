//! The ways of attaching the program, and the best one that this kernel has.

use std::io::ErrorKind;

use aya::programs::{ProgramError, SchedClassifier, TcAttachType};
use aya::util::KernelVersion;

use super::super::Hook;

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::source::live) enum Path {
    /// Links of TCX (Linux 6.6), which the kernel removes with the process.
    Tcx,
    /// Filters of a clsact qdisc.
    Clsact,
    /// Links of XDP, which the kernel removes with the process.
    Xdp,
    /// Links of a cgroup, which the kernel removes with the process.
    Cgroup,
}

impl Path {
    /// The way for a hook, or for cgroups, on this kernel.
    pub(in crate::source::live) fn of(hook: Hook, in_cgroups: bool) -> Self {
        match hook {
            _ if in_cgroups => Self::Cgroup,
            Hook::Xdp => Self::Xdp,
            Hook::Tc if has_tcx() => Self::Tcx,
            Hook::Tc | Hook::Clsact => Self::Clsact,
        }
    }

    pub(in crate::source::live) fn name(self) -> &'static str {
        match self {
            Self::Tcx => "TCX",
            Self::Clsact => "clsact",
            Self::Xdp => "XDP",
            Self::Cgroup => "cgroup",
        }
    }
}

/// True when the kernel has TCX links, or does not let this process ask and is new enough for them.
pub fn has_tcx() -> bool {
    // A kernel of that version may be built without them; `lo` always exists and can be queried.
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(6, 6, 0))
        && match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
            Ok(_) => true,
            // Others have links there, whose programs only CAP_SYS_ADMIN may open.
            Err(ProgramError::SyscallError(error)) => {
                error.call == "bpf_prog_get_fd_by_id"
                    || error.io_error.kind() == ErrorKind::PermissionDenied
            }
            Err(_) => false,
        }
}
