//! How many descriptors this process may have open: each connection to a target takes one.
//!
//! The soft limit, 1,024 on most hosts, is there for programs that use select(2), which mirror does
//! not; it is raised to the hard one, as every process may. Where that is still too few for the
//! connections that were asked for, there are fewer connections: requests then wait for one of them
//! instead of failing for want of a descriptor.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a run needs beside its connections: maps, programs and links of the kernel, files, event loops.
const RESERVED: usize = 128;

/// Raises the soft limit to the hard one.
///
/// Says how many connections there may be at the same time; `None`: no bound.
#[must_use]
pub fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it is forbidden, the soft limit is what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let allowed = usize::try_from(getrlimit(Resource::Nofile).current?).unwrap_or(usize::MAX);
    Some(room(allowed))
}

/// How many of so many descriptors are for connections: those that are not reserved, half of very few.
fn room(allowed: usize) -> usize {
    allowed.saturating_sub(RESERVED).max(allowed / 2).max(1)
}

/// Bounds what each target may have, so that all of them together fit into `room`. Says so when it
/// changed anything.
pub fn fit<'a>(room: usize, wanted: impl Iterator<Item = &'a mut usize>) -> Option<String> {
    let wanted: Vec<&mut usize> = wanted.collect();
    let sum = wanted.iter().fold(0_usize, |sum, one| sum.saturating_add(**one));
    if sum <= room {
        return None;
    }
    let each = room.checked_div(wanted.len()).unwrap_or(room).max(1);
    for one in wanted {
        *one = (*one).min(each);
    }
    Some(format!(
        "{sum} connections at the same time are more than the descriptors that this process may open \
         (`ulimit -Hn`) are enough for; each target gets {each} at most"
    ))
}

/// True for the errors of a call that found no descriptor: this process has none left, or the host.
#[must_use]
pub fn are_short(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_are_shared_by_the_targets() {
        assert_eq!([4096, 300, 200, 64, 1].map(room), [3968, 172, 100, 32, 1]);
        let mut wanted = [256, 256];
        assert_eq!(fit(512, wanted.iter_mut()), None);
        let told = fit(172, wanted.iter_mut()).unwrap();
        assert_eq!(wanted, [86, 86]);
        assert!(told.starts_with("512 connections"), "{told}");
        // One that wants little keeps it.
        let mut wanted = [10, 1000];
        fit(200, wanted.iter_mut()).unwrap();
        assert_eq!(wanted, [10, 100]);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let room = raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(room.is_none(), maximum.is_none());
    }

    #[test]
    fn want_of_descriptors_is_known() {
        for code in [Errno::MFILE, Errno::NFILE] {
            assert!(are_short(&code.into()));
        }
        assert!(!are_short(&Errno::CONNREFUSED.into()));
    }
}
