//! Looks after mirror itself, so that production does not feel it: how much processor and memory it
//! takes, and whether it was told to pause.
//!
//! In: what was allowed ([`Limits`]), signals, a file. Out: the part of the connections that the
//! kernel program copies, told to its [`Control`]. A thread of its own, which works when the pipeline
//! is behind. Refuses nothing; says what it does on standard error, and counts it.

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
use crate::source::live::{Control, Meter};
use crate::stats::Note;

/// How often signals and the pause file are looked at: half of the 100 ms in which copying is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Looks between two measurements: one second, over which a load is not a burst any more.
const LOOKS_PER_MEASUREMENT: u32 = 20;

/// What mirror may take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Of one processor, 0.2 being a fifth, the time of its kernel programs included; may be above 1.
    pub cpu: Option<f64>,
    /// Bytes of resident memory.
    pub memory: Option<u64>,
    /// While there is such a file, nothing is copied.
    pub pause_file: Option<PathBuf>,
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Counts {
    pauses: AtomicU64,
    lowered: AtomicU64,
    raised: AtomicU64,
    /// The smallest part of the connections that was copied, out of 2³²; 0 where none was lowered.
    smallest: AtomicU64,
}

impl Counts {
    /// For the summary.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let smallest = self.smallest.load(Relaxed);
        let one_in = Sample::ALL.threshold().checked_div(smallest).unwrap_or(0);
        let counts = [&self.pauses, &self.lowered, &self.raised].map(|count| count.load(Relaxed));
        let [pauses, lowered, raised] = counts;
        let counts = [("pauses", pauses), ("lowered", lowered), ("raised", raised)];
        Note::new("guard", counts.into_iter().chain([("smallest_sample_one_in", one_in)]))
    }
}

/// Looks after a live run until it stops.
pub struct Guard {
    limits: Limits,
    control: Control,
    usage: Usage,
    governor: Governor,
    counts: Arc<Counts>,
    paused: bool,
}

impl Guard {
    /// A guard of what `control` rules.
    #[must_use]
    pub fn new(limits: Limits, control: Control, meter: Meter) -> Self {
        Self {
            governor: Governor::new(limits.cpu, limits.memory),
            limits,
            control,
            usage: Usage::new(meter),
            counts: Arc::default(),
            paused: false,
        }
    }

    /// Starts its thread: SIGUSR1 pauses the copying from now on, SIGUSR2 lets it go on.
    ///
    /// # Errors
    /// When signals cannot be handled, or no thread could be started.
    pub fn start(mut self, stop: Stop) -> anyhow::Result<Arc<Counts>> {
        let [pause, go_on] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        for (signal, flag) in [(SIGUSR1, &pause), (SIGUSR2, &go_on)] {
            signal_hook::flag::register(signal, Arc::clone(flag))
                .context("signals: cannot be handled")?;
        }
        let counts = Arc::clone(&self.counts);
        let watch = move || {
            if let Err(error) = privileges::keep_for(Duty::Guard) {
                emit!(PrivilegesKept, thread = "guard", "{error:#}");
            }
            let ticks = crossbeam_channel::tick(LOOK);
            let mut asked = false;
            let mut looks = 0_u32;
            while ticks.recv().is_ok() && !stop.requested() {
                asked = (asked || pause.swap(false, Relaxed)) && !go_on.swap(false, Relaxed);
                let file = self.limits.pause_file.as_ref();
                self.pause(asked || file.is_some_and(|file| file.exists()));
                if self.governor.governs() {
                    looks = (looks + 1) % LOOKS_PER_MEASUREMENT;
                    self.measure(looks);
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

    /// The last look of a second tells what a packet costs, the first what the second before took.
    fn measure(&mut self, look: u32) {
        match look {
            0 => {
                let taken = self.usage.take();
                if let Some(step) = self.governor.judge(taken) {
                    self.step(step);
                }
            }
            n if n + 1 == LOOKS_PER_MEASUREMENT => self.usage.price_packets(),
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
