//! Reads a pipe without blocking for long.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a read waits for bytes. Short enough to notice a stop at once, long enough that an idle
/// pipe costs nothing.
const WAIT: Duration = Duration::from_millis(50);

/// Reads what is available; `WouldBlock` if nothing arrived within [`WAIT`].
pub(super) struct Pipe<R>(pub(super) R);

impl<R: Read + AsFd> Read for Pipe<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(WAIT.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        // A closed pipe is ready, too; the read then reports it.
        if poll(&mut fds, Some(&wait))? == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(into)
    }
}

/// Repeats `read` until the pipe is ready.
pub(super) fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}
