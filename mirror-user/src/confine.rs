//! Confines a live run with Landlock: it can write its output files, connect to its targets, listen on its
//! admin port, and nothing else. The only file that names `landlock`.
//!
//! An attacker who exploits a parser of captured bytes can change no other file, run no program and
//! connect to or listen on no other port. The kernel enforces this (Landlock, Linux 5.13 and later;
//! ports from 6.7 on) for the calling thread and for all threads that it starts, and it cannot be undone. On
//! a kernel without Landlock the run continues unconfined.

use std::path::{Path, PathBuf};

use anyhow::Context;
use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus,
};

/// The newest Landlock ABI whose rules are requested; older kernels ignore rules that they do not know.
const NEWEST: ABI = ABI::V4;

/// Names are looked up over TCP when an answer is too long for UDP (RFC 7766).
const DNS_PORT: u16 = 53;

/// What remains allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Files that may be written, and folders below which every file may be.
    pub writes: Vec<PathBuf>,
    /// TCP ports that may be connected to; `None`: all, as more may be needed later.
    pub connects: Option<Vec<u16>>,
    /// TCP ports that may be listened on; 0: any free one.
    pub listens: Vec<u16>,
}

/// How much of it the kernel enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// All of it.
    Wholly,
    /// The rules that this kernel knows.
    Partly,
    /// Nothing.
    Not,
}

/// Confines this thread and those that it will start. This cannot be undone.
///
/// # Errors
/// When the kernel refuses rules that it knows.
pub fn confine(bounds: &Bounds) -> anyhow::Result<Confined> {
    let refused = "Landlock: this process cannot be confined";
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_write(NEWEST) | AccessFs::Execute)
        .and_then(|rules| rules.handle_access(AccessNet::BindTcp))
        .context(refused)?;
    if bounds.connects.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp).context(refused)?;
    }
    let mut rules = rules.create().context(refused)?;
    for path in &bounds.writes {
        rules = allow_writing(rules, path).context(refused)?;
    }
    for port in bounds.connects.iter().flatten().chain(&[DNS_PORT]) {
        if bounds.connects.is_some() {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).context(refused)?;
        }
    }
    for port in &bounds.listens {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp)).context(refused)?;
    }
    let status = rules.restrict_self().context(refused)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Wholly,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

/// Allows an existing file to be written; one that does not exist, to be created below the nearest
/// folder that does.
fn allow_writing(rules: RulesetCreated, path: &Path) -> anyhow::Result<RulesetCreated> {
    let is_file = path.exists() && !path.is_dir();
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    let access: BitFlags<AccessFs> = match is_file {
        true => AccessFs::WriteFile | AccessFs::Truncate,
        false => AccessFs::from_write(NEWEST),
    };
    let Ok(opened) = PathFd::new(there) else { return Ok(rules) };
    Ok(rules.add_rule(PathBeneath::new(opened, access))?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_not_named_is_refused() {
        let (named, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = other.path().join("file");
        fs::write(&file, "old").unwrap();
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [target, elsewhere] = listeners.each_ref().map(|one| one.local_addr().unwrap());
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let bounds = Bounds {
            writes: vec![named.path().join("new/folder"), file.clone()],
            connects: Some(vec![target.port()]),
            listens: vec![free.port()],
        };
        // A thread of its own, as confinement cannot be undone.
        let test = move || {
            let refused = |kind: ErrorKind| kind == ErrorKind::PermissionDenied;
            match confine(&bounds).unwrap() {
                Confined::Not => return,
                Confined::Partly => {}
                Confined::Wholly => {
                    assert!(refused(TcpStream::connect(elsewhere).unwrap_err().kind()));
                    assert!(refused(TcpListener::bind("127.0.0.1:0").unwrap_err().kind()));
                    TcpListener::bind(free).unwrap();
                }
            }
            fs::create_dir_all(named.path().join("new/folder")).unwrap();
            File::create(named.path().join("new/folder/file")).unwrap();
            fs::write(&file, "new").unwrap();
            let beside = File::create(other.path().join("beside")).unwrap_err();
            assert!(refused(beside.kind()));
            assert!(refused(fs::remove_file(&file).unwrap_err().kind()));
            assert_eq!(fs::read_to_string(&file).unwrap(), "new");
            assert!(refused(Command::new("true").spawn().unwrap_err().kind()));
            TcpStream::connect(target).unwrap();
        };
        std::thread::spawn(test).join().unwrap();
    }
}
