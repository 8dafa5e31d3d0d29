//! Ownership of filters: filters outlive a process that is killed, and the kernel's list does not show
//! whether the process that attached them still runs.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Context;

/// The ownership of the filters of one kernel program: a Unix socket whose abstract name contains the
/// program's id (unix(7)). Such names belong to the network namespace, as filters do, and the kernel frees
/// them however a process ends. A filter holds a reference to its program, so the id is not reused.
#[derive(Debug)]
pub(super) struct Claim {
    program: u32,
    /// `None` if another process has the name. That is harmless: others then leave the filter alone.
    _name: Option<UnixDatagram>,
}

impl Claim {
    /// Claims a program. Call it before the program is attached.
    ///
    /// # Errors
    /// When this process cannot open Unix sockets.
    pub(super) fn on(program: u32) -> anyhow::Result<Self> {
        let name = match bind(program) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => None,
            name => {
                Some(name.context("a Unix socket, by which mirrors know each other's filters")?)
            }
        };
        Ok(Self { program, _name: name })
    }

    pub(super) fn is_on(&self, program: u32) -> bool {
        self.program == program
    }

    /// Whether a process claims this program; `None` if that cannot be determined.
    pub(super) fn exists_on(program: u32) -> Option<bool> {
        match bind(program) {
            Ok(_) => Some(false),
            Err(error) => (error.kind() == ErrorKind::AddrInUse).then_some(true),
        }
    }
}

fn bind(program: u32) -> io::Result<UnixDatagram> {
    let name = format!("mirror/program/{program}");
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_lasts_as_long_as_its_owner() {
        // Above the ids that a kernel assigns in its lifetime.
        let program = u32::MAX - std::process::id();
        assert_eq!(Claim::exists_on(program), Some(false));
        let claim = Claim::on(program).unwrap();
        assert!(claim.is_on(program));
        assert_eq!(Claim::exists_on(program), Some(true));
        assert_eq!(Claim::exists_on(program - 1), Some(false));
        drop(claim);
        assert_eq!(Claim::exists_on(program), Some(false));
    }
}
