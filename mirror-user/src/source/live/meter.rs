//! What the kernel programs take of the processors' time, which no process is charged for.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use aya::programs::ProgramFd;
use aya::sys::{Stats, enable_stats};

use super::kernel::Counters;

/// What a packet is taken to cost where it cannot be measured (that needs CAP_SYS_ADMIN): one that is
/// copied, of common size (`docs/capture-cost.md`).
const PRICE: Duration = Duration::from_nanos(500);

/// Measures it.
pub struct Meter {
    programs: Vec<ProgramFd>,
    counters: Arc<Counters>,
    /// Packets that the programs had seen when it was last asked.
    packets: u64,
    /// While it is open, the kernel measures its BPF programs.
    measuring: Option<OwnedFd>,
    /// Time and number of runs when measuring began.
    begun: (u64, u64),
    /// Of a packet, nanoseconds.
    price: f64,
}

impl Meter {
    pub(super) fn new(programs: Vec<ProgramFd>, counters: Arc<Counters>) -> Self {
        let packets = counters.packets();
        let price = PRICE.as_nanos() as f64;
        Self { programs, counters, packets, measuring: None, begun: (0, 0), price }
    }

    /// Begins to measure, where that is allowed.
    pub fn begin(&mut self) {
        self.measuring = enable_stats(Stats::RunTime).ok();
        self.begun = self.runs();
    }

    /// Ends the measurement, and says what the packets that came since the last call took.
    pub fn end(&mut self) -> Duration {
        if self.measuring.take().is_some() {
            let (time, runs) = self.runs();
            let (time, runs) =
                (time.saturating_sub(self.begun.0), runs.saturating_sub(self.begun.1));
            if runs > 0 {
                self.price = time as f64 / runs as f64;
            }
        }
        let packets = self.counters.packets();
        let came = packets.saturating_sub(std::mem::replace(&mut self.packets, packets));
        Duration::from_nanos((came as f64 * self.price) as u64)
    }

    /// Nanoseconds and runs of all programs, as far as they were measured.
    fn runs(&self) -> (u64, u64) {
        let told = self.programs.iter().map(|program| {
            let file = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
            let told = fs::read_to_string(file).unwrap_or_default();
            let field = |name: &str| -> u64 {
                let line = told.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
            };
            (field("run_time_ns:"), field("run_cnt:"))
        });
        told.fold((0, 0), |(time, runs), (more, n)| {
            (time.saturating_add(more), runs.saturating_add(n))
        })
    }
}
