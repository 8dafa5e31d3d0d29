//! A cgroup whose sockets' packets are captured, whatever interface and network namespace they pass.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};

use super::presence::{Identity, Presence};

/// Where the second version's hierarchy is: of its own, and beside the first version's.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// A file that each cgroup of the second version has, and none of the first.
const MARK: &str = "cgroup.controllers";

/// A cgroup of the second version (cgroups(7)). Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cgroup(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    folder: File,
    identity: Identity,
}

impl Cgroup {
    /// By the path of its folder, or by its name in the hierarchy, such as
    /// `system.slice/nginx.service`.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(text: &Path) -> anyhow::Result<Self> {
        let mounted = MOUNTS.iter().find(|mount| Path::new(mount).join(MARK).exists());
        let path = match mounted {
            Some(mount) if text.is_relative() && !text.exists() => Path::new(mount).join(text),
            _ => text.to_owned(),
        };
        let folder = File::open(&path).with_context(|| {
            format!(
                "{}: no such cgroup; give its folder, or its name below {}",
                path.display(),
                mounted.unwrap_or(&"the cgroup2 file system, which is mounted at no usual place")
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

    /// What is at its path now: a service that starts again gets a new cgroup of the same name.
    pub(super) fn look(&self) -> Presence {
        self.0.identity.look(&self.0.path)
    }

    /// The one that is at its path now.
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
