//! Keeps mirror's use of CPU and memory within its limits, so that production does not notice it, and
//! pauses copying on request.
//!
//! Input: the limits ([`Limits`]), signals, a pause file. Output: the share of connections that the
//! kernel program copies, set through its [`Control`]. It runs on a thread of its own, so that it works
//! when the pipeline is overloaded. It never fails a run; each step is reported as an event and counted.

mod governor;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGUSR1, SIGUSR2};

use self::governor::{Governor, Step};
use self::usage::Usage;
use crate::filter::Sample;
use crate::logging::emit;
use crate::privileges::{self, Duty};
use crate::shutdown::Stop;
use crate::source::live::pods::PauseSwitch;
use crate::source::live::{Control, Meter};
use crate::stats::{Note, Topic};

/// How often signals and the pause file are polled: half of the 100 ms within which copying must stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Polls for each measurement: one second, long enough that a short burst does not count as load.
const POLLS_PER_MEASUREMENT: u32 = 20;

/// How much of the host mirror may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Share of one CPU (0.2 is a fifth), including the time of the kernel programs; may exceed 1.
    pub cpu: Option<f64>,
    /// Bytes of resident memory.
    pub memory: Option<u64>,
    /// While this file exists, nothing is copied.
    pub pause_file: Option<PathBuf>,
}

/// Counts of what the guard has done.
#[derive(Debug, Default)]
pub struct Counts {
    pauses: AtomicU64,
    lowered: AtomicU64,
    raised: AtomicU64,
    /// The smallest share of connections that was ever copied, out of 2³²; 0 if it was never lowered.
    smallest: AtomicU64,
    /// Share of one CPU that was used in the last second, as the bits of an `f64`; NaN before the first.
    cpu: AtomicU64,
    limits: Limits,
}

/// What the guard has done so far, and within which limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// How often copying was paused.
    pub pauses: u64,
    /// How often the sample was lowered.
    pub lowered: u64,
    /// How often it was raised again.
    pub raised: u64,
    /// Share of one CPU that was used in the last second, the kernel programs included; `None` without a
    /// limit, as nothing is measured then.
    pub cpu: Option<f64>,
    /// Its limits.
    pub limits: Limits,
}

impl Counts {
    fn within(limits: Limits) -> Self {
        Self { limits, cpu: AtomicU64::new(f64::NAN.to_bits()), ..Self::default() }
    }

    /// The counts so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            pauses: self.pauses.load(Relaxed),
            lowered: self.lowered.load(Relaxed),
            raised: self.raised.load(Relaxed),
            cpu: Some(f64::from_bits(self.cpu.load(Relaxed))).filter(|cpu| cpu.is_finite()),
            limits: self.limits.clone(),
        }
    }

    /// The counts for the summary.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let smallest = self.smallest.load(Relaxed);
        let one_in = Sample::ALL.threshold().checked_div(smallest).unwrap_or(0);
        let counts = [&self.pauses, &self.lowered, &self.raised].map(|count| count.load(Relaxed));
        let [pauses, lowered, raised] = counts;
        let counts = [("pauses", pauses), ("lowered", lowered), ("raised", raised)];
        Note::new(Topic::Guard, counts.into_iter().chain([("smallest_sample_one_in", one_in)]))
    }
}

/// Guards a live run until it stops.
pub struct Guard {
    limits: Limits,
    control: Control,
    usage: Usage,
    governor: Governor,
    counts: Arc<Counts>,
    /// Also pauses, beside signals and the file.
    switch: PauseSwitch,
    paused: bool,
}

impl Guard {
    /// A guard for the kernel program behind `control`.
    #[must_use]
    pub fn new(limits: Limits, control: Control, meter: Meter) -> Self {
        Self {
            governor: Governor::new(limits.cpu, limits.memory),
            counts: Arc::new(Counts::within(limits.clone())),
            limits,
            control,
            usage: Usage::new(meter),
            switch: PauseSwitch::default(),
            paused: false,
        }
    }

    /// The same, which also pauses while this switch is on.
    #[must_use]
    pub fn paused_by(self, switch: PauseSwitch) -> Self {
        Self { switch, ..self }
    }

    /// Starts its thread. From then on, SIGUSR1 pauses copying and SIGUSR2 resumes it.
    ///
    /// # Errors
    /// When signals cannot be handled, or no thread could be started.
    pub fn start(mut self, stop: Stop) -> anyhow::Result<Arc<Counts>> {
        let [pause, resume] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        for (signal, flag) in [(SIGUSR1, &pause), (SIGUSR2, &resume)] {
            signal_hook::flag::register(signal, Arc::clone(flag))
                .context("signals: cannot be handled")?;
        }
        let counts = Arc::clone(&self.counts);
        let watch = move || {
            if let Err(error) = privileges::keep_for(Duty::Guard) {
                emit!(PrivilegesKept, thread = "guard", "{error:#}");
            }
            let ticks = crossbeam_channel::tick(POLL_INTERVAL);
            let mut signalled = false;
            let mut poll = 0_u32;
            while ticks.recv().is_ok() && !stop.requested() {
                signalled =
                    (signalled || pause.swap(false, Relaxed)) && !resume.swap(false, Relaxed);
                let file = self.limits.pause_file.as_ref();
                let asked = signalled || self.switch.is_on();
                self.pause(asked || file.is_some_and(|file| file.exists()));
                if self.governor.governs() {
                    poll = (poll + 1) % POLLS_PER_MEASUREMENT;
                    self.measure(poll);
                }
            }
        };
        thread::Builder::new()
            .name("guard".into())
            .spawn(watch)
            .context("guard: no thread could be started")?;
        Ok(counts)
    }

    fn pause(&mut self, pause: bool) {
        if pause == self.paused {
            return;
        }
        if let Err(error) = self.control.set_copying(!pause) {
            emit!(GuardFailed, "{error:#}");
            return;
        }
        self.paused = pause;
        self.counts.pauses.fetch_add(u64::from(pause), Relaxed);
        if pause {
            emit!(CopyingPaused, "paused; nothing is copied");
        } else {
            emit!(CopyingResumed, "copies again");
        }
    }

    /// The last poll of each second starts measuring the cost of a packet; the first poll of the next
    /// second ends it and judges the usage of the second before.
    fn measure(&mut self, poll: u32) {
        match poll {
            0 => {
                let used = self.usage.since_last();
                self.counts.cpu.store(used.cpu.to_bits(), Relaxed);
                if let Some(step) = self.governor.judge(used) {
                    self.step(step);
                }
            }
            n if n + 1 == POLLS_PER_MEASUREMENT => self.usage.start_measuring_cost(),
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        let sample = Sample::out_of_2_32(self.governor.threshold());
        if let Err(error) = self.control.set_sample(sample) {
            emit!(GuardFailed, "{error:#}");
            return;
        }
        let counter = match step {
            Step::Down(_) => &self.counts.lowered,
            Step::Up => &self.counts.raised,
        };
        counter.fetch_add(1, Relaxed);
        let smallest = self.counts.smallest.load(Relaxed);
        if smallest == 0 || sample.threshold() < smallest {
            self.counts.smallest.store(sample.threshold(), Relaxed);
        }
        let one_in = Sample::ALL.threshold() / sample.threshold().max(1);
        match step {
            Step::Down(why) => emit!(
                SampleLowered,
                one_in,
                reason = %why,
                "sample lowered to 1 in {one_in} connections: {why}"
            ),
            Step::Up => {
                emit!(SampleRaised, one_in, "sample raised to 1 in {one_in} connections");
            }
        }
    }
}
