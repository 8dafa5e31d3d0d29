//! What a live run can do to its host from its start on: write where it was told to, connect to its
//! targets, and nothing else. The only file that knows `landlock`.
//!
//! Whoever found a way into a parser of captured bytes would find no file to change, no program to run
//! and nobody to talk to. The kernel sees to it (Landlock, Linux 5.13 and later; connections from 6.7
//! on) for the thread that asks and for all that it starts, and nothing takes it back. Where a kernel
//! cannot, the run goes on without.

use std::path::{Path, PathBuf};

use anyhow::Context;
use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus,
};

/// The newest interface whose rules are asked for; older kernels leave out what they do not know.
const NEWEST: ABI = ABI::V4;

/// Where names are looked up when an answer is too long for UDP (RFC 7766).
const DNS_PORT: u16 = 53;

/// What stays allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Files that are written, and folders below which any file is.
    pub writes: Vec<PathBuf>,
    /// TCP ports that are connected to; `None` where more may come later.
    pub connects: Option<Vec<u16>>,
}

/// What the kernel sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// All of it.
    Wholly,
    /// What it knows.
    Partly,
    /// Nothing.
    Not,
}

/// Confines this thread, and those that it will start, for good.
///
/// # Errors
/// When the kernel refuses rules that it knows.
pub fn confine(bounds: &Bounds) -> anyhow::Result<Confined> {
    let refused = "Landlock: this process cannot be confined";
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_write(NEWEST) | AccessFs::Execute)
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
    let status = rules.restrict_self().context(refused)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confined::Wholly,
        RulesetStatus::PartiallyEnforced => Confined::Partly,
        RulesetStatus::NotEnforced => Confined::Not,
    })
}

/// A file that is there is written; what is not is created in the nearest folder that is.
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
        let bounds = Bounds {
            writes: vec![named.path().join("new/folder"), file.clone()],
            connects: Some(vec![target.port()]),
        };
        // A thread of its own, as nothing takes it back.
        let test = move || {
            let refused = |kind: ErrorKind| kind == ErrorKind::PermissionDenied;
            match confine(&bounds).unwrap() {
                Confined::Not => return,
                Confined::Partly => {}
                Confined::Wholly => {
                    assert!(refused(TcpStream::connect(elsewhere).unwrap_err().kind()));
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
