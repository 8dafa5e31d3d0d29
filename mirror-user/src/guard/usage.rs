//! How much of the host mirror uses.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::process::{cpu_time, resident_bytes};
use crate::source::live::Meter;

/// What was used in the span of one measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// Share of one CPU.
    pub(super) cpu: f64,
    /// Bytes of resident memory.
    pub(super) memory: u64,
}

/// Measures CPU time and memory.
pub(super) struct Usage {
    meter: Meter,
    /// Wall time and CPU time of the process at the last measurement.
    last: [Duration; 2],
}

impl Usage {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, last: now() }
    }

    /// Measures the cost of the kernel programs from now until the next [`since_last`](Self::since_last).
    pub(super) fn start_measuring_cost(&mut self) {
        self.meter.begin();
    }

    /// When the last measurement was made, on the monotonic clock.
    pub(super) fn measured_at(&self) -> Duration {
        let [wall, _] = self.last;
        wall
    }

    /// What was used since the last call. The time of the kernel programs is the number of packets
    /// times the cost of a packet while it was measured: measuring makes every BPF program of the host
    /// slower, so it is done for a twentieth of the time only.
    pub(super) fn since_last(&mut self) -> Used {
        let [wall, own] = now();
        let [last_wall, last_own] = std::mem::replace(&mut self.last, [wall, own]);
        let kernel = self.meter.end();
        let used = own.saturating_sub(last_own) + kernel;
        let span = wall.saturating_sub(last_wall).as_secs_f64();
        let cpu = if span > 0.0 { used.as_secs_f64() / span } else { 0.0 };
        Used { cpu, memory: resident_bytes() }
    }
}

fn now() -> [Duration; 2] {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(tv_sec).unwrap_or(0);
    [Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or(0)), cpu_time()]
}
