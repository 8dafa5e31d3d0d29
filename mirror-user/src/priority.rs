//! CPU priority: production runs first, and mirror gets the CPU time that production does not use.

use rustix::process::{getpriority_process, setpriority_process};

/// A tenth of the weight of a process with the default niceness (sched(7)). On a host with idle CPU time
/// that costs nothing; on a saturated one, shadow requests are dropped and counted.
const NICE: i32 = 10;

/// How much more of it a thread gives up whose work may wait longest: all that there is.
const FURTHER: i32 = 9;

/// Lowers the priority of this thread further, below those that capture and send.
pub fn give_way_further() {
    if let Ok(now) = getpriority_process(None) {
        let _ = setpriority_process(None, now.saturating_add(FURTHER));
    }
}

/// Lowers the priority of this thread and of those that it will start. A niceness that was set with
/// nice(1) stays.
pub fn give_way() {
    if getpriority_process(None) == Ok(0) {
        // Raising the niceness needs no privilege; if it is forbidden nevertheless, the run continues.
        let _ = setpriority_process(None, NICE);
    }
}
