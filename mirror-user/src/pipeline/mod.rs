//! The stages joined: exchanges come in from a front, what may leave goes out to the sinks, in one order
//! and on one thread.
//!
//! One thread reads, reassembles, parses and clears, because handing a packet to another thread
//! costs more than all of it. Live, the ring in front of this thread takes up the bursts; behind
//! it, each sink that waits for a network has a bounded queue and a thread of its own. A
//! connection therefore always lies in one worker's hands; with several workers the symmetric flow
//! key would choose among them.
//!
//! In front of the rules stands a [`Front`]: packets and the stages that turn them into exchanges
//! ([`Packets`]), or HAR files ([`HarFront`]). What changes while packets pass (`handover`) takes effect between two exchanges; targets
//! that go end on threads of their own (`retired`).

#[cfg(feature = "nats")]
mod broker;
mod counts;
mod front;
mod handover;
mod har;
mod lines;
mod outlet;
mod packets;
mod retired;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[cfg(feature = "nats")]
pub use self::broker::{BrokerFront, Settlement, Watching};
use self::counts::Counts;
pub use self::front::{Front, Observed, Reading};
pub use self::handover::{Change, Handover, Reloads};
pub use self::har::HarFront;
pub use self::lines::{JsonLines, MAX_LINE_BYTES, NotALine};
pub use self::outlet::Outlet;
pub use self::packets::Packets;
use self::retired::Retired;
use crate::guard;
use crate::hooks::Hooks;
use crate::http::message::{Exchange, Moment, StartLine};
use crate::progress::Progress;
use crate::rules::Rules;
use crate::shutdown::Stop;
use crate::sink::Event;
use crate::stats::SnapshotSlot;
use crate::summary::Summary;

/// How long the front may wait for a packet before it must say that none came. Bounds how late a
/// stop is noticed and how long a time-out of a connection is late while the link is idle.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// Every stage of one run.
pub struct Pipeline {
    front: Box<dyn Front>,
    rules: Rules,
    outlets: Vec<Outlet>,
    beside: Beside,
    /// What passes between the stages; reused.
    exchanges: Vec<Exchange>,
    counts: Counts,
    retired: Retired,
    /// How many interfaces the sinks know.
    interfaces: usize,
}

/// What a run has beside its stages.
#[derive(Default)]
pub struct Beside {
    /// What is shown while it runs.
    pub progress: Progress,
    /// Where changes come from while it runs.
    pub handover: Option<Arc<Handover>>,
    /// What was done so that production does not feel it.
    pub guard: Option<Arc<guard::Counts>>,
    /// Where other threads get its counters while it runs.
    pub snapshots: Arc<SnapshotSlot>,
    /// What is run between two passes over the same recording.
    pub hooks: Option<Hooks>,
}

impl Pipeline {
    /// What `front` gives and `rules` clear goes to `outlets`.
    #[must_use]
    pub fn new(front: Box<dyn Front>, rules: Rules, outlets: Vec<Outlet>, beside: Beside) -> Self {
        Self {
            front,
            rules,
            outlets,
            beside,
            exchanges: Vec::new(),
            counts: Counts::default(),
            retired: Retired::default(),
            interfaces: 0,
        }
    }

    /// The same, which runs these between two passes over a recording.
    #[must_use]
    pub fn with_hooks(mut self, hooks: Option<Hooks>) -> Self {
        self.beside.hooks = hooks;
        self
    }

    /// Runs until the front ends or `stop` is requested, then finishes every stage.
    ///
    /// # Errors
    /// When the front or a sink cannot go on. The summary then still holds for what came before.
    pub fn run(mut self, stop: &Stop) -> (Summary, anyhow::Result<()>) {
        self.rules.remember_open(self.needs_responses());
        self.beside.snapshots.publish(self.snapshot());
        let outcome = self.pump(stop);
        let finished = self.finish();
        let summary = self.summarize();
        self.beside.snapshots.publish_last(summary.snapshot.clone());
        self.beside.progress.finish();
        (summary, outcome.and(finished))
    }

    fn pump(&mut self, stop: &Stop) -> anyhow::Result<()> {
        loop {
            let reading = self.front.read(IDLE_WAIT, &mut self.exchanges)?;
            self.tell_spoken();
            self.pass_on()?;
            match reading {
                Reading::Exchanges => {}
                Reading::Pause => self.look(stop),
                Reading::Idle => {
                    self.take_changes()?;
                    self.outlets.iter_mut().try_for_each(|outlet| outlet.sink.flush())?;
                    self.look(stop);
                }
                Reading::Rewound(shift) => {
                    self.emit(Event::Rewound(shift));
                    self.between_passes(stop)?;
                }
                Reading::End => return Ok(()),
            }
        }
    }

    /// Lets the hooks bring what a pass has changed back to where it was. Whatever a pass has sent is answered before, and the
    /// next one begins after that.
    fn between_passes(&mut self, stop: &Stop) -> anyhow::Result<()> {
        let Some(hooks) = self.beside.hooks.clone() else { return Ok(()) };
        while self.is_delivering() && !stop.requested() {
            self.look(stop);
            thread::park_timeout(IDLE_WAIT);
        }
        let mut look = || {
            self.look(stop);
            true
        };
        hooks.end_pass(&mut look)?;
        if !stop.requested() {
            hooks.begin_pass(&mut look)?;
        }
        self.look(stop);
        self.emit(Event::Resumed);
        Ok(())
    }

    fn is_delivering(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.account().in_flight > 0)
    }

    /// Looks at what other threads want.
    fn look(&mut self, stop: &Stop) {
        self.beside.progress.show(self.front.packets(), self.counts.requests);
        self.emit(Event::Production(self.counts.responses));
        if self.beside.snapshots.take_request() {
            self.beside.snapshots.publish(self.snapshot());
        }
        if stop.requested() {
            self.front.stop();
        }
    }

    /// From the front to the sinks.
    fn pass_on(&mut self) -> anyhow::Result<()> {
        if self.exchanges.is_empty() {
            return Ok(());
        }
        self.take_changes()?;
        let interfaces = self.front.interfaces();
        if interfaces.len() > self.interfaces {
            self.interfaces = interfaces.len();
            let names = Event::Interfaces(interfaces);
            self.outlets.iter_mut().for_each(|outlet| outlet.sink.on(names));
        }
        for exchange in self.exchanges.drain(..) {
            let counts = exchange.is_first_moment();
            if exchange.moment == Moment::Ended
                && let Some(response) = &exchange.response
                && let StartLine::Status { code, .. } = response.head.start
            {
                self.counts.responses.count(code);
            }
            // Where requests alone are wanted, what comes later is not even judged.
            if !(counts || self.rules.remembers_open()) {
                continue;
            }
            self.counts.requests += u64::from(counts);
            if exchange.request.is_some() && nobody_has_room(&self.rules, &self.outlets) {
                match self.rules.judge(&exchange) {
                    Ok(judged) => {
                        self.counts.cleared += 1;
                        self.outlets.iter_mut().for_each(|outlet| outlet.refuse(&judged));
                    }
                    Err(why) => self.counts.dropped.count(why),
                }
                continue;
            }
            match self.rules.clear(exchange) {
                Ok(cleared) => {
                    self.counts.cleared += u64::from(counts);
                    for outlet in &mut self.outlets {
                        outlet.accept(&cleared)?;
                    }
                }
                Err(why) if counts => self.counts.dropped.count(why),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn tell_spoken(&mut self) {
        for spoken in self.front.spoken() {
            self.emit(Event::Spoken(&spoken));
        }
    }

    fn emit(&mut self, event: Event<'_>) {
        self.outlets.iter_mut().for_each(|outlet| outlet.sink.on(event));
    }

    fn needs_responses(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.sink.needs_responses())
    }

    /// Lets what was left in the meantime take effect.
    fn take_changes(&mut self) -> anyhow::Result<()> {
        let Some(handover) = &self.beside.handover else { return Ok(()) };
        for Change { server_ports, rules, retire, mut outlets } in handover.take() {
            self.front.server_ports(server_ports);
            self.rules.change(rules);
            for outlet in self.outlets.extract_if(.., |outlet| outlet.is_one_of(&retire)) {
                self.retired.add(outlet)?;
            }
            let names = Event::Interfaces(self.front.interfaces());
            outlets.iter_mut().for_each(|outlet| outlet.sink.on(names));
            self.outlets.append(&mut outlets);
            let needed = self.needs_responses();
            self.rules.remember_open(needed);
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let read = self.front.finish(&mut self.exchanges);
        self.tell_spoken();
        let mut outcome = self.pass_on().and(read);
        // Sinks may take long to deliver what waits; others see meanwhile what was read.
        self.beside.snapshots.publish(self.snapshot());
        for outlet in &mut self.outlets {
            outlet.sink.on(Event::Production(self.counts.responses));
            // Every sink is finished, whatever happened to the one before it.
            outcome = outcome.and(outlet.sink.finish());
        }
        outcome.and(self.retired.finish())
    }
}

/// True while an exchange costs what counting it costs. Never where responses are wanted: whoever compares or translates
/// them is told of each request.
fn nobody_has_room(rules: &Rules, outlets: &[Outlet]) -> bool {
    !rules.remembers_open() && outlets.iter().all(|outlet| outlet.sink.is_full())
}
