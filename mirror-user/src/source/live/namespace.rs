//! The network namespace whose interfaces are captured: this process's own, or another's, such as a
//! pod's, in which a sidecar's plaintext passes.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns` keeps names.
const NAMED: &str = "/run/netns";

/// A network namespace. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Namespace(Option<Arc<(PathBuf, File)>>);

impl Namespace {
    /// By the path of its file, by a process that is in it, or by its name (ip-netns(8)).
    ///
    /// # Errors
    /// When there is none.
    pub fn open(text: &str) -> anyhow::Result<Self> {
        let path = match text.parse::<u32>() {
            _ if text.contains('/') => PathBuf::from(text),
            Ok(process) => format!("/proc/{process}/ns/net").into(),
            Err(_) => PathBuf::from(NAMED).join(text),
        };
        let file = File::open(&path).with_context(|| {
            format!(
                "{}: no such network namespace; give a path, a process or a name",
                path.display()
            )
        })?;
        Ok(Self(Some(Arc::new((path, file)))))
    }

    /// True when it is not this process's own.
    #[must_use]
    pub fn is_other(&self) -> bool {
        self.0.is_some()
    }

    /// Does something in it, on a thread of its own: threads that are started otherwise, and their
    /// sockets, stay where they are.
    ///
    /// # Errors
    /// When it may not be entered; that takes CAP_SYS_ADMIN (setns(2)).
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let Some(other) = &self.0 else { return Ok(work()) };
        let (path, file) = &**other;
        let enter = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("{}: cannot be entered", path.display()))?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| anyhow!("{}: the thread in it panicked", path.display()))?
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(other) => write!(f, " of {}", other.0.display()),
            None => Ok(()),
        }
    }
}
