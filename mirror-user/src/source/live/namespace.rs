//! The network namespace whose interfaces are captured: that of this process, or another one, such as a
//! pod's, in which the plaintext of a sidecar passes.
//!
//! An open namespace and its interfaces stay alive even after its last process. So it is closed when its
//! name, or the process that named it, is gone.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::presence::{Identity, Presence};

/// Where `ip netns` stores names.
const NAMED: &str = "/run/netns";

/// A network namespace. Cheap to clone; all clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Namespace(Option<Arc<Other>>);

/// A namespace that may differ from that of this process.
#[derive(Debug)]
struct Other {
    path: PathBuf,
    /// The process that it was named by, if any.
    process: Option<OwnedFd>,
    opened: Mutex<Opened>,
}

#[derive(Clone, Debug)]
struct Opened {
    /// The identity of the namespace that was opened last.
    identity: Identity,
    /// `None` once it was released.
    file: Option<Arc<File>>,
}

impl Namespace {
    /// Opens a namespace by the path of its file, by a process in it, or by its name (ip-netns(8)).
    ///
    /// # Errors
    /// When it does not exist.
    pub fn open(text: &str) -> anyhow::Result<Self> {
        let process = process_of(text);
        let path = match process {
            Some(process) => format!("/proc/{process}/ns/net").into(),
            None if text.contains('/') => PathBuf::from(text),
            None => Path::new(NAMED).join(text),
        };
        let no_such = || {
            format!(
                "{}: no such network namespace; give a path, a process or a name",
                path.display()
            )
        };
        // Before its namespace, so that another process that reuses the id is not mistaken for it.
        let process = process.and_then(|process| Pid::from_raw(i32::try_from(process).ok()?));
        let process = process.map(|process| pidfd_open(process, PidfdFlags::empty()));
        let process = process.transpose().with_context(no_such)?;
        let opened = Opened::open(&path).with_context(no_such)?;
        let other = Other { path, process, opened: Mutex::new(opened) };
        Ok(Self(Some(Arc::new(other))))
    }

    /// True if it may differ from that of this process.
    #[must_use]
    pub fn is_other(&self) -> bool {
        self.0.is_some()
    }

    /// False after it was released, until its name was followed to a new one.
    pub(crate) fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|other| other.opened().file.is_some())
    }

    /// True if it was named by a process, so that no other one can replace it.
    pub(super) fn is_of_a_process(&self) -> bool {
        self.0.as_ref().is_some_and(|other| other.process.is_some())
    }

    /// What its name leads to now.
    pub(super) fn check(&self) -> Presence {
        let Some(other) = &self.0 else { return Presence::Same };
        let opened = other.opened();
        match &other.process {
            Some(process) if has_ended(process) => Presence::Gone,
            Some(_) => Presence::Same,
            // The inode may be reused once it is not held open.
            None => match opened.identity.check(&other.path) {
                Presence::Same if opened.file.is_none() => Presence::Another,
                presence => presence,
            },
        }
    }

    /// The prefix of a command that runs in it.
    pub(super) fn command_prefix(&self) -> String {
        let prefix = |other: &Arc<Other>| format!("nsenter --net={} ", other.path.display());
        self.0.as_ref().map_or_else(String::new, prefix)
    }

    /// Closes it, so that it does not stay alive because of this process.
    pub(super) fn release(&self) {
        if let Some(other) = &self.0 {
            other.lock().file = None;
        }
    }

    /// Opens the namespace that its name leads to now.
    ///
    /// # Errors
    /// When that is not a network namespace, or cannot be opened.
    pub(super) fn follow(&self) -> anyhow::Result<()> {
        let Some(other) = &self.0 else { return Ok(()) };
        let opened = Opened::open(&other.path).with_context(|| other.path.display().to_string())?;
        let mut former = other.lock();
        // `ip netns add` makes a plain file first.
        ensure!(
            opened.identity.is_like(former.identity),
            "{}: is no network namespace",
            other.path.display()
        );
        *former = opened;
        Ok(())
    }

    /// Runs `work` in it, on a thread of its own, so that other threads and their sockets stay in the
    /// namespace of this process.
    ///
    /// # Errors
    /// When it cannot be entered, which takes CAP_SYS_ADMIN (setns(2)), or was released.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let Some(other) = &self.0 else { return Ok(work()) };
        let path = other.path.display();
        let file = other.opened().file.with_context(|| format!("{path}: is gone"))?;
        let enter = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("{path}: cannot be entered; that takes CAP_SYS_ADMIN"))?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .map_err(|_| anyhow!("{path}: the thread in it panicked"))?
    }
}

impl Other {
    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> Opened {
        self.lock().clone()
    }
}

impl Opened {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { identity: Identity::of(&file)?, file: Some(Arc::new(file)) })
    }
}

/// The process that the text names, by its id or by its path in `/proc`.
fn process_of(text: &str) -> Option<u32> {
    let number = text.strip_prefix("/proc/").and_then(|rest| rest.strip_suffix("/ns/net"));
    number.unwrap_or(text).parse().ok()
}

/// The descriptor of a process becomes readable once the process has ended (pidfd_open(2)).
fn has_ended(process: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut asked = [PollFd::new(process, PollFlags::IN)];
    poll(&mut asked, Some(&now)).is_ok_and(|ended| ended > 0)
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(other) => write!(f, " of {}", other.path.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_named_by_its_number_or_its_path() {
        assert_eq!(process_of("12"), Some(12));
        assert_eq!(process_of("/proc/12/ns/net"), Some(12));
        for other in ["pod", "/run/netns/12", "/proc/self/ns/net", "/proc/12/ns/pid"] {
            assert_eq!(process_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_namespace_goes_with_the_process_that_it_was_named_by() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let namespace = Namespace::open(&child.id().to_string()).unwrap();
        assert_eq!((namespace.check(), namespace.is_of_a_process()), (Presence::Same, true));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(namespace.check(), Presence::Gone);
        let clone = namespace.clone();
        namespace.release();
        assert!(!clone.is_open());
        assert!(clone.run(|| ()).unwrap_err().to_string().ends_with("is gone"));
        assert!(Namespace::open(&child.id().to_string()).is_err());
    }
}
