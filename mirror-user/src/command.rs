//! One command that is started: a process group that ends by itself, or is ended when its time is over or whoever waits for it has gone.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// For a command to clean up, as `trap` of a shell does, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes of an output that is kept, which is read at its end: as many as a pipe holds. Who prints more waits until its time is
/// over.
const MAX_KEPT_BYTES: u64 = 64 * 1024;

/// What becomes of what it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// It goes to standard error.
    Shown,
    /// It is returned; what it says to standard error goes there.
    Kept,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    /// Of the child, which can be waited for together with others (pidfd_open(2)).
    ends: OwnedFd,
}

/// What a wait came to.
enum Waited {
    Ended,
    TimeIsOver,
    ParentHasGone,
}

impl Running {
    /// Starts a program with its arguments and more environment.
    ///
    /// # Errors
    /// Why it cannot be run.
    pub(crate) fn start(
        command: &[String],
        environment: &[(&str, String)],
        output: Output,
    ) -> Result<Self, String> {
        let (program, args) = command.split_first().ok_or("no program is named")?;
        let cannot = |error: io::Error| format!("it cannot be run: {error}");
        let stdout = match output {
            Output::Shown => io::stderr().as_fd().try_clone_to_owned().map(Stdio::from),
            Output::Kept => Ok(Stdio::piped()),
        };
        let mut child = Command::new(program)
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            // The key of redaction's tokens is nobody's business.
            .env_remove("MIRROR_REDACT_KEY")
            .stdin(Stdio::null())
            .stdout(stdout.map_err(cannot)?)
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(ends) => Ok(Self { child, ends }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(cannot(error.into()))
            }
        }
    }

    /// Waits until it ends, for at most `limit` and as long as `parent`, if there is one, is open at its other end. What it
    /// printed, if that is kept.
    ///
    /// # Errors
    /// How it failed.
    pub(crate) fn finish(
        mut self,
        limit: Duration,
        parent: Option<BorrowedFd<'_>>,
    ) -> Result<String, String> {
        let waited = self.wait(limit, parent);
        if !matches!(waited, Waited::Ended) {
            self.end();
        }
        let status = self.child.wait();
        match waited {
            Waited::Ended => {
                let status = status.map_err(|error| format!("it cannot be waited for: {error}"))?;
                if status.success() { Ok(self.printed()) } else { Err(failed(status)) }
            }
            Waited::TimeIsOver => Err(format!(
                "it did not end within {}, and was killed with its process group",
                humantime::format_duration(limit)
            )),
            Waited::ParentHasGone => Err("nobody waits for it any more".to_owned()),
        }
    }

    /// Ends its process group: asks, then kills. It is not reaped before, so that its number cannot be another's.
    fn end(&mut self) {
        let group = Pid::from_child(&self.child);
        let _ = kill_process_group(group, Signal::TERM);
        self.wait(GRACE, None);
        let _ = kill_process_group(group, Signal::KILL);
    }

    #[expect(clippy::disallowed_methods, reason = "a command runs in real time")]
    fn wait(&self, limit: Duration, parent: Option<BorrowedFd<'_>>) -> Waited {
        let begun = Instant::now();
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let left =
                Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
            let mut both = vec![PollFd::new(&self.ends, PollFlags::IN)];
            // A pipe that is closed says so without being asked.
            both.extend(parent.map(|parent| PollFd::from_borrowed_fd(parent, PollFlags::empty())));
            match poll(&mut both, Some(&left)) {
                Ok(0) => return Waited::TimeIsOver,
                Ok(_) if both.first().is_some_and(|child| !child.revents().is_empty()) => {
                    return Waited::Ended;
                }
                Ok(_) => return Waited::ParentHasGone,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Waited::TimeIsOver,
            }
        }
    }

    fn printed(&mut self) -> String {
        let mut printed = Vec::new();
        if let Some(output) = self.child.stdout.take() {
            let _ = output.take(MAX_KEPT_BYTES).read_to_end(&mut printed);
        }
        String::from_utf8_lossy(&printed).into_owned()
    }
}

/// `it ended with exit status: 3`; what it said of it is on standard error.
fn failed(status: ExitStatus) -> String {
    format!("it ended with {status}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn shell(script: &str, output: Output) -> Running {
        let command = ["sh", "-c", script].map(str::to_owned);
        Running::start(&command, &[("GIVEN", "value".to_owned())], output).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_command_ends_well_or_says_how_it_failed() {
        let (parent, _other) = UnixStream::pair().unwrap();
        let end = |script: &str| shell(script, Output::Kept).finish(LONG, Some(parent.as_fd()));
        assert_eq!(end("echo $GIVEN"), Ok("value\n".to_owned()));
        assert_eq!(end("exit 3"), Err("it ended with exit status: 3".to_owned()));
        let nothing = Running::start(&["/nowhere/x".to_owned()], &[], Output::Shown).err().unwrap();
        assert!(nothing.starts_with("it cannot be run: No such file"), "{nothing}");
        assert!(Running::start(&[], &[], Output::Shown).is_err());
    }

    /// A process that does not listen to SIGTERM, in the group of a shell that does: its id, once it runs.
    fn group(folder: &std::path::Path) -> Running {
        let file = folder.join("pid");
        let script = format!(
            "trap 'echo asked > {0}.asked; exit' TERM; sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}; sleep 1000' & wait",
            file.display()
        );
        let running = shell(&script, Output::Shown);
        while !file.exists() {
            std::thread::yield_now();
        }
        running
    }

    fn is_gone(folder: &std::path::Path) -> bool {
        let pid = fs::read_to_string(folder.join("pid")).unwrap();
        // Killed, and perhaps not reaped by whoever inherited it.
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    }

    #[test]
    fn what_takes_too_long_is_asked_to_end_and_killed_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let (parent, _other) = UnixStream::pair().unwrap();
        let ended = group(folder.path()).finish(Duration::from_millis(10), Some(parent.as_fd()));
        let why = ended.unwrap_err();
        assert!(why.contains("did not end within 10ms"), "{why}");
        assert!(folder.path().join("pid.asked").exists());
        while !is_gone(folder.path()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn nothing_runs_on_when_the_parent_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (parent, other) = UnixStream::pair().unwrap();
        let running = group(folder.path());
        drop(other);
        let why = running.finish(LONG, Some(parent.as_fd())).unwrap_err();
        assert_eq!(why, "nobody waits for it any more");
        while !is_gone(folder.path()) {
            std::thread::yield_now();
        }
    }
}
