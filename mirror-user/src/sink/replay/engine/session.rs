//! Sends the requests of one captured connection, one after the other, over one upstream
//! connection. As the client did, it sends the next request when that is due and the previous
//! response has been read.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::Engine;
use super::delivery::deliver;
use super::job::Job;
use crate::sink::replay::clock::now;
use crate::sink::replay::key::SessionKey;
use crate::sink::replay::schedule::timer::Sleeper;
use crate::sink::replay::transport::connections::{Connections, Held};
use crate::sink::replay::transport::upstream::DeadlineTimer;

/// How long before a request is due its session connects, so that the handshake does not make it
/// late. Three round trips of 30 ms, as for TLS between two regions.
pub(in crate::sink::replay) const CONNECT_AHEAD: Duration = Duration::from_millis(100);

/// State shared by the engine and a session's task.
pub(in crate::sink::replay) struct Session {
    pub(in crate::sink::replay) key: SessionKey,
    queue: RefCell<VecDeque<Job>>,
    waker: RefCell<Option<Waker>>,
    /// The deadline that was last given to the timer.
    timer_set_to: Cell<Option<Instant>>,
    /// True while it holds a connection and waits for a request.
    idle: Cell<bool>,
    /// True while it is in the pool's list of sessions that may be idle.
    pub(in crate::sink::replay) listed: Cell<bool>,
    evicted: Cell<bool>,
    /// True once a connection was attempted before the first request was due.
    connected_ahead: Cell<bool>,
}

impl Session {
    pub(in crate::sink::replay) fn new(key: SessionKey) -> Self {
        Self {
            key,
            queue: RefCell::default(),
            waker: RefCell::default(),
            timer_set_to: Cell::new(None),
            idle: Cell::new(false),
            listed: Cell::new(false),
            evicted: Cell::new(false),
            connected_ahead: Cell::new(false),
        }
    }

    pub(in crate::sink::replay) fn queued(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(in crate::sink::replay) fn push(&self, job: Job) {
        let mut queue = self.queue.borrow_mut();
        queue.push_back(job);
        // The task waits only for the first request; a second one need not wake it.
        if queue.len() == 1 {
            drop(queue);
            self.wake();
        }
    }

    /// True while the request with this position of arrival waits here.
    pub(in crate::sink::replay) fn holds(&self, arrived: u64) -> bool {
        self.queue.borrow().binary_search_by_key(&arrived, |job| job.arrived).is_ok()
    }

    /// Removes the request with this position of arrival; without `arrived`, the oldest.
    pub(in crate::sink::replay) fn displace(&self, arrived: Option<u64>) -> Option<Job> {
        let mut queue = self.queue.borrow_mut();
        let position = match arrived {
            Some(arrived) => queue.binary_search_by_key(&arrived, |job| job.arrived).ok()?,
            None => 0,
        };
        queue.remove(position)
    }

    /// Makes an idle session close its connection; false if it is not idle.
    pub(in crate::sink::replay) fn evict(&self) -> bool {
        let idle = self.idle.get();
        if idle {
            self.evicted.set(true);
            self.wake();
        }
        idle
    }

    /// Takes the first request if it is due, otherwise returns when it is due; `None` if there is
    /// none.
    fn pop_due(&self) -> Option<Result<Job, Instant>> {
        let mut queue = self.queue.borrow_mut();
        match queue.front()?.due {
            Some(due) if due > now() => Some(Err(due)),
            _ => queue.pop_front().map(Ok),
        }
    }

    /// Drops requests that are not due yet; their tickets count them as stopped.
    fn drop_not_due(&self) {
        let now = now();
        self.queue.borrow_mut().retain(|job| job.due.is_none_or(|due| due <= now));
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl Sleeper for Session {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Runs a session until no request waits and its connection is idle for too long, needed elsewhere,
/// or closed. A later request starts another session.
pub(in crate::sink::replay) async fn run(session: Rc<Session>, engine: Rc<Engine>) {
    let mut timer = DeadlineTimer::new();
    let mut held: Option<Held<'_>> = None;
    let mut busy_until = None;
    loop {
        match next(&session, &engine, &mut held, &mut timer).await {
            Step::Connect => {
                // If this fails, the request tries again when it is due, and reports why.
                session.connected_ahead.set(true);
                held = engine.connection().await.ok();
            }
            Step::Send(job) => {
                session.connected_ahead.set(false);
                engine.behind.note(job.due, busy_until, &engine);
                deliver(job, &engine, &mut held, &mut timer).await;
                busy_until = Some(now());
            }
            Step::End => break,
        }
    }
    engine.forget(&session);
}

/// The next step of a session.
enum Step {
    /// Connect for a request that will be due soon.
    Connect,
    /// Send a request that is due.
    Send(Job),
    /// End the session.
    End,
}

/// Waits for the next step.
async fn next(
    session: &Rc<Session>,
    engine: &Engine,
    held: &mut Option<Held<'_>>,
    timer: &mut DeadlineTimer,
) -> Step {
    if let Some(Ok(job)) = session.pop_due() {
        // Check for a close that the runtime knows of: a target may respond and close at the same
        // time.
        poll_ended(held, engine, &mut Context::from_waker(Waker::noop()));
        return Step::Send(job);
    }
    if engine.pool.is_wanted() {
        *held = None;
    }
    if held.is_some() {
        engine.pool.list_idle(session);
        session.idle.set(true);
    }
    let idle_until = now() + engine.timeouts.idle;
    let step = poll_fn(|cx| {
        if session.evicted.take() {
            *held = None;
        }
        poll_ended(held, engine, cx);
        if engine.stopping() {
            session.drop_not_due();
        }
        match session.pop_due() {
            Some(Ok(job)) => return Poll::Ready(Step::Send(job)),
            Some(Err(due)) => {
                let connects = held.is_none()
                    && engine.pool.policy == Connections::Faithful
                    && !session.connected_ahead.get()
                    && engine.pool.has_room()
                    && !engine.is_open();
                let until = due.checked_sub(CONNECT_AHEAD).filter(|_| connects).unwrap_or(due);
                if connects && until <= now() {
                    return Poll::Ready(Step::Connect);
                }
                if session.timer_set_to.replace(Some(until)) != Some(until) {
                    engine.timer.wake_at(until, session);
                }
            }
            None if held.is_none() || timer.poll(idle_until.into(), cx).is_ready() => {
                return Poll::Ready(Step::End);
            }
            None => {}
        }
        session.wait(cx);
        Poll::Pending
    })
    .await;
    session.idle.set(false);
    if held.as_ref().is_some_and(|held| held.connection.upstream.has_ended()) {
        *held = None;
    }
    step
}

/// Drops the held connection if the target has closed it.
pub(in crate::sink::replay) fn poll_ended(
    held: &mut Option<Held<'_>>,
    engine: &Engine,
    cx: &mut Context<'_>,
) {
    let over = held
        .as_mut()
        .is_some_and(|held| held.connection.upstream.poll_ended(&engine.scratch, cx).is_ready());
    if over {
        *held = None;
    }
}
