//! What the programs count.

use aya::maps::{MapData, PerCpuArray};
use mirror_common::Outcome;
use mirror_common::counter::COUNTERS;

/// What the programs count, for every processor.
pub(in crate::source::live) struct Counters(pub(super) PerCpuArray<MapData, [u64; COUNTERS]>);

impl Counters {
    /// Each of them, summed over the processors.
    pub(super) fn sums(&self) -> [u64; COUNTERS] {
        let mut sums = [0; COUNTERS];
        // The map has exactly one entry, so that it can always be read.
        for of_cpu in self.0.get(&0, 0).iter().flat_map(|cpus| cpus.iter()) {
            for (sum, n) in sums.iter_mut().zip(of_cpu) {
                *sum += n;
            }
        }
        sums
    }

    /// Packets that were seen, whatever became of them.
    pub(in crate::source::live) fn packets(&self) -> u64 {
        Outcome::ALL.into_iter().zip(self.sums()).map(|(_, n)| n).sum()
    }
}
