//! The replay's own thread. It takes requests from the pipeline and runs one task for each captured
//! connection. All tasks run on this one thread, so they share state without locks.

pub(in crate::sink::replay) mod behind;
mod delivery;
mod independent;
pub(in crate::sink::replay) mod job;
pub(in crate::sink::replay) mod queue;
mod routing;
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

use self::behind::LateWarning;
use self::independent::Independent;
use self::job::{Item, Job, ProductionResponse};
use self::queue::Queue;
use self::session::Session;
use self::waiting::WaitingByAge;
use crate::logging::emit;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::Correlate;
use crate::sink::replay::key::SessionKey;
use crate::sink::replay::load::breaker::{Admission, Breaker, Transition};
use crate::sink::replay::load::recent::FailureCount;
use crate::sink::replay::outcome::not_delivered::NotDelivered;
use crate::sink::replay::outcome::observer::ShadowResponse;
use crate::sink::replay::schedule::timer::{Sleeper, Timer};
use crate::sink::replay::transport::connections::{Connections, Pool};
use crate::sink::replay::transport::dial::Dialer;
use crate::sink::replay::transport::room::Room;
use crate::sink::replay::transport::target::Target;
use crate::sink::replay::transport::upstream::{SCRATCH_BYTES, Scratch};
use crate::sink::replay::{Pace, ReplayOptions, Timeouts, WhenFull};

/// How often the engine checks whether it was stopped, if nothing else wakes it.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// A pause before the next request that is long enough to be reported.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// State that the sessions share.
pub(in crate::sink::replay) struct Engine {
    pub(in crate::sink::replay) queue: Arc<Queue>,
    pub(in crate::sink::replay) dialer: Dialer,
    pub(in crate::sink::replay) breaker: Option<RefCell<Breaker>>,
    pub(in crate::sink::replay) timeouts: Timeouts,
    pub(in crate::sink::replay) pool: Pool,
    pub(in crate::sink::replay) timer: Timer,
    pub(in crate::sink::replay) scratch: Scratch,
    /// Memory for the target's responses; `None` if these are not kept.
    pub(in crate::sink::replay) room: Option<Rc<Room>>,
    /// Replaces production's values with the target's, if enabled.
    pub(in crate::sink::replay) correlate: Option<Correlate>,
    /// How often a request is retried if no byte of it was sent.
    pub(in crate::sink::replay) retry_unsent: u32,
    /// Whether a request that was sent on a closing connection is sent again, if its method allows
    /// it.
    pub(in crate::sink::replay) resend: bool,
    /// The queue of requests that do not wait for one another. Without it requests wait in
    /// sessions.
    pub(in crate::sink::replay) independent: Option<Rc<Independent>>,
    /// Warns if the connection policy makes requests late.
    pub(in crate::sink::replay) behind: LateWarning,
    /// The end of the last long pause that was reported.
    reported_pause: Cell<Option<Instant>>,
    stopping: Cell<bool>,
    sessions: RefCell<HashMap<SessionKey, Rc<Session>>>,
    /// Waiting requests by age, for `Victim::Oldest`.
    waiting: RefCell<WaitingByAge>,
}

/// Runs the engine until the queue is closed and empty, or the drain deadline has passed.
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
        room: options.keeps_responses().then(|| Rc::new(Room::new(Arc::clone(queue)))),
        correlate: options.correlate.then(|| Correlate::new(options.copies.count)),
        retry_unsent: options.retry_unsent,
        resend: options.resend,
        independent: match options.connections {
            Connections::Independent(n) => {
                Some(Rc::new(Independent::new(n.min(options.limits.connections))))
            }
            Connections::Faithful | Connections::Pooled(_) => None,
        },
        behind: LateWarning::default(),
        reported_pause: Cell::new(None),
        stopping: Cell::new(false),
        sessions: RefCell::default(),
        waiting: RefCell::default(),
    });
    runtime.block_on(engine.clone().dispatch(options));
    // Drop the tasks first: their tickets count the requests that still wait as stopped.
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
                    Item::Response(response) => {
                        self.record_production_response(&response);
                        continue;
                    }
                };
                // A live request is due on arrival. This measures how long it waits for the
                // requests before it.
                if options.pace == Pace::Live {
                    job.due.get_or_insert(now);
                }
                self.route(job, options.when_full);
            }
            self.report_pause(now, options.pace);
            if closed && self.queue.outstanding() == 0 {
                return;
            }
            // The requests of a file are sent until the run is stopped. A live replay ends soon
            // after its source.
            if closed && (self.stopping() || matches!(options.when_full, WhenFull::Drop(_))) {
                let give_up = *give_up.get_or_insert(now + options.timeouts.drain);
                if now >= give_up {
                    return;
                }
            }
        }
    }

    /// Reports each long pause in which nothing is due, once.
    fn report_pause(&self, now: Instant, pace: Pace) {
        let counters = &self.queue.counters;
        let idle = counters.in_flight.load(Relaxed) == 0 && !self.stopping();
        let far = |due: &Instant| due.saturating_duration_since(now) > LONG_PAUSE;
        let next = self.timer.next().filter(|due| idle && far(due));
        counters.set_next_due(next);
        let is_reported =
            |due: &Instant| self.reported_pause.get().is_some_and(|reported| *due <= reported);
        let Some(due) = next.filter(|due| !is_reported(due)) else { return };
        self.reported_pause.set(Some(due));
        let (target, seconds) = (self.authority(), due.saturating_duration_since(now).as_secs());
        let wait = humantime::format_duration(Duration::from_secs(seconds));
        let hint = match pace {
            Pace::Recorded { .. } => ", as it was captured; --max-gap 5s cuts such pauses",
            Pace::Live | Pace::Rate(_) | Pace::Max => "",
        };
        emit!(ReplayPauses, target, seconds, "{target}: the next request is due in {wait}{hint}");
    }

    fn record_production_response(&self, response: &ProductionResponse) {
        if let Some(correlate) = &self.correlate {
            let counts = &self.queue.counters.correlated;
            correlate.record_production(&response.recorded, response.arrived, counts);
        }
    }

    /// Reports what became of a request: to correlation first, so that a request that waits for a
    /// value of this response can be sent.
    pub(in crate::sink::replay) fn settle(
        &self,
        job: Job,
        outcome: Result<ShadowResponse, NotDelivered>,
    ) {
        if let Some(correlate) = &self.correlate {
            let response = outcome.as_ref().ok().and_then(|response| response.message.as_deref());
            let counts = &self.queue.counters.correlated;
            correlate.record_target(job.key, &job.request, response, counts);
        }
        job.ticket.settle(outcome);
    }

    pub(in crate::sink::replay) fn forget(&self, session: &Session) {
        self.sessions.borrow_mut().remove(&session.key);
    }

    pub(in crate::sink::replay) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Asks the circuit breaker whether a request may be sent now.
    pub(in crate::sink::replay) fn admit(&self) -> Admission {
        let Some(breaker) = &self.breaker else { return Admission::Allowed };
        let admission = breaker.borrow_mut().admit(now());
        self.show_breaker();
        admission
    }

    /// True while the circuit breaker is open.
    pub(in crate::sink::replay) fn is_open(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.borrow().is_open())
    }

    /// Reports a request's outcome to the circuit breaker, and a change of its state to the
    /// operator.
    pub(in crate::sink::replay) fn record(
        &self,
        admission: Admission,
        response_time: Option<Duration>,
        now: std::time::Instant,
    ) {
        let Some(breaker) = &self.breaker else { return };
        let transition = breaker.borrow_mut().record(admission, response_time, now);
        self.show_breaker();
        match transition {
            Some(Transition::Opened(FailureCount { failed, all })) => {
                self.queue.counters.breaker_opened.fetch_add(1, Relaxed);
                let target = self.authority();
                emit!(
                    BreakerOpened,
                    target,
                    failed,
                    of = all,
                    "{target}: {failed} of the last {all} requests failed; nothing is sent until it responds again"
                );
            }
            Some(Transition::Closed) => {
                let target = self.authority();
                emit!(BreakerClosed, target, "{target}: responds again; sending resumes");
            }
            Some(Transition::StillOpen) | None => {}
        }
    }

    /// The probe request was given up before it had an outcome.
    pub(in crate::sink::replay) fn abandon_probe(&self, now: std::time::Instant) {
        if let Some(breaker) = &self.breaker {
            breaker.borrow_mut().abandon_probe(now);
        }
        self.show_breaker();
    }

    /// Shows the state of the circuit breaker to other threads.
    fn show_breaker(&self) {
        if let Some(breaker) = &self.breaker {
            self.queue.counters.set_breaker(breaker.borrow().state());
        }
    }

    /// The target's name in the log.
    pub(in crate::sink::replay) fn authority(&self) -> &str {
        self.dialer.authority()
    }
}
