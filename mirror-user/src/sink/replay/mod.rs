//! Replays cleared requests to one target.
//!
//! The requests of one captured connection are sent in order over one upstream connection (or each
//! over a free connection of a pool). Each is sent when it is due (`schedule`) and the response to
//! the previous one has been read. Responses are read and dropped; response times count from when
//! the request was due (`outcome`). *Delivered* means that the target's response was read to its
//! end, whatever its status.
//!
//! Does not send requests that are incomplete, ambiguous or tunnels. Holds a bounded number of
//! requests, bytes and connections. Beyond that, a live replay drops requests, and the replay of a
//! file applies backpressure, but not so long that later requests become late. A target that is
//! down, slow or resets connections costs counted requests and nothing else. A request that was
//! sent is not sent again, except for an idempotent one on a connection that the target was
//! closing. A request of which no byte was sent is retried only if that is enabled. The circuit
//! breaker (`load`) stops sending for a while if most requests fail. Each target has its own sink.
//!
//! There are two threads, and a third one for the request log. The pipeline's thread builds the
//! requests and queues them (`submit`, `engine::queue`). The engine's thread runs one task for each captured
//! connection (`engine::session`).

mod clock;
mod correlate;
mod engine;
mod key;
mod load;
mod monitor;
mod options;
mod outcome;
mod schedule;
mod submit;
mod transport;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use hashbrown::HashSet;

use self::engine::queue::Queue;
use self::key::ExchangeKey;
pub use self::load::breaker::{BreakerOptions, BreakerState};
use self::load::health::Health;
pub use self::load::health::TargetHealth;
use self::load::ramp::Ramp;
pub use self::load::ramp::RampOptions;
pub use self::monitor::{ReplayMonitor, ReplayMonitors, Taken};
pub use self::options::{IdleClose, Limits, ReplayOptions, Timeouts, Victim, WhenFull};
pub use self::outcome::buckets::{BOUNDS_MICROS, Distribution};
pub use self::outcome::figures::{GroupFigures, ReplayFigures};
use self::outcome::groups::ByGroup;
pub use self::outcome::groups::RuleReport;
use self::outcome::log::RequestLog;
use self::outcome::misdirected::Misdirected;
pub use self::outcome::not_delivered::{Attribution, NotDelivered};
pub use self::outcome::observer::{OutcomeObserver, ShadowOutcome, ShadowResponse};
use self::outcome::progress::Observers;
pub use self::outcome::progress::ReplayProgress;
use self::outcome::reasons::Reasons;
pub use self::outcome::report::ReplayReport;
pub(crate) use self::outcome::report::short;
pub use self::outcome::span::{ShadowSpan, SpanCounts, SpanSink, TracedRequest};
pub use self::outcome::times::Quantiles;
pub use self::outcome::verdict::{FailOn, Verdict};
use self::schedule::Schedule;
use self::schedule::cap::Cap;
pub use self::schedule::copies::Copies;
pub use self::schedule::pace::{Pace, Rate};
pub use self::schedule::window::{Point, Window};
pub use self::transport::connections::Connections;
pub(crate) use self::transport::dial::Dialer;
pub use self::transport::target::{Forbidden, OnConnect, Target};
pub use self::transport::target_url::{Credentials, TargetUrl};
pub use self::transport::tls::TlsOptions;
use crate::http::message::Moment;
use crate::logging::emit;
use crate::privileges::{self, Duty};
use crate::rules::route::Priority;
use crate::rules::sample::Portion;
use crate::rules::tag::Marks;
use crate::rules::{Cleared, Judged};
use crate::sink::{Event, Sink};
use crate::stats::{Account, Note, Responses, Topic};

/// The largest body of a response that is kept, production's or the target's, in bytes. Of a
/// longer one, the head and the length are.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Replays to one target.
pub struct ReplaySink {
    target: Arc<str>,
    /// The marks of each copy.
    marks: Vec<Marks>,
    window: Window,
    /// How much later times are in this pass over the capture than in the first.
    shift: Duration,
    schedule: Schedule,
    copies: Copies,
    connections: Connections,
    late: Duration,
    when_full: WhenFull,
    log: Option<RequestLog>,
    spans: Option<Arc<dyn SpanSink>>,
    fail_on: Vec<FailOn>,
    ramp: Option<Ramp>,
    cap: Option<Cap>,
    health: Option<Arc<Health>>,
    reasons: Reasons,
    misdirected: Misdirected,
    /// Production's responses so far.
    production: Responses,
    by_group: ByGroup,
    observer: Option<Arc<dyn OutcomeObserver>>,
    ask_again: Portion,
    /// As [`ReplayOptions::needs_all`].
    needs_all: bool,
    /// Queued requests whose responses of production are needed; `None` without correlation.
    open: Option<HashSet<ExchangeKey>>,
    /// The number of this pass over the capture.
    pass: u32,
    queue: Arc<Queue>,
    /// Set when the sink has finished.
    report: Arc<OnceLock<ReplayReport>>,
    engine: Option<JoinHandle<anyhow::Result<()>>>,
}

impl ReplaySink {
    /// Starts the engine's thread. When `stop` becomes true, requests that are not due yet are
    /// dropped, and the others have [`Timeouts::drain`] to end.
    ///
    /// # Errors
    /// If no thread could be started.
    pub fn start(
        target: Target,
        options: ReplayOptions,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let queue = Arc::new(Queue::new(options.limits.clone(), stop));
        let copies = options.copies;
        let mut sink = Self {
            target: target.authority().into(),
            marks: (0..copies.count).map(|copy| marks_of(&options.marks, copy)).collect(),
            window: options.window.clone(),
            shift: Duration::ZERO,
            schedule: Schedule::new(options.pace, options.max_gap),
            copies,
            connections: options.connections,
            late: options.timeouts.late,
            when_full: options.when_full,
            log: options.log.clone().map(RequestLog::start).transpose()?,
            spans: options.spans.clone(),
            fail_on: options.fail_on.clone(),
            ramp: options.ramp.map(Ramp::new),
            cap: options.cap.map(|rate| {
                Cap::new(rate, matches!(options.connections, Connections::Independent(_)))
            }),
            health: options.health.map(|limit| Arc::new(Health::new(limit, clock::now()))),
            reasons: Reasons::default(),
            misdirected: Misdirected::new(&options.marks.host),
            production: Responses::default(),
            by_group: ByGroup::new(options.origins.clone()),
            observer: options.observer.clone(),
            ask_again: options.ask_again,
            needs_all: options.needs_all,
            open: options.correlate.then(HashSet::new),
            pass: 0,
            queue: Arc::clone(&queue),
            report: Arc::default(),
            engine: None,
        };
        let engine = std::thread::Builder::new()
            .name("replay".into())
            .spawn({
                let queue = Arc::clone(&queue);
                move || {
                    let _end = EndOfEngine(&queue);
                    privileges::keep_for(Duty::Send(target.port().is_none()))?;
                    engine::run(&queue, target, &options)
                }
            })
            .context("replay: no thread could be started")?;
        sink.engine = Some(engine);
        Ok(sink)
    }

    /// A monitor through which other threads read its counters and, at the end, its report.
    #[must_use]
    pub fn monitor(&self) -> ReplayMonitor {
        ReplayMonitor {
            target: Arc::clone(&self.target),
            queue: Arc::clone(&self.queue),
            needs_all: self.needs_all,
            groups: self.by_group.groups(),
            health: self.health.clone(),
            report: Arc::clone(&self.report),
        }
    }

    /// Warns if the target refuses requests that production does not refuse.
    fn compare_refusals(&mut self, is_end: bool) {
        let target = self.queue.counters.responses();
        if let Some(warning) = self.misdirected.warning(target, self.production, is_end) {
            emit!(HostsRefused, target = &*self.target, "{}: {warning}", self.target);
        }
    }

    fn make_report(&self) -> ReplayReport {
        let end = self.monitor().progress();
        let verdicts = self.fail_on.iter().map(|fail_on| fail_on.judge(&end)).collect();
        let rules = self.by_group.groups().report();
        ReplayReport { target: self.target.to_string(), end, rules, verdicts }
    }

    fn host_warning(&self) -> Option<String> {
        let host_missing = self.queue.counters.host_missing.load(Relaxed);
        (host_missing > 0).then(|| {
            format!("{host_missing} requests have no host to mark; they were sent without one")
        })
    }
}

/// The marks of a copy. Copies differ in the name of their run, so that each request has its own
/// `X-Shadow-Id`.
fn marks_of(marks: &Marks, copy: u32) -> Marks {
    let mut marks = marks.clone();
    if copy > 0 {
        marks.run = format!("{}.{copy}", marks.run);
    }
    marks
}

/// Releases a waiting pipeline however the engine ends.
struct EndOfEngine<'a>(&'a Queue);

impl Drop for EndOfEngine<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Sink for ReplaySink {
    fn needs_responses(&self) -> bool {
        self.open.is_some() || self.ramp.as_ref().is_some_and(Ramp::watches_production)
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let Some(request) = &exchange.request else { return Ok(()) };
        // A complete request was accepted when it was sent; only an incomplete one is new at the
        // end.
        if exchange.moment == Moment::Ended && request.incomplete.is_none() {
            self.watch_production(exchange);
            self.queue_response(exchange);
            return Ok(());
        }
        for copy in 0..self.copies.count {
            self.queue.counters.offered.fetch_add(1, Relaxed);
            self.replay(cleared, request, copy);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        // They are told of each request, with what became of it.
        let tells_of_each = self.log.is_some() || self.spans.is_some() || self.observer.is_some();
        // It looks at the clock at each request.
        let ramps = self.ramp.is_some();
        !tells_of_each && !ramps && self.room(Priority::High).is_err()
    }

    fn refuse(&mut self, judged: &Judged) {
        for _ in 0..self.copies.count {
            self.queue.counters.offered.fetch_add(1, Relaxed);
            let group = Some(self.by_group.offered(judged.rule_name(), judged.interface()));
            let observers = Observers { group, ..Observers::default() };
            self.queue.counters.settle(Err(NotDelivered::QueueFull), observers);
        }
    }

    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Production(responses) => {
                self.production = responses;
                self.compare_refusals(false);
            }
            Event::Rewound(shift) => {
                self.shift = shift;
                self.pass = self.pass.saturating_add(1);
                self.schedule.restart();
            }
            Event::Resumed => self.schedule.resume(clock::now()),
            Event::Interfaces(_) | Event::Spoken(_) => {}
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.queue.close();
        let ended = match self.engine.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(anyhow!("{}: the replay's thread panicked", self.target)),
        };
        if let Some(log) = &mut self.log {
            log.finish();
        }
        self.observer.iter().for_each(|observer| observer.ended());
        self.compare_refusals(true);
        let _ = self.report.set(self.make_report());
        ended
    }

    fn warnings(&self) -> Vec<String> {
        let log = self.log.as_ref().and_then(RequestLog::warning);
        self.host_warning().into_iter().chain(log).collect()
    }

    fn notes(&self) -> Vec<Note> {
        let log = self.log.as_ref().and_then(|log| Note::new(Topic::RequestLog, log.counts()));
        let opened = self.queue.counters.breaker_opened.load(Relaxed);
        let breaker = Note::new(Topic::Breaker, (opened > 0).then_some(("opened", opened)));
        let retried = self.queue.counters.retried.load(Relaxed);
        let retried = Note::new(Topic::Retried, (retried > 0).then_some(("unsent", retried)));
        let resent = self.queue.counters.resent.load(Relaxed);
        let resent = Note::new(Topic::Resent, [("connection_was_closing", resent)]);
        let counters = &self.queue.counters;
        let again = [("answered", &counters.again), ("failed", &counters.again_failed)];
        let again = again.map(|(name, count)| (name, count.load(Relaxed)));
        let again = Note::new(Topic::AskedAgain, again.into_iter().filter(|(_, count)| *count > 0));
        let behind = self.queue.counters.behind.load(Relaxed);
        let cause = match self.connections {
            Connections::Independent(_) => "connections_busy",
            Connections::Faithful | Connections::Pooled(_) => "order_kept",
        };
        let behind = Note::new(Topic::Late, [(cause, behind)]);
        let correlated = Note::new(Topic::Correlated, self.queue.counters.correlated.non_zero());
        let no_room = self.queue.counters.no_room.load(Relaxed);
        let not_kept =
            Note::new(Topic::ResponsesNotKept, (no_room > 0).then_some(("no_room", no_room)));
        let notes = [log, breaker, retried, resent, again, behind, correlated, not_kept];
        self.reasons.notes().chain(notes.into_iter().flatten()).collect()
    }

    fn account(&self) -> Account {
        self.queue.counters.account()
    }
}

impl Drop for ReplaySink {
    /// Stops the engine's thread if the sink was not finished.
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.queue.abandon();
            let _ = engine.join();
            self.observer.iter().for_each(|observer| observer.ended());
        }
    }
}

#[cfg(test)]
mod tests;
