//! Keeps mirror out of production's way: within its limits of CPU and memory, out of processors that production needs, and
//! from capturing what no target takes. Pauses copying on request.
//!
//! Input: the limits ([`Limits`]), the load of the host, what targets take, signals, a pause file. Output: the share of
//! connections that the kernel program copies, set through its [`Control`]; what is left out is counted there as
//! `load_shed`. It runs on a thread of its own, so that it works
//! when the pipeline is overloaded. It never fails a run; each step is reported as an event and counted.

mod counts;
mod deliveries;
mod excess;
mod governor;
mod host;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGUSR1, SIGUSR2};
use strum::{EnumIter, EnumMessage, IntoStaticStr};

pub use self::counts::{Counts, Figures, Last};
use self::deliveries::Deliveries;
pub use self::excess::Cause;
use self::governor::{Bounds, Governor, Measured, Step};
pub use self::host::Host;
use self::host::HostMeter;
use self::usage::{Usage, Used};
use crate::filter::Sample;
use crate::logging::emit;
use crate::privileges::{self, Duty};
use crate::shutdown::Stop;
use crate::sink::replay::ReplayMonitors;
use crate::source::live::pods::PauseSwitch;
use crate::source::live::{Control, Meter};

/// How often signals and the pause file are polled: half of the 100 ms within which copying must stop.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Polls for each measurement: one second, long enough that a short burst does not count as load.
const POLLS_PER_MEASUREMENT: u32 = 20;

/// The smallest sample unless asked otherwise: what is left then is the cost of skipping packets.
const MIN_SAMPLE: f64 = 0.001;

/// How much of the host mirror may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Share of one CPU (0.2 is a fifth), including the time of the kernel programs; may exceed 1.
    pub cpu: Option<f64>,
    /// Bytes of resident memory.
    pub memory: Option<u64>,
    /// When load is shed for production's or a target's sake.
    pub shed_load: ShedLoad,
    /// The smallest share of connections that is copied, above 0 and up to 1; `None`: a thousandth.
    pub min_sample: Option<f64>,
    /// While this file exists, nothing is copied.
    pub pause_file: Option<PathBuf>,
}

/// When fewer connections are copied because targets do not take more, or production needs the processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ShedLoad {
    /// While only targets get the traffic, and no gate is to judge it
    #[default]
    Auto,
    /// Also for files and reports, which then lack connections
    Always,
    /// Never
    Off,
}

impl ShedLoad {
    /// Whether load is shed, where whoever gets the traffic can do with less or cannot.
    fn applies(self, may_be_less: bool) -> bool {
        match self {
            Self::Auto => may_be_less,
            Self::Always => true,
            Self::Off => false,
        }
    }
}

impl Limits {
    /// True when something can change the sample.
    fn govern(&self, has_targets: bool) -> bool {
        self.shed_load.applies(has_targets) || self.cpu.is_some() || self.memory.is_some()
    }

    fn bounds(&self) -> Bounds {
        let halvings = -self.min_sample.unwrap_or(MIN_SAMPLE).log2();
        // Down to the smallest sample, not below it; a float is cut to the bounds of the integer.
        Bounds { cpu: self.cpu, memory: self.memory, steps: halvings as u32 }
    }
}

/// Guards a live run until it stops.
pub struct Guard {
    limits: Limits,
    control: Control,
    usage: Usage,
    host: HostMeter,
    deliveries: Deliveries,
    governor: Governor,
    counts: Arc<Counts>,
    /// Also pauses, beside signals and the file.
    switch: PauseSwitch,
    paused: bool,
}

impl Guard {
    /// A guard for the kernel program behind `control`, whose packets go to `targets` if there are any.
    #[must_use]
    pub fn new(limits: Limits, control: Control, meter: Meter, targets: ReplayMonitors) -> Self {
        let usage = Usage::new(meter);
        Self {
            governor: Governor::new(limits.bounds()),
            counts: Arc::new(Counts::within(limits.clone())),
            limits,
            control,
            host: HostMeter::new(usage.measured_at()),
            usage,
            deliveries: Deliveries::new(targets),
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
                if self.limits.govern(self.deliveries.has_targets()) {
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
                let measured = self.measured();
                if let Some(step) = self.governor.judge(&measured) {
                    self.step(step);
                }
            }
            n if n + 1 == POLLS_PER_MEASUREMENT => self.usage.start_measuring_cost(),
            _ => {}
        }
    }

    fn measured(&mut self) -> Measured {
        let used = self.usage.since_last();
        let host = self.host.since_last(self.usage.measured_at());
        let delivered = self.deliveries.since_last();
        let sheds = self.limits.shed_load.applies(delivered.may_be_less);
        let Used { cpu, .. } = used;
        self.counts.found(Last { cpu: Some(cpu), host });
        Measured { used, host: host.filter(|_| sheds), taken: delivered.taken.filter(|_| sheds) }
    }

    fn step(&mut self, step: Step) {
        let sample = Sample::out_of_2_32(self.governor.threshold());
        if let Err(error) = self.control.limit_sample(sample) {
            emit!(GuardFailed, "{error:#}");
            return;
        }
        let counter = match step {
            Step::Down(why) => &self.counts.lowered[why.cause()],
            Step::Up => &self.counts.raised,
        };
        counter.fetch_add(1, Relaxed);
        self.counts.sampled(sample);
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
