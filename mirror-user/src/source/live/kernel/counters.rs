//! The counters of the kernel programs.

use aya::maps::{MapData, PerCpuArray};
use mirror_common::Outcome;
use mirror_common::counter::COUNTERS;

/// The counters of the kernel programs, for each CPU.
pub(in crate::source::live) struct Counters(pub(super) PerCpuArray<MapData, [u64; COUNTERS]>);

impl Counters {
    /// Each counter, summed over the CPUs.
    pub(super) fn sums(&self) -> [u64; COUNTERS] {
        let mut sums = [0; COUNTERS];
        // The map has exactly one entry, which can always be read.
        for of_cpu in self.0.get(&0, 0).iter().flat_map(|cpus| cpus.iter()) {
            for (sum, n) in sums.iter_mut().zip(of_cpu) {
                *sum += n;
            }
        }
        sums
    }

    /// Packets that were seen, with any outcome.
    pub(in crate::source::live) fn packets(&self) -> u64 {
        Outcome::ALL.into_iter().zip(self.sums()).map(|(_, n)| n).sum()
    }
}
