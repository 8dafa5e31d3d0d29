//! Production goes first: who captures on its host takes the processor only when production does
//! not want it.

use rustix::process::{getpriority_process, setpriority_process};

/// A tenth of the weight of a process that was started as usual (sched(7)): what is left over is
/// enough on a host that is not full, and on one that is, shadows are lost and counted.
const NICE: i32 = 10;

/// Makes this thread, and those that it will start, give way. A niceness that was chosen with
/// nice(1) stays.
pub fn give_way() {
    if getpriority_process(None) == Ok(0) {
        // To give way needs no privilege; where it is forbidden all the same, nothing is lost.
        let _ = setpriority_process(None, NICE);
    }
}
