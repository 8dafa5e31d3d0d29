//! Decides when the sample is lowered and raised: one decision for each measurement, without I/O or clock.
//!
//! Four judges look at each measurement: mirror's own processor time, its memory, what is left for production on the
//! host, and what targets take. One that finds an excess is enough to lower the sample; all must find headroom for
//! [`MEASUREMENTS_BEFORE_RAISE`] in a row before it is raised.

use super::excess::Excess;
use super::host::Host;
use super::usage::Used;
use crate::filter::Sample;

/// The number of consecutive measurements with headroom before a step is taken back, so that the
/// sample does not oscillate with the load.
const MEASUREMENTS_BEFORE_RAISE: u32 = 5;

/// The same after steps that had to be taken again at once: doubled each time, up to a minute.
const MAX_MEASUREMENTS_BEFORE_RAISE: u32 = 60;

/// A step up counts as held when so many measurements have passed without an excess.
const HELD: u32 = 10;

/// How many steps are taken at once, when what is used is many times what is allowed.
const MAX_STEPS_AT_ONCE: u32 = 3;

/// A step back doubles what is copied. It is taken when twice the current usage is below nine tenths of
/// the limit.
const CPU_HEADROOM: f64 = 0.45;

/// Memory follows the sample slowly, as buffers must drain first.
const MEMORY_HEADROOM: f64 = 0.8;

/// Production needs the processors when less than this share of their time is idle.
const MIN_IDLE: f64 = 0.05;

/// It needs them, too, when somebody else waits for one for more than this share of the time.
const MAX_WAITING: f64 = 0.5;

/// And when network interrupts, in which the kernel program runs as well, take more than this share.
const MAX_SOFTIRQ: f64 = 0.5;

/// The share of all processors' time that mirror may use while production needs them.
pub(super) const MAX_SHARE: f64 = 0.03;

/// A process that waits for memory for more than this share of the time is too much.
const MAX_MEMORY_WAIT: f64 = 0.1;

/// Targets do not take what is captured when the best of them takes less than this share.
const MIN_TAKEN: f64 = 0.9;

/// They may be able to take more when the best takes this share.
const ENOUGH_TAKEN: f64 = 0.98;

/// What may be used, and how far the sample may fall.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Share of one CPU.
    pub(super) cpu: Option<f64>,
    /// Bytes of resident memory.
    pub(super) memory: Option<u64>,
    /// How often the sample may be halved.
    pub(super) steps: u32,
}

/// What was found in the span of one measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// What mirror used.
    pub(super) used: Used,
    /// What was left for production; `None`: production is not watched.
    pub(super) host: Option<Host>,
    /// The share of the offered requests that the target took which took most; `None`: too few were offered.
    pub(super) taken: Option<f64>,
}

/// A change of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Down(Excess),
    Up,
}

/// What one judge finds.
enum Finding {
    /// So many steps down.
    Excess(Excess, u32),
    /// Just enough is used.
    Enough,
    /// Twice as much may be used.
    Headroom,
}

/// Lowers and raises the sample.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    bounds: Bounds,
    steps: u32,
    /// Consecutive measurements with headroom.
    with_headroom: u32,
    /// How many of them it takes to raise the sample.
    before_raise: u32,
    /// Measurements since the last step up.
    since_raise: u32,
}

impl Governor {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            steps: 0,
            with_headroom: 0,
            before_raise: MEASUREMENTS_BEFORE_RAISE,
            since_raise: HELD,
        }
    }

    /// The share of connections that may be copied, out of 2³².
    pub(super) fn threshold(&self) -> u64 {
        Sample::ALL.threshold() >> self.steps
    }

    /// Decides by what was found since the last measurement.
    pub(super) fn judge(&mut self, measured: &Measured) -> Option<Step> {
        let findings = [
            self.own_cpu(measured.used),
            self.own_memory(measured.used),
            of_host(measured.host, measured.used),
            of_targets(measured.taken),
        ];
        self.since_raise = self.since_raise.saturating_add(1);
        if self.since_raise == HELD {
            self.before_raise = MEASUREMENTS_BEFORE_RAISE;
        }
        let mut worst: Option<(Excess, u32)> = None;
        let mut headroom = true;
        for finding in findings {
            match finding {
                Finding::Excess(excess, steps) if worst.is_none_or(|(_, most)| steps > most) => {
                    worst = Some((excess, steps));
                }
                Finding::Excess(..) | Finding::Headroom => {}
                Finding::Enough => headroom = false,
            }
        }
        match worst {
            Some((excess, steps)) => self.lower(steps).then_some(Step::Down(excess)),
            None => self.raise(headroom).then_some(Step::Up),
        }
    }

    fn lower(&mut self, steps: u32) -> bool {
        self.with_headroom = 0;
        if self.since_raise < HELD {
            // The last step up was one too many.
            self.before_raise = (self.before_raise * 2).min(MAX_MEASUREMENTS_BEFORE_RAISE);
            self.since_raise = HELD;
        }
        let before = self.steps;
        self.steps = self.steps.saturating_add(steps).min(self.bounds.steps);
        self.steps > before
    }

    fn raise(&mut self, headroom: bool) -> bool {
        self.with_headroom = if headroom { self.with_headroom.saturating_add(1) } else { 0 };
        if self.with_headroom < self.before_raise || self.steps == 0 {
            return false;
        }
        self.with_headroom = 0;
        self.since_raise = 0;
        self.steps -= 1;
        true
    }

    fn own_cpu(&self, used: Used) -> Finding {
        match self.bounds.cpu {
            Some(allowed) if used.cpu > allowed => {
                Finding::Excess(Excess::Cpu(used.cpu, allowed), 1)
            }
            Some(allowed) if used.cpu >= allowed * CPU_HEADROOM => Finding::Enough,
            _ => Finding::Headroom,
        }
    }

    fn own_memory(&self, used: Used) -> Finding {
        match self.bounds.memory {
            Some(allowed) if used.memory > allowed => {
                Finding::Excess(Excess::Memory(used.memory, allowed), 1)
            }
            Some(allowed) if used.memory as f64 >= allowed as f64 * MEMORY_HEADROOM => {
                Finding::Enough
            }
            _ => Finding::Headroom,
        }
    }
}

/// What mirror uses on a host that production needs for itself.
fn of_host(host: Option<Host>, used: Used) -> Finding {
    let Some(host) = host else { return Finding::Headroom };
    if host.memory > MAX_MEMORY_WAIT {
        return Finding::Excess(Excess::HostMemory(host.memory), 1);
    }
    let share = used.cpu / host.processors;
    let needed = if host.idle < MIN_IDLE {
        Some(Excess::HostBusy(host.idle, share))
    } else if host.waiting > MAX_WAITING {
        Some(Excess::HostWaits(host.waiting, share))
    } else if host.softirq > MAX_SOFTIRQ {
        Some(Excess::Softirq(host.softirq, share))
    } else {
        None
    };
    match needed {
        Some(excess) if share > MAX_SHARE => Finding::Excess(excess, steps_down(share / MAX_SHARE)),
        Some(_) if share >= MAX_SHARE * CPU_HEADROOM => Finding::Enough,
        Some(_) => Finding::Headroom,
        // A target on this host takes about as much as mirror does.
        None if host.idle - 2.0 * share < MIN_IDLE => Finding::Enough,
        None => Finding::Headroom,
    }
}

/// What is captured for targets that do not take it.
fn of_targets(taken: Option<f64>) -> Finding {
    match taken {
        Some(taken) if taken < MIN_TAKEN => {
            Finding::Excess(Excess::Targets(taken), steps_down(1.0 / taken.max(f64::EPSILON)))
        }
        Some(taken) if taken < ENOUGH_TAKEN => Finding::Enough,
        _ => Finding::Headroom,
    }
}

/// How many times something is to be halved that is so many times too large.
fn steps_down(times: f64) -> u32 {
    // A float is cut to the bounds of the integer.
    (times.log2() as u32).clamp(1, MAX_STEPS_AT_ONCE)
}

#[cfg(test)]
mod tests;
