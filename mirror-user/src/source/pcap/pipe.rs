//! A pipe that is read without waiting for it beyond a moment.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a read waits for bytes. Short enough that a stop is heard at once, long enough that
/// an idle pipe costs nothing.
const WAIT: Duration = Duration::from_millis(50);

/// Reads what is there; `WouldBlock` when nothing came within [`WAIT`].
pub(super) struct Pipe<R>(pub(super) R);

impl<R: Read + AsFd> Read for Pipe<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(WAIT.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        // A closed pipe is ready as well: the read then says so.
        if poll(&mut fds, Some(&wait))? == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.read(into)
    }
}

/// Does again what a pipe was not ready for, until it is.
pub(super) fn patiently<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}
