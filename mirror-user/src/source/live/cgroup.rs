//! A cgroup whose sockets are captured, whatever interface and network namespace their packets pass.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};

use super::presence::{Identity, Presence};

/// Where cgroup version 2 is mounted: alone, and beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// A file that every cgroup of version 2 has, and none of version 1.
const MARK: &str = "cgroup.controllers";

/// What stands for the place where it is mounted otherwise.
const NOWHERE: &str = "the cgroup2 file system, which is mounted at no usual place";

/// Where the hierarchy of version 2 is mounted.
///
/// # Errors
/// When it is at no usual place.
pub(super) fn mount() -> anyhow::Result<PathBuf> {
    let mounted = mounted().map(Path::to_owned);
    mounted.with_context(|| format!("cgroups: looked for in {}: {NOWHERE}", MOUNTS.join(" and ")))
}

fn mounted() -> Option<&'static Path> {
    MOUNTS.iter().map(Path::new).find(|mount| mount.join(MARK).exists())
}

/// A cgroup of version 2 (cgroups(7)). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cgroup(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    folder: File,
    identity: Identity,
}

impl Cgroup {
    /// Opens a cgroup by the path of its folder, or by its name in the hierarchy, such as
    /// `system.slice/nginx.service`.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn open(text: &Path) -> anyhow::Result<Self> {
        let mounted = mounted();
        let path = match mounted {
            Some(mount) if text.is_relative() && !text.exists() => mount.join(text),
            _ => text.to_owned(),
        };
        let folder = File::open(&path).with_context(|| {
            format!(
                "{}: no such cgroup; give its folder, or its name below {}",
                path.display(),
                mounted.unwrap_or(Path::new(NOWHERE)).display()
            )
        })?;
        ensure!(
            path.join(MARK).exists(),
            "{}: no cgroup of version 2, whose sockets alone can be told apart",
            path.display()
        );
        let identity = Identity::of(&folder).with_context(|| path.display().to_string())?;
        Ok(Self(Arc::new(Opened { path, folder, identity })))
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Which one it is.
    pub(super) fn identity(&self) -> Identity {
        self.0.identity
    }

    /// What its path leads to now: a service that restarts gets a new cgroup of the same name.
    pub(super) fn check(&self) -> Presence {
        self.0.identity.check(&self.0.path)
    }

    /// Opens the cgroup that its path leads to now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn reopen(&self) -> anyhow::Result<Self> {
        Self::open(&self.0.path)
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.folder.as_fd()
    }
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cgroup {}", self.0.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cgroup_is_refused() {
        let refused = |path: &Path| Cgroup::open(path).unwrap_err().to_string();
        assert!(refused(Path::new("/no/such/cgroup")).contains("no such cgroup; give its folder"));
        let folder = tempfile::tempdir().unwrap();
        assert!(refused(folder.path()).contains("no cgroup of version 2"));
    }
}
