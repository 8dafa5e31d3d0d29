//! Requests that do not wait for one another: each is sent when it is due, over any free
//! connection, as the clients behind a proxy sent it.
//!
//! Waiting requests are kept in the order of their deadlines. A bounded number of workers, each
//! with its own connection, send those that are due. Another worker is started if a request is due
//! and all workers are busy.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Engine;
use super::delivery::deliver;
use super::job::Job;
use super::session::poll_ended;
use super::waiting::QueuedRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::schedule::timer::Sleeper;
use crate::sink::replay::transport::connections::Held;
use crate::sink::replay::transport::upstream::DeadlineTimer;

/// Sort key: when a request is due, then its position of arrival.
type DueOrder = (Option<Instant>, u64);

/// The waiting requests and the workers that send them.
pub(in crate::sink::replay) struct Independent {
    waiting: RefCell<BTreeMap<DueOrder, Job>>,
    /// Idle workers, the most recently used last. Connections beyond what the load needs stay idle
    /// and are closed.
    idle: RefCell<Vec<Rc<Worker>>>,
    workers: Cell<usize>,
    /// The largest number of workers.
    limit: usize,
    /// Wakes [`run`].
    waker: RefCell<Option<Waker>>,
    /// The deadline that was last given to the timer.
    timer_set_to: Cell<Option<Instant>>,
}

/// A task that sends requests.
#[derive(Default)]
struct Worker {
    waker: RefCell<Option<Waker>>,
    /// True while it is in the list of idle workers.
    listed: Cell<bool>,
}

impl Independent {
    /// Allows at most `limit` requests in flight.
    pub(in crate::sink::replay) fn new(limit: usize) -> Self {
        Self {
            waiting: RefCell::default(),
            idle: RefCell::default(),
            workers: Cell::new(0),
            limit,
            waker: RefCell::default(),
            timer_set_to: Cell::new(None),
        }
    }

    pub(in crate::sink::replay) fn push(&self, job: Job) {
        let order = (job.due, job.arrived);
        self.waiting.borrow_mut().insert(order, job);
        self.wake();
    }

    /// True while this request waits.
    pub(in crate::sink::replay) fn holds(&self, queued: QueuedRequest) -> bool {
        self.waiting.borrow().contains_key(&(queued.due, queued.arrived))
    }

    /// Removes a waiting request.
    pub(in crate::sink::replay) fn displace(&self, queued: QueuedRequest) -> Option<Job> {
        self.waiting.borrow_mut().remove(&(queued.due, queued.arrived))
    }

    /// Wakes all tasks, because the engine stops.
    pub(in crate::sink::replay) fn stop(&self) {
        self.wake();
        self.idle.borrow().iter().for_each(|worker| worker.wake());
    }

    /// Drops requests that are not due yet; their tickets count them as stopped.
    fn drop_not_due(&self) {
        let now = now();
        self.waiting.borrow_mut().retain(|(due, _), _| due.is_none_or(|due| due <= now));
    }

    /// The key of the first request; `None` if there is none.
    fn first(&self) -> Option<DueOrder> {
        self.waiting.borrow().first_key_value().map(|(order, _)| *order)
    }

    fn pop_due(&self) -> Option<Job> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.first_entry()?;
        let (due, _) = *first.key();
        due.is_none_or(|due| due <= now()).then(|| first.remove())
    }

    /// Wakes or starts a worker if a request is due; otherwise sets the timer to the first
    /// deadline.
    fn dispatch(self: &Rc<Self>, engine: &Rc<Engine>) {
        if engine.stopping() {
            self.drop_not_due();
        }
        let Some((due, _)) = self.first() else { return };
        if let Some(due) = due.filter(|due| *due > now()) {
            if self.timer_set_to.replace(Some(due)) != Some(due) {
                engine.timer.wake_at(due, self);
            }
            return;
        }
        let idle = self.idle.borrow_mut().pop();
        if let Some(worker) = idle {
            worker.listed.set(false);
            worker.wake();
        } else if self.workers.get() < self.limit {
            self.workers.set(self.workers.get().saturating_add(1));
            tokio::task::spawn_local(work(Rc::clone(self), Rc::clone(engine)));
        }
    }

    fn list_idle(&self, worker: &Rc<Worker>) {
        if !worker.listed.replace(true) {
            self.idle.borrow_mut().push(Rc::clone(worker));
        }
    }

    fn leave(&self, worker: &Rc<Worker>) {
        if worker.listed.get() {
            self.idle.borrow_mut().retain(|other| !Rc::ptr_eq(other, worker));
        }
        self.workers.set(self.workers.get().saturating_sub(1));
    }
}

impl Sleeper for Independent {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Worker {
    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Assigns workers to requests as they become due. Never ends.
pub(in crate::sink::replay) async fn run(independent: Rc<Independent>, engine: Rc<Engine>) {
    poll_fn(|cx: &mut Context<'_>| {
        independent.dispatch(&engine);
        *independent.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// Sends due requests one after the other, until the worker has been idle for the idle timeout.
async fn work(independent: Rc<Independent>, engine: Rc<Engine>) {
    let worker = Rc::new(Worker::default());
    let mut timer = DeadlineTimer::new();
    let mut held: Option<Held<'_>> = None;
    let mut busy_until = None;
    while let Some(job) = next(&independent, &worker, &engine, &mut held, &mut timer).await {
        engine.behind.note(job.due, busy_until, &engine);
        deliver(job, &engine, &mut held, &mut timer).await;
        busy_until = Some(now());
    }
    independent.leave(&worker);
}

/// The next request, once one is due; `None` after the idle timeout.
async fn next(
    independent: &Independent,
    worker: &Rc<Worker>,
    engine: &Engine,
    held: &mut Option<Held<'_>>,
    timer: &mut DeadlineTimer,
) -> Option<Job> {
    let idle_until = now() + engine.timeouts.idle;
    poll_fn(|cx| {
        poll_ended(held, engine, cx);
        if let Some(job) = independent.pop_due() {
            // Others may be due, too, for which no worker was woken.
            independent.wake();
            return Poll::Ready(Some(job));
        }
        if engine.stopping() || timer.poll(idle_until.into(), cx).is_ready() {
            return Poll::Ready(None);
        }
        *worker.waker.borrow_mut() = Some(cx.waker().clone());
        independent.list_idle(worker);
        Poll::Pending
    })
    .await
}
