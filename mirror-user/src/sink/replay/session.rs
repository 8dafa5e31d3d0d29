//! The requests of one captured connection, one after the other over one upstream connection: the
//! next is sent when it is due and the answer to the one before was read, as the client did.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::engine::{Engine, now};
use super::gate::Pass;
use super::progress::{Counters, NotDelivered};
use super::queue::Job;
use super::upstream::{Alarm, Upstream};

/// A request and when it is due; `None`: at once.
type Due = (Job, Option<Instant>);

/// What the engine and a session's task share.
pub(super) struct Session {
    pub(super) connection: u64,
    queue: RefCell<VecDeque<Due>>,
    waker: RefCell<Option<Waker>>,
    /// True while it holds a connection and waits for a request.
    idle: Cell<bool>,
    /// True while it stands in the engine's list of sessions that may be idle.
    pub(super) listed: Cell<bool>,
    evicted: Cell<bool>,
}

impl Session {
    pub(super) fn new(connection: u64) -> Self {
        Self {
            connection,
            queue: RefCell::default(),
            waker: RefCell::default(),
            idle: Cell::new(false),
            listed: Cell::new(false),
            evicted: Cell::new(false),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(super) fn push(&self, job: Job, due: Option<Instant>) {
        self.queue.borrow_mut().push_back((job, due));
        self.wake();
    }

    pub(super) fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Makes an idle session hang up; false when it is not idle.
    pub(super) fn evict(&self) -> bool {
        let idle = self.idle.get();
        if idle {
            self.evicted.set(true);
            self.wake();
        }
        idle
    }

    /// When the first request is due, if there is one.
    fn next_due(&self) -> Option<Option<Instant>> {
        self.queue.borrow().front().map(|(_, due)| *due)
    }

    /// The first request, if it is due at `now` or needs no time.
    fn pop_due(&self, now: Option<Instant>) -> Option<Due> {
        let mut queue = self.queue.borrow_mut();
        let (_, due) = queue.front()?;
        if due.is_none_or(|due| now.is_some_and(|now| due <= now)) {
            queue.pop_front()
        } else {
            None
        }
    }

    /// Their tickets count them as stopped.
    fn drop_what_is_not_due(&self) {
        let now = Instant::from_std(now());
        self.queue.borrow_mut().retain(|(_, due)| due.is_none_or(|due| due <= now));
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

/// A connection and the right to have one.
struct Open<'a> {
    upstream: Upstream,
    engine: &'a Engine,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.engine.queue.counters.connections.fetch_sub(1, Relaxed);
    }
}

/// Counts a request as in flight, however its exchange ends.
struct InFlight<'a>(&'a Counters);

impl<'a> InFlight<'a> {
    fn begin(counters: &'a Counters) -> Self {
        counters.in_flight.fetch_add(1, Relaxed);
        Self(counters)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Carries out a session until its connection is idle for too long, or is needed elsewhere, or is
/// lost while nothing waits. A request that comes later begins another session.
pub(super) async fn run(session: Rc<Session>, engine: Rc<Engine>) {
    let mut alarm = Alarm::new();
    let mut open: Option<Open<'_>> = None;
    while let Some((job, due)) = next(&session, &engine, &mut open, &mut alarm).await {
        let outcome = carry_out(&job, due, &engine, &mut open, &mut alarm).await;
        job.ticket.settle(outcome);
    }
    engine.forget(&session);
}

/// The next request, once it is due; `None` when the session is over.
async fn next(
    session: &Rc<Session>,
    engine: &Engine,
    open: &mut Option<Open<'_>>,
    alarm: &mut Alarm,
) -> Option<Due> {
    if let Some(job) = session.pop_due(None) {
        // What the runtime knows already: a target that answers and hangs up does both at once.
        poll_over(open, engine, &mut Context::from_waker(Waker::noop()));
        return Some(job);
    }
    if engine.connection_wanted() {
        *open = None;
    }
    if open.is_some() {
        engine.list_idle(session);
        session.idle.set(true);
    }
    let idle_until = Instant::from_std(now()) + engine.timeouts.idle;
    let job = poll_fn(|cx| {
        if session.evicted.take() {
            *open = None;
        }
        poll_over(open, engine, cx);
        if engine.stopping() {
            session.drop_what_is_not_due();
        }
        let wait_until = match session.next_due() {
            Some(due) => due,
            None if open.is_none() => return Poll::Ready(None),
            None => Some(idle_until),
        };
        if wait_until.is_none_or(|deadline| alarm.poll(deadline, cx).is_ready()) {
            return Poll::Ready(session.pop_due(wait_until));
        }
        session.wait(cx);
        Poll::Pending
    })
    .await;
    session.idle.set(false);
    if open.as_ref().is_some_and(|open| open.upstream.is_over()) {
        *open = None;
    }
    job
}

/// Lets go of a connection that the target has closed.
fn poll_over(open: &mut Option<Open<'_>>, engine: &Engine, cx: &mut Context<'_>) {
    let over =
        open.as_mut().is_some_and(|open| open.upstream.poll_over(&engine.scratch, cx).is_ready());
    if over {
        *open = None;
    }
}

async fn carry_out<'a>(
    job: &Job,
    due: Option<Instant>,
    engine: &'a Engine,
    open: &mut Option<Open<'a>>,
    alarm: &mut Alarm,
) -> Result<u16, NotDelivered> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(connect(engine).await?),
    };
    let counters = &engine.queue.counters;
    let begun = Instant::from_std(now());
    if let Some(due) = due {
        counters.record_late(begun.saturating_duration_since(due));
    }
    counters.sent.fetch_add(1, Relaxed);
    let _in_flight = InFlight::begin(counters);
    let outcome = connection
        .upstream
        .exchange(&job.request, &engine.timeouts, &engine.scratch, alarm, begun)
        .await;
    if !outcome.is_ok_and(|answered| answered.reusable) || job.request.is_last {
        *open = None;
    }
    outcome.map(|answered| answered.status)
}

async fn connect(engine: &Engine) -> Result<Open<'_>, NotDelivered> {
    let permit = engine.permit().await;
    if let Pass::Failed(why) = engine.gate.pass().await {
        return Err(why);
    }
    let counters = &engine.queue.counters;
    let stream = engine.target.connect(engine.turn(), engine.timeouts.connect, counters).await;
    match stream {
        Ok(stream) => {
            engine.gate.open();
            counters.connections.fetch_add(1, Relaxed);
            counters.connected.fetch_add(1, Relaxed);
            Ok(Open { upstream: Upstream::new(stream), engine, _permit: permit })
        }
        Err(why) => {
            engine.gate.close(Instant::from_std(now()), why);
            Err(why)
        }
    }
}
