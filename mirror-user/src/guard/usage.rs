//! What mirror takes of its host.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::source::live::Meter;

/// What was taken in one measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// Share of one processor.
    pub(super) cpu: f64,
    /// Bytes of resident memory.
    pub(super) memory: u64,
}

/// Measures it.
pub(super) struct Usage {
    meter: Meter,
    /// Wall time and processor time of the process when it was last asked.
    last: [Duration; 2],
}

impl Usage {
    pub(super) fn new(meter: Meter) -> Self {
        Self { meter, last: now() }
    }

    /// From here until the next [`take`](Self::take), what the kernel programs take is measured.
    pub(super) fn price_packets(&mut self) {
        self.meter.begin();
    }

    /// What was taken since the last call. The kernel programs' time is that of the packets that
    /// came, at the price of those that came while it was measured: the measurement itself makes
    /// every BPF program of the host dearer, so that it lasts for a twentieth of the time.
    pub(super) fn take(&mut self) -> Taken {
        let [wall, own] = now();
        let [last_wall, last_own] = std::mem::replace(&mut self.last, [wall, own]);
        let kernel = self.meter.end();
        let taken = own.saturating_sub(last_own) + kernel;
        let span = wall.saturating_sub(last_wall).as_secs_f64();
        let cpu = if span > 0.0 { taken.as_secs_f64() / span } else { 0.0 };
        Taken { cpu, memory: resident() }
    }
}

fn now() -> [Duration; 2] {
    let time = |clock| {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        let seconds = u64::try_from(tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(tv_nsec).unwrap_or(0))
    };
    [ClockId::Monotonic, ClockId::ProcessCPUTime].map(time)
}

/// `VmRSS` of `/proc/self/status` (proc(5)).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = told.and_then(|told| told.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}
