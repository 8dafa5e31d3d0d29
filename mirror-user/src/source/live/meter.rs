//! The CPU time of the kernel programs, which is charged to no process.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use aya::programs::ProgramFd;
use aya::sys::{Stats, enable_stats};

use super::kernel::Counters;

/// The cost of a packet if it cannot be measured, which needs CAP_SYS_ADMIN: that of copying a packet of
/// common size (`docs/capture-cost.md`).
const DEFAULT_COST: Duration = Duration::from_nanos(500);

/// Measures the CPU time of the kernel programs.
pub struct Meter {
    programs: Vec<ProgramFd>,
    counters: Arc<Counters>,
    /// Packets that the programs had seen at the last measurement.
    packets: u64,
    /// While this descriptor is open, the kernel measures its BPF programs.
    measuring: Option<OwnedFd>,
    /// Run time in nanoseconds and number of runs when the measurement began.
    at_start: (u64, u64),
    /// Nanoseconds per packet.
    packet_cost: f64,
}

impl Meter {
    pub(super) fn new(programs: Vec<ProgramFd>, counters: Arc<Counters>) -> Self {
        let packets = counters.packets();
        let packet_cost = DEFAULT_COST.as_nanos() as f64;
        Self { programs, counters, packets, measuring: None, at_start: (0, 0), packet_cost }
    }

    /// Begins a measurement, if that is allowed.
    pub fn begin(&mut self) {
        self.measuring = enable_stats(Stats::RunTime).ok();
        self.at_start = self.runs();
    }

    /// Ends the measurement. Returns the time spent on the packets since the last call.
    pub fn end(&mut self) -> Duration {
        if self.measuring.take().is_some() {
            let (time, runs) = self.runs();
            let (time, runs) =
                (time.saturating_sub(self.at_start.0), runs.saturating_sub(self.at_start.1));
            if runs > 0 {
                self.packet_cost = time as f64 / runs as f64;
            }
        }
        let packets = self.counters.packets();
        let came = packets.saturating_sub(std::mem::replace(&mut self.packets, packets));
        Duration::from_nanos((came as f64 * self.packet_cost) as u64)
    }

    /// Run time in nanoseconds and number of runs of all programs, as far as they were measured.
    fn runs(&self) -> (u64, u64) {
        let totals = self.programs.iter().map(|program| {
            let file = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
            let totals = fs::read_to_string(file).unwrap_or_default();
            let field = |name: &str| -> u64 {
                let line = totals.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
            };
            (field("run_time_ns:"), field("run_cnt:"))
        });
        totals.fold((0, 0), |(time, runs), (more, n)| {
            (time.saturating_add(more), runs.saturating_add(n))
        })
    }
}
