//! Decides when the sample is lowered and raised: one decision for each measurement, without I/O or clock.

use std::fmt;

use super::usage::Used;
use crate::filter::Sample;

/// Each step halves the sample. Ten steps leave one connection in 1,024; what is left then is the cost of
/// skipping packets.
const MAX_STEPS: u32 = 10;

/// The number of consecutive measurements below the limits before a step is taken back, so that the
/// sample does not oscillate with the load.
const MEASUREMENTS_BEFORE_RAISE: u32 = 5;

/// A step back doubles what is copied. It is taken when twice the current usage is below nine tenths of
/// the limit.
const CPU_HEADROOM: f64 = 0.45;

/// Memory follows the sample slowly, as buffers must drain first.
const MEMORY_HEADROOM: f64 = 0.8;

/// Lowers and raises the sample.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    cpu: Option<f64>,
    memory: Option<u64>,
    steps: u32,
    /// Consecutive measurements below the limits.
    with_headroom: u32,
}

/// A change of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Down(Excess),
    Up,
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Excess {
    /// Shares of one CPU: used, allowed.
    Cpu(f64, f64),
    /// Bytes: used, allowed.
    Memory(u64, u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(used, allowed) => {
                let [used, allowed] = [used, allowed].map(|share| share * 100.0);
                write!(f, "{used:.0}% of a processor are more than --cpu-limit {allowed:.0}%")
            }
            Self::Memory(used, allowed) => {
                let [used, allowed] = [used, allowed].map(|bytes| bytes >> 20);
                write!(f, "{used} MiB are more than --memory-limit {allowed}MiB")
            }
        }
    }
}

impl Governor {
    pub(super) fn new(cpu: Option<f64>, memory: Option<u64>) -> Self {
        Self { cpu, memory, steps: 0, with_headroom: 0 }
    }

    /// True when there is a limit.
    pub(super) fn governs(&self) -> bool {
        self.cpu.is_some() || self.memory.is_some()
    }

    /// The share of connections that may be copied, out of 2³².
    pub(super) fn threshold(&self) -> u64 {
        Sample::ALL.threshold() >> self.steps
    }

    /// Decides by what was used since the last measurement.
    pub(super) fn judge(&mut self, used: Used) -> Option<Step> {
        let cpu = self.cpu.map(|allowed| (used.cpu, allowed));
        let memory = self.memory.map(|allowed| (used.memory, allowed));
        let excess = cpu
            .filter(|(used, allowed)| used > allowed)
            .map(|(used, allowed)| Excess::Cpu(used, allowed))
            .or_else(|| {
                let over = memory.filter(|(used, allowed)| used > allowed);
                over.map(|(used, allowed)| Excess::Memory(used, allowed))
            });
        if let Some(excess) = excess {
            self.with_headroom = 0;
            if self.steps == MAX_STEPS {
                return None;
            }
            self.steps += 1;
            return Some(Step::Down(excess));
        }
        let has_headroom = cpu.is_none_or(|(used, allowed)| used < allowed * CPU_HEADROOM)
            && memory
                .is_none_or(|(used, allowed)| (used as f64) < allowed as f64 * MEMORY_HEADROOM);
        self.with_headroom = if has_headroom { self.with_headroom + 1 } else { 0 };
        if self.with_headroom < MEASUREMENTS_BEFORE_RAISE || self.steps == 0 {
            self.with_headroom = self.with_headroom.min(MEASUREMENTS_BEFORE_RAISE);
            return None;
        }
        self.with_headroom = 0;
        self.steps -= 1;
        Some(Step::Up)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpu(share: f64) -> Used {
        Used { cpu: share, memory: 0 }
    }

    #[test]
    fn steps_down_at_once_and_up_after_a_while() {
        let mut governor = Governor::new(Some(0.2), None);
        assert_eq!(governor.judge(cpu(0.19)), None);
        assert_eq!(governor.judge(cpu(0.3)), Some(Step::Down(Excess::Cpu(0.3, 0.2))));
        assert_eq!(governor.judge(cpu(0.25)), Some(Step::Down(Excess::Cpu(0.25, 0.2))));
        assert_eq!(governor.threshold(), Sample::ALL.threshold() / 4);
        // Doubling would exceed the limit.
        assert!((0..20).all(|_| governor.judge(cpu(0.1)).is_none()));
        assert!((1..MEASUREMENTS_BEFORE_RAISE).all(|_| governor.judge(cpu(0.05)).is_none()));
        assert_eq!(governor.judge(cpu(0.05)), Some(Step::Up));
        assert_eq!(governor.threshold(), Sample::ALL.threshold() / 2);
    }

    #[test]
    fn memory_counts_as_well() {
        let mut governor = Governor::new(None, Some(100));
        let used = |memory| Used { cpu: 9.0, memory };
        assert_eq!(governor.judge(used(101)), Some(Step::Down(Excess::Memory(101, 100))));
        assert!((0..20).all(|_| governor.judge(used(85)).is_none()));
        let ups = (0..MEASUREMENTS_BEFORE_RAISE)
            .filter(|_| governor.judge(used(50)) == Some(Step::Up))
            .count();
        assert_eq!(ups, 1);
    }

    proptest! {
        #[test]
        fn the_sample_stays_within_its_bounds(shares in prop::collection::vec(0.0..2.0_f64, 0..200)) {
            let mut governor = Governor::new(Some(0.5), None);
            for share in shares {
                let before = governor.threshold();
                let step = governor.judge(cpu(share));
                let after = governor.threshold();
                prop_assert!((Sample::ALL.threshold() >> MAX_STEPS..=Sample::ALL.threshold()).contains(&after));
                match step {
                    Some(Step::Down(_)) => prop_assert_eq!(after, before / 2),
                    Some(Step::Up) => prop_assert_eq!(after, before * 2),
                    None => prop_assert_eq!(after, before),
                }
            }
        }
    }
}
