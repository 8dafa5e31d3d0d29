//! Who has a filter: filters outlive a process that is killed, and nothing in the kernel's list says
//! whether the one that attached them still runs.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Context;

/// The right to the filters of one kernel program: a Unix socket whose abstract name holds the program's
/// id (unix(7)). Such names belong to the network namespace, as filters do, and the kernel gives them
/// back however a process ends. A filter holds its program, so that its id is nobody else's meanwhile.
#[derive(Debug)]
pub(super) struct Claim {
    program: u32,
    /// `None` where a stranger has the name, which costs nothing: who asks leaves the filter.
    _name: Option<UnixDatagram>,
}

impl Claim {
    /// To be called before the program is attached.
    ///
    /// # Errors
    /// When this process may not have Unix sockets.
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

    /// Whether some process claims this program; `None` when that cannot be found out.
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
        // Above what the kernel numbers in the life of a host.
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
