//! The rooms joined: what a packet meets, in order, on one thread.
//!
//! One thread reads, reassembles, parses and clears, because handing a packet to another thread
//! costs more than all of it. Live, the ring in front of this thread takes up the bursts; behind
//! it, each sink that waits for a network has a bounded queue and a thread of its own. A
//! connection therefore always lies in one worker's hands; with several workers the symmetric flow
//! key would choose among them.
//!
//! What changes while packets pass (`handover`) takes effect between two exchanges; targets that go
//! end on threads of their own (`retired`).

mod handover;
mod retired;

use std::sync::Arc;
use std::time::Duration;

pub use self::handover::{Change, Handover};
use self::retired::Retired;
use crate::decode::{Decoder, Skip};
use crate::guard;
use crate::http::HttpTable;
use crate::http::message::{Exchange, Moment, StartLine};
use crate::packet::{Packet, Timestamp};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::rules::route::TargetId;
use crate::rules::{Dropped, Rules};
use crate::shutdown::Stop;
use crate::sink::Sink;
use crate::source::{Next, PacketSource};
use crate::stats::Note;
use crate::stats::{Account, Responses, Tally};
use crate::summary::Summary;
use crate::tcp::FlowTable;
use crate::tcp::event::StreamEvent;

/// How long the source may wait for a packet before it must say that none came. Bounds how late a
/// stop is heard and how long a time-out of the tcp room is late while the link is idle.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// How many packets are read between two looks at the stop signal and the progress line.
const PACKETS_PER_LOOK: u32 = 1_024;

/// Every room of one run.
pub struct Pipeline {
    /// The front door.
    pub source: Box<dyn PacketSource>,
    /// Packets to segments.
    pub decoder: Decoder,
    /// Writes down the packets that became segments, as they were seen.
    pub recorder: Option<Recorder>,
    /// Segments to streams.
    pub flows: FlowTable,
    /// Streams to exchanges.
    pub http: HttpTable,
    /// Exchanges to cleared ones.
    pub rules: Rules,
    /// The back doors.
    pub sinks: Vec<Box<dyn Sink>>,
    /// What is shown while it runs.
    pub progress: Progress,
    /// Where changes come from while it runs.
    pub handover: Option<Arc<Handover>>,
    /// What was done so that production does not feel it.
    pub guard: Option<Arc<guard::Counts>>,
}

/// What moves between the rooms, and what is counted there. The `Vec`s are reused for every packet.
#[derive(Default)]
struct Corridors {
    events: Vec<StreamEvent>,
    exchanges: Vec<Exchange>,
    packets: u64,
    requests: u64,
    /// What production answered.
    responses: Responses,
    cleared: u64,
    dropped: Tally<Dropped>,
    interfaces: usize,
    retired: Retired,
}

impl Pipeline {
    /// Runs until the source ends or `stop` is requested, then finishes every room.
    ///
    /// # Errors
    /// When the source or a sink cannot go on. The summary then still holds for what came before.
    pub fn run(mut self, stop: &Stop) -> (Summary, anyhow::Result<()>) {
        let mut corridors = Corridors::default();
        self.rules.remember_open(self.sinks_want_answers());
        let outcome = self.pump(&mut corridors, stop).and_then(|()| self.source.verdict());
        let finished = self.finish(&mut corridors);
        let summary = self.summarize(&corridors);
        self.progress.finish();
        (summary, outcome.and(finished))
    }

    fn pump(&mut self, corridors: &mut Corridors, stop: &Stop) -> anyhow::Result<()> {
        let mut until_look = PACKETS_PER_LOOK;
        loop {
            // Looked at where it was put: to move a packet that was just written makes a CPU wait.
            let next = self.source.next(IDLE_WAIT);
            match &next {
                Ok(Next::Packet(packet)) => {
                    self.take(packet, corridors)?;
                    until_look -= 1;
                }
                Ok(Next::Idle) => {
                    self.idle(corridors)?;
                    until_look = 0;
                }
                Ok(Next::Again(shift)) => self.again(*shift, corridors)?,
                Ok(Next::End) | Err(_) => return next.map(drop),
            }
            if until_look == 0 {
                until_look = PACKETS_PER_LOOK;
                self.progress.show(corridors.packets, corridors.requests);
                self.sinks.iter_mut().for_each(|sink| sink.production(corridors.responses));
                if stop.requested() {
                    self.source.stop();
                }
            }
        }
    }

    /// The way of a packet.
    fn take(&mut self, packet: &Packet, corridors: &mut Corridors) -> anyhow::Result<()> {
        corridors.packets += 1;
        let decoded = self.decoder.push(packet);
        if let Some(recorder) = &mut self.recorder
            // A fragment's ports are known only when all of its datagram has come.
            && matches!(decoded, Ok(_) | Err(Skip::Fragment))
        {
            recorder.write(packet, self.source.interfaces())?;
        }
        let Ok(segment) = decoded else {
            return Ok(());
        };
        self.flows.push(segment, &mut corridors.events);
        self.flows.expire(packet.at, &mut corridors.events);
        self.pass_on(corridors)
    }

    /// Time passes on an idle link, too: what waits for a time-out is let go.
    fn idle(&mut self, corridors: &mut Corridors) -> anyhow::Result<()> {
        self.take_changes(corridors)?;
        if let Some(now) = self.source.now() {
            self.expire(now, corridors)?;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.flush()?;
        }
        self.sinks.iter_mut().try_for_each(|sink| sink.idle())
    }

    /// Whatever was open ends with the capture, and the rooms go on with the same counts.
    fn again(&mut self, shift: Duration, corridors: &mut Corridors) -> anyhow::Result<()> {
        self.flows.finish(&mut corridors.events);
        self.pass_on(corridors)?;
        self.sinks.iter_mut().for_each(|sink| sink.again(shift));
        Ok(())
    }

    fn expire(&mut self, now: Timestamp, corridors: &mut Corridors) -> anyhow::Result<()> {
        self.flows.expire(now, &mut corridors.events);
        self.pass_on(corridors)
    }

    /// From the streams to the sinks.
    fn pass_on(&mut self, corridors: &mut Corridors) -> anyhow::Result<()> {
        if corridors.events.is_empty() {
            return Ok(());
        }
        for event in corridors.events.drain(..) {
            self.http.push(event, &mut corridors.exchanges);
        }
        if corridors.exchanges.is_empty() {
            return Ok(());
        }
        self.take_changes(corridors)?;
        let interfaces = self.source.interfaces();
        if interfaces.len() > corridors.interfaces {
            corridors.interfaces = interfaces.len();
            self.sinks.iter_mut().for_each(|sink| sink.interfaces(interfaces));
        }
        for exchange in corridors.exchanges.drain(..) {
            let counts = exchange.is_first_moment();
            if exchange.moment == Moment::Ended
                && let Some(response) = &exchange.response
                && let StartLine::Status { code, .. } = response.head.start
            {
                corridors.responses.count(code);
            }
            // Where requests alone are wanted, what comes later is not even judged.
            if !(counts || self.rules.remembers_open()) {
                continue;
            }
            corridors.requests += u64::from(counts);
            match self.rules.clear(exchange) {
                Ok(cleared) => {
                    corridors.cleared += u64::from(counts);
                    for sink in &mut self.sinks {
                        sink.accept(&cleared)?;
                    }
                }
                Err(why) if counts => corridors.dropped.count(why),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn sinks_want_answers(&self) -> bool {
        self.sinks.iter().any(|sink| sink.wants_answers())
    }

    /// Lets what was left in the meantime take effect.
    fn take_changes(&mut self, corridors: &mut Corridors) -> anyhow::Result<()> {
        let Some(handover) = &self.handover else { return Ok(()) };
        for Change { server_ports, rules, retire, mut sinks } in handover.take() {
            self.flows.watch_ports(server_ports);
            self.rules.change(rules);
            let goes = |target: Option<TargetId>| target.is_some_and(|id| retire.contains(&id));
            for sink in self.sinks.extract_if(.., |sink| goes(sink.target())) {
                corridors.retired.add(sink)?;
            }
            sinks.iter_mut().for_each(|sink| sink.interfaces(self.source.interfaces()));
            self.sinks.append(&mut sinks);
            self.rules.remember_open(self.sinks_want_answers());
            self.progress.watch(self.sinks.iter().filter_map(|sink| sink.monitor()).collect());
        }
        Ok(())
    }

    fn finish(&mut self, corridors: &mut Corridors) -> anyhow::Result<()> {
        self.flows.finish(&mut corridors.events);
        let mut outcome = self.pass_on(corridors);
        if let Some(recorder) = &mut self.recorder {
            outcome = outcome.and(recorder.finish());
        }
        for sink in &mut self.sinks {
            sink.production(corridors.responses);
            // Every sink is finished, whatever happened to the one before it.
            outcome = outcome.and(sink.finish());
        }
        outcome.and(corridors.retired.finish())
    }

    fn summarize(&mut self, corridors: &Corridors) -> Summary {
        let requests = Account {
            name: "cleared",
            seen: corridors.requests,
            delivered: corridors.cleared,
            dropped: corridors.dropped.non_zero().collect(),
        };
        let mut accounts =
            vec![self.source.account(), self.decoder.account(), self.flows.stats().bytes()];
        accounts.extend(self.http.stats().accounts());
        accounts.push(requests);
        let sinks = || corridors.retired.sinks().chain(&self.sinks);
        accounts.extend(sinks().map(|sink| sink.account()));
        accounts.extend(self.recorder.as_ref().map(Recorder::account));
        let (tcp, http) = (self.flows.stats(), self.http.stats());
        let of_stages = [
            Note::new("segments by kind", tcp.segments.non_zero()),
            Note::new("gaps", tcp.gaps.non_zero()),
            Note::new("connections ended", tcp.closed.non_zero()),
            Note::new("datagrams", self.decoder.datagrams().non_zero()),
            Note::new("http", http.notes()),
            Note::new("request flaws", http.requests.flaws.non_zero()),
            Note::new("response flaws", http.responses.flaws.non_zero()),
            Note::new("requests refused", http.requests.refused.non_zero()),
            Note::new("responses refused", http.responses.refused.non_zero()),
            Note::new("bodies not kept", http.requests.not_kept.non_zero()),
        ];
        let mut notes = self.source.notes();
        notes.extend(self.decoder.notes());
        notes.extend(of_stages.into_iter().flatten());
        notes.extend(self.rules.notes());
        notes.extend(self.handover.as_ref().and_then(|handover| handover.note()));
        notes.extend(self.guard.as_ref().and_then(|guard| guard.note()));
        let mut warnings = self.source.warnings();
        if corridors.requests == 0 {
            warnings.extend(self.source.when_nothing_was_seen());
        }
        warnings.extend(self.rules.warnings());
        for sink in sinks() {
            notes.extend(sink.notes());
            warnings.extend(sink.warnings());
        }
        let replays = sinks().filter_map(|sink| sink.report()).collect();
        Summary { accounts, notes, replays, warnings }
    }
}
