//! The replay's own thread: takes what the pipeline hands over, and gives each captured connection
//! a task of its own. All tasks run on this one thread, so that nothing between them is locked.

pub(in crate::sink::replay) mod behind;
mod delivery;
mod independent;
pub(in crate::sink::replay) mod queue;
pub(in crate::sink::replay) mod session;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hashbrown::HashMap;
use tokio::runtime::{Builder, LocalOptions};

use self::behind::Behind;
use self::independent::Independent;
use self::queue::{Answer, Item, Job, Queue};
use self::session::Session;
use self::waiting::{Place, Waiting};
use crate::logging::emit;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::Correlate;
use crate::sink::replay::key::SessionKey;
use crate::sink::replay::load::breaker::{Breaker, Change, Pass};
use crate::sink::replay::load::recent::Seen;
use crate::sink::replay::outcome::progress::NotDelivered;
use crate::sink::replay::schedule::timer::{Sleeper, Timer};
use crate::sink::replay::transport::connections::{Connections, Pool};
use crate::sink::replay::transport::dial::Dialer;
use crate::sink::replay::transport::target::Target;
use crate::sink::replay::transport::upstream::{SCRATCH_BYTES, Scratch};
use crate::sink::replay::{Pace, ReplayOptions, Timeouts, Victim, WhenFull};

/// How often the engine looks whether it was stopped, when nothing else wakes it.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// How many requests of one captured connection may wait when the source cannot: a client that
/// pipelines more, or a target that is slower than production by so many answers, loses the rest.
const MAX_SESSION_QUEUE: usize = 1024;

/// A wait for the next request that is said.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// What the sessions share.
pub(in crate::sink::replay) struct Engine {
    pub(in crate::sink::replay) queue: Arc<Queue>,
    pub(in crate::sink::replay) dialer: Dialer,
    pub(in crate::sink::replay) breaker: Option<RefCell<Breaker>>,
    pub(in crate::sink::replay) timeouts: Timeouts,
    pub(in crate::sink::replay) pool: Pool,
    pub(in crate::sink::replay) timer: Timer,
    pub(in crate::sink::replay) scratch: Scratch,
    /// What replaces values that differ, where that is asked for.
    pub(in crate::sink::replay) correlate: Option<Correlate>,
    /// How often a request is tried again of which not a byte was sent.
    pub(in crate::sink::replay) retry_unsent: u32,
    /// A request that met a closing connection is sent once more, where a client may do that.
    pub(in crate::sink::replay) resend: bool,
    /// Where requests wait that do not wait for one another; the others wait in sessions.
    pub(in crate::sink::replay) independent: Option<Rc<Independent>>,
    /// Says when what is kept makes requests late.
    pub(in crate::sink::replay) behind: Behind,
    /// The last long pause that was said, by its end.
    said_pause: Cell<Option<Instant>>,
    stopping: Cell<bool>,
    sessions: RefCell<HashMap<SessionKey, Rc<Session>>>,
    /// Where requests wait, for when the oldest gives way.
    waiting: RefCell<Waiting>,
}

/// Runs the engine until the queue is closed and empty, or the time to drain it is over.
pub(in crate::sink::replay) fn run(
    queue: &Arc<Queue>,
    target: Target,
    options: &ReplayOptions,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .context("replay: no event loop could be started")?;
    let timer = {
        let _entered = runtime.enter();
        Timer::new().context("replay: the kernel gave no timer")?
    };
    let engine = Rc::new(Engine {
        queue: Arc::clone(queue),
        dialer: Dialer::new(target),
        breaker: options.breaker.map(|options| RefCell::new(Breaker::new(options))),
        timeouts: options.timeouts.clone(),
        pool: Pool::new(options.connections, options.limits.connections),
        timer,
        scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
        correlate: options.correlate.then(|| Correlate::new(options.copies.count)),
        retry_unsent: options.retry_unsent,
        resend: options.resend,
        independent: match options.connections {
            Connections::Independent(n) => {
                Some(Rc::new(Independent::new(n.min(options.limits.connections))))
            }
            Connections::Faithful | Connections::Pooled(_) => None,
        },
        behind: Behind::default(),
        said_pause: Cell::new(None),
        stopping: Cell::new(false),
        sessions: RefCell::default(),
        waiting: RefCell::default(),
    });
    runtime.block_on(engine.clone().dispatch(options));
    // The tasks go first: their tickets count what was still waiting as stopped.
    engine.sessions.borrow_mut().clear();
    drop(runtime);
    Ok(())
}

impl Engine {
    async fn dispatch(self: Rc<Self>, options: &ReplayOptions) {
        tokio::task::spawn_local({
            let engine = Rc::clone(&self);
            async move { engine.timer.run().await }
        });
        if let Some(independent) = &self.independent {
            tokio::task::spawn_local(independent::run(Rc::clone(independent), Rc::clone(&self)));
        }
        let mut batch = Vec::new();
        let mut give_up = None;
        loop {
            let _ = tokio::time::timeout(STOP_CHECK, self.queue.wake.notified()).await;
            let closed = self.queue.take(&mut batch);
            let now = now();
            if self.queue.stopped() && !self.stopping.replace(true) {
                self.sessions.borrow().values().for_each(|session| session.wake());
                self.independent.iter().for_each(|independent| independent.stop());
            }
            for item in batch.drain(..) {
                let mut job = match item {
                    Item::Job(job) => job,
                    Item::Answer(answer) => {
                        self.learn(&answer);
                        continue;
                    }
                };
                // What is live is due when it comes: its time shows how long it waits for its turn.
                if options.pace == Pace::Live {
                    job.due.get_or_insert(now);
                }
                self.route(job, options.when_full);
            }
            self.tell_pause(now, options.pace);
            if closed && self.queue.outstanding() == 0 {
                return;
            }
            // A file is waited for until it is stopped; what is live is over when it ends.
            if closed && (self.stopping() || matches!(options.when_full, WhenFull::Drop(_))) {
                let give_up = *give_up.get_or_insert(now + options.timeouts.drain);
                if now >= give_up {
                    return;
                }
            }
        }
    }

    /// Says once of each long pause that nothing is due.
    fn tell_pause(&self, now: Instant, pace: Pace) {
        let counters = &self.queue.counters;
        let idle = counters.in_flight.load(Relaxed) == 0 && !self.stopping();
        let far = |due: &Instant| due.saturating_duration_since(now) > LONG_PAUSE;
        let next = self.timer.next().filter(|due| idle && far(due));
        counters.show_next(next);
        let is_said = |due: &Instant| self.said_pause.get().is_some_and(|said| *due <= said);
        let Some(due) = next.filter(|due| !is_said(due)) else { return };
        self.said_pause.set(Some(due));
        let (target, seconds) = (self.authority(), due.saturating_duration_since(now).as_secs());
        let wait = humantime::format_duration(Duration::from_secs(seconds));
        let hint = match pace {
            Pace::Recorded { .. } => ", as it was captured; --max-gap 5s cuts such pauses",
            Pace::Live | Pace::Rate(_) | Pace::Max => "",
        };
        emit!(ReplayPauses, target, seconds, "{target}: the next request is due in {wait}{hint}");
    }

    fn route(self: &Rc<Self>, job: Job, when_full: WhenFull) {
        let place = Place { session: job.key.session, due: job.due, arrived: job.arrived };
        let priority = job.priority;
        match &self.independent {
            Some(independent) => independent.push(job),
            None => self.route_in_order(job, when_full),
        }
        if when_full == WhenFull::Drop(Victim::Oldest) {
            let waits = |place| self.waits(place);
            let outstanding = self.queue.outstanding();
            self.waiting.borrow_mut().push(priority, place, outstanding, waits);
            self.make_room();
        }
    }

    fn route_in_order(self: &Rc<Self>, job: Job, when_full: WhenFull) {
        let session = self.session(job.key.session);
        let is_full = session.queued() >= MAX_SESSION_QUEUE;
        match when_full {
            WhenFull::Drop(Victim::Newest) if is_full => {
                return self.refuse(job, NotDelivered::QueueFull);
            }
            WhenFull::Drop(Victim::Oldest) if is_full => {
                if let Some(oldest) = session.displace(None) {
                    self.refuse(oldest, NotDelivered::Displaced);
                }
            }
            WhenFull::Drop(_) | WhenFull::Wait => {}
        }
        session.push(job);
    }

    fn session(self: &Rc<Self>, key: SessionKey) -> Rc<Session> {
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.entry(key).or_insert_with_key(|key| {
            let session = Rc::new(Session::new(*key));
            tokio::task::spawn_local(session::run(Rc::clone(&session), Rc::clone(self)));
            session
        });
        Rc::clone(session)
    }

    /// Lets the oldest ones that wait give way until the rest is within the limits.
    fn make_room(&self) {
        while self.queue.overflows() {
            let oldest = self.waiting.borrow_mut().pop(|place| self.waits(place));
            let Some(place) = oldest else { return };
            if let Some(job) = self.displace(place) {
                self.refuse(job, NotDelivered::Displaced);
            }
        }
    }

    /// Takes out a request that waits.
    fn displace(&self, place: Place) -> Option<Job> {
        if let Some(independent) = &self.independent {
            return independent.displace(place);
        }
        let session = self.sessions.borrow().get(&place.session).map(Rc::clone);
        session?.displace(Some(place.arrived))
    }

    fn waits(&self, place: Place) -> bool {
        match &self.independent {
            Some(independent) => independent.holds(place),
            None => {
                let sessions = self.sessions.borrow();
                sessions.get(&place.session).is_some_and(|session| session.holds(place.arrived))
            }
        }
    }

    fn refuse(&self, job: Job, why: NotDelivered) {
        self.answered(&job, None);
        job.ticket.settle(Err(why));
    }

    fn learn(&self, answer: &Answer) {
        if let Some(correlate) = &self.correlate {
            let counts = &self.queue.counters.correlated;
            correlate.recorded(&answer.recorded, answer.arrived, counts);
        }
    }

    /// Tells what the target answered, byte for byte, where that is asked for; `None`: nothing.
    pub(in crate::sink::replay) fn answered(&self, job: &Job, answer: Option<Vec<u8>>) {
        if let Some(correlate) = &self.correlate {
            correlate.answered(job.key, &job.request, answer, &self.queue.counters.correlated);
        }
    }

    pub(in crate::sink::replay) fn forget(&self, session: &Session) {
        self.sessions.borrow_mut().remove(&session.key);
    }

    pub(in crate::sink::replay) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Whether a request may go out now.
    pub(in crate::sink::replay) fn pass(&self) -> Pass {
        self.breaker.as_ref().map_or(Pass::Yes, |breaker| breaker.borrow_mut().pass(now()))
    }

    /// True while requests are refused because the target failed too often.
    pub(in crate::sink::replay) fn is_open(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.borrow().is_open())
    }

    /// Tells the breaker how a request ended, and the operator what that changed.
    pub(in crate::sink::replay) fn record(
        &self,
        pass: Pass,
        answered: Option<Duration>,
        now: std::time::Instant,
    ) {
        let Some(breaker) = &self.breaker else { return };
        let change = breaker.borrow_mut().record(pass, answered, now);
        match change {
            Some(Change::Opened(Seen { failed, all })) => {
                self.queue.counters.breaker_opened.fetch_add(1, Relaxed);
                let target = self.authority();
                emit!(
                    BreakerOpened,
                    target,
                    failed,
                    of = all,
                    "{target}: {failed} of the last {all} requests failed; nothing is sent until it answers again"
                );
            }
            Some(Change::Closed) => {
                let target = self.authority();
                emit!(BreakerClosed, target, "{target}: answers again; everything is sent");
            }
            Some(Change::StillOpen) | None => {}
        }
    }

    /// The request that was to ask whether the target is well was given up.
    pub(in crate::sink::replay) fn give_up_probe(&self, now: std::time::Instant) {
        if let Some(breaker) = &self.breaker {
            breaker.borrow_mut().give_up(now);
        }
    }

    /// What the target is called in the log.
    pub(in crate::sink::replay) fn authority(&self) -> &str {
        self.dialer.authority()
    }
}
