//! When the sample is lowered and raised: pure, one judgement a measurement.

use std::fmt;

use super::usage::Taken;
use crate::filter::Sample;

/// Each step halves the sample; ten of them leave one connection in 1,024, whose cost is that of
/// packets that are not wanted.
const MAX_STEPS: u32 = 10;

/// So many measurements in a row must leave room before a step is taken back, so that a load which
/// comes and goes does not let the sample swing.
const QUIET: u32 = 5;

/// A step back doubles what is copied: it is taken where the double would still leave a tenth.
const ROOM: f64 = 0.45;

/// Memory does not follow the sample so closely: what is held has to go first.
const MEMORY_ROOM: f64 = 0.8;

/// Lowers and raises the sample.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    cpu: Option<f64>,
    memory: Option<u64>,
    steps: u32,
    quiet: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Down(Excess),
    Up,
}

/// What was more than allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Excess {
    /// Shares of a processor: taken, allowed.
    Cpu(f64, f64),
    /// Bytes: taken, allowed.
    Memory(u64, u64),
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(taken, allowed) => {
                let [taken, allowed] = [taken, allowed].map(|share| share * 100.0);
                write!(f, "{taken:.0}% of a processor are more than --cpu-limit {allowed:.0}%")
            }
            Self::Memory(taken, allowed) => {
                let [taken, allowed] = [taken, allowed].map(|bytes| bytes >> 20);
                write!(f, "{taken} MiB are more than --memory-limit {allowed}MiB")
            }
        }
    }
}

impl Governor {
    pub(super) fn new(cpu: Option<f64>, memory: Option<u64>) -> Self {
        Self { cpu, memory, steps: 0, quiet: 0 }
    }

    /// True when there is something to judge.
    pub(super) fn governs(&self) -> bool {
        self.cpu.is_some() || self.memory.is_some()
    }

    /// The part of the connections that may be copied, out of 2³².
    pub(super) fn threshold(&self) -> u64 {
        Sample::ALL.threshold() >> self.steps
    }

    /// Judges what was taken since the last measurement.
    pub(super) fn judge(&mut self, taken: Taken) -> Option<Step> {
        let cpu = self.cpu.map(|allowed| (taken.cpu, allowed));
        let memory = self.memory.map(|allowed| (taken.memory, allowed));
        let excess = cpu
            .filter(|(taken, allowed)| taken > allowed)
            .map(|(taken, allowed)| Excess::Cpu(taken, allowed))
            .or_else(|| {
                let over = memory.filter(|(taken, allowed)| taken > allowed);
                over.map(|(taken, allowed)| Excess::Memory(taken, allowed))
            });
        if let Some(excess) = excess {
            self.quiet = 0;
            if self.steps == MAX_STEPS {
                return None;
            }
            self.steps += 1;
            return Some(Step::Down(excess));
        }
        let has_room = cpu.is_none_or(|(taken, allowed)| taken < allowed * ROOM)
            && memory.is_none_or(|(taken, allowed)| (taken as f64) < allowed as f64 * MEMORY_ROOM);
        self.quiet = if has_room { self.quiet + 1 } else { 0 };
        if self.quiet < QUIET || self.steps == 0 {
            self.quiet = self.quiet.min(QUIET);
            return None;
        }
        self.quiet = 0;
        self.steps -= 1;
        Some(Step::Up)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpu(share: f64) -> Taken {
        Taken { cpu: share, memory: 0 }
    }

    #[test]
    fn steps_down_at_once_and_up_after_a_while() {
        let mut governor = Governor::new(Some(0.2), None);
        assert_eq!(governor.judge(cpu(0.19)), None);
        assert_eq!(governor.judge(cpu(0.3)), Some(Step::Down(Excess::Cpu(0.3, 0.2))));
        assert_eq!(governor.judge(cpu(0.25)), Some(Step::Down(Excess::Cpu(0.25, 0.2))));
        assert_eq!(governor.threshold(), Sample::ALL.threshold() / 4);
        // Twice as much would be too much.
        assert!((0..20).all(|_| governor.judge(cpu(0.1)).is_none()));
        assert!((1..QUIET).all(|_| governor.judge(cpu(0.05)).is_none()));
        assert_eq!(governor.judge(cpu(0.05)), Some(Step::Up));
        assert_eq!(governor.threshold(), Sample::ALL.threshold() / 2);
    }

    #[test]
    fn memory_counts_as_well() {
        let mut governor = Governor::new(None, Some(100));
        let taken = |memory| Taken { cpu: 9.0, memory };
        assert_eq!(governor.judge(taken(101)), Some(Step::Down(Excess::Memory(101, 100))));
        assert!((0..20).all(|_| governor.judge(taken(85)).is_none()));
        let ups = (0..QUIET).filter(|_| governor.judge(taken(50)) == Some(Step::Up)).count();
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
