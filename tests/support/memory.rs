//! How much memory a child holds, told apart from what its parent held: `ru_maxrss` of a child
//! begins with its parent's, since both are one process until execve(2).

use std::process::Child;
use std::thread;
use std::time::Duration;

/// The most memory that a child held since its execve(2), in KiB; none once it has ended
/// (`VmHWM` of proc_pid_status(5)).
pub(crate) fn peak_kib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Watches a child until it ends: the most memory that it held, in KiB.
#[expect(clippy::disallowed_methods, reason = "watches a real process until it ends")]
pub(crate) fn peak_until_its_end(child: &Child) -> u64 {
    let mut peak = 0;
    while let Some(kib) = peak_kib(child) {
        peak = kib;
        thread::sleep(Duration::from_millis(1));
    }
    assert!(peak > 0, "the child ended before anything was known of its memory");
    peak
}
