//! The limit of open file descriptors: each connection to a target takes one.
//!
//! The soft limit, 1,024 on most hosts, exists for programs that use select(2), which mirror does not.
//! It is raised to the hard limit, which needs no privilege. If that is too low for the configured
//! connections, each target gets fewer: requests then wait for a connection instead of failing because
//! no descriptor is left.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for connections: maps, programs and links of the kernel, files, event loops.
const RESERVED: usize = 128;

/// Raises the soft limit to the hard limit.
///
/// Returns the number of connections that may be open at the same time; `None`: no limit.
#[must_use]
pub fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // If it is forbidden, the soft limit holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let allowed = usize::try_from(getrlimit(Resource::Nofile).current?).unwrap_or(usize::MAX);
    Some(for_connections(allowed))
}

/// The descriptors that are for connections: all but the reserved ones, but half of them at least.
fn for_connections(allowed: usize) -> usize {
    allowed.saturating_sub(RESERVED).max(allowed / 2).max(1)
}

/// Reduces the connections of each target until all of them fit into `available`. Returns a message if
/// it reduced any.
pub fn fit<'a>(available: usize, wanted: impl Iterator<Item = &'a mut usize>) -> Option<String> {
    let wanted: Vec<&mut usize> = wanted.collect();
    let sum = wanted.iter().fold(0_usize, |sum, one| sum.saturating_add(**one));
    if sum <= available {
        return None;
    }
    let each = available.checked_div(wanted.len()).unwrap_or(available).max(1);
    for one in wanted {
        *one = (*one).min(each);
    }
    Some(format!(
        "{sum} connections at the same time are more than the descriptors that this process may open \
         (`ulimit -Hn`) are enough for; each target gets {each} at most"
    ))
}

/// True for the errors of a call that found no free descriptor, in this process or on the host.
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
        assert_eq!([4096, 300, 200, 64, 1].map(for_connections), [3968, 172, 100, 32, 1]);
        let mut wanted = [256, 256];
        assert_eq!(fit(512, wanted.iter_mut()), None);
        let message = fit(172, wanted.iter_mut()).unwrap();
        assert_eq!(wanted, [86, 86]);
        assert!(message.starts_with("512 connections"), "{message}");
        // A target that wants few keeps them.
        let mut wanted = [10, 1000];
        fit(200, wanted.iter_mut()).unwrap();
        assert_eq!(wanted, [10, 100]);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raise();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(limit.is_none(), maximum.is_none());
    }

    #[test]
    fn errors_for_lack_of_descriptors_are_recognized() {
        for code in [Errno::MFILE, Errno::NFILE] {
            assert!(are_short(&code.into()));
        }
        assert!(!are_short(&Errno::CONNREFUSED.into()));
    }
}
