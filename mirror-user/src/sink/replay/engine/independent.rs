//! Requests that do not wait for one another: each is sent when it is due, over any connection that is
//! free, as the clients behind a proxy had asked it.
//!
//! Holds what waits in the order in which it is due. A bounded number of workers, each with a connection
//! of its own, take what is due; one more is started when a request is due and all others are busy.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Engine;
use super::delivery::carry_out;
use super::queue::Job;
use super::session::poll_ended;
use super::waiting::Place;
use crate::sink::replay::clock::now;
use crate::sink::replay::schedule::timer::Sleeper;
use crate::sink::replay::transport::connections::Held;
use crate::sink::replay::transport::upstream::DeadlineTimer;

/// When a request is due, and when it came among those of the same time.
type Turn = (Option<Instant>, u64);

/// What waits, and who sends it.
pub(in crate::sink::replay) struct Independent {
    waiting: RefCell<BTreeMap<Turn, Job>>,
    /// Workers with nothing to do, the one that worked last at the end: connections that are more
    /// than the load needs become idle, and are closed.
    idle: RefCell<Vec<Rc<Worker>>>,
    workers: Cell<usize>,
    /// How many workers there may be.
    limit: usize,
    /// Wakes [`run`].
    waker: RefCell<Option<Waker>>,
    /// What the timer was asked for last.
    timed: Cell<Option<Instant>>,
}

/// One that sends.
#[derive(Default)]
struct Worker {
    waker: RefCell<Option<Waker>>,
    /// True while it stands among those with nothing to do.
    listed: Cell<bool>,
}

impl Independent {
    /// With at most `limit` requests on their way at once.
    pub(in crate::sink::replay) fn new(limit: usize) -> Self {
        Self {
            waiting: RefCell::default(),
            idle: RefCell::default(),
            workers: Cell::new(0),
            limit,
            waker: RefCell::default(),
            timed: Cell::new(None),
        }
    }

    pub(in crate::sink::replay) fn push(&self, job: Job) {
        let turn = (job.due, job.arrived);
        self.waiting.borrow_mut().insert(turn, job);
        self.wake();
    }

    /// True while this request waits here.
    pub(in crate::sink::replay) fn holds(&self, place: Place) -> bool {
        self.waiting.borrow().contains_key(&(place.due, place.arrived))
    }

    /// Takes out a request that waits.
    pub(in crate::sink::replay) fn displace(&self, place: Place) -> Option<Job> {
        self.waiting.borrow_mut().remove(&(place.due, place.arrived))
    }

    /// The engine stops.
    pub(in crate::sink::replay) fn stop(&self) {
        self.wake();
        self.idle.borrow().iter().for_each(|worker| worker.wake());
    }

    /// Their tickets count them as stopped.
    fn drop_what_is_not_due(&self) {
        let now = now();
        self.waiting.borrow_mut().retain(|(due, _), _| due.is_none_or(|due| due <= now));
    }

    /// When the first request is due; `None` when there is none.
    fn first(&self) -> Option<Turn> {
        self.waiting.borrow().first_key_value().map(|(turn, _)| *turn)
    }

    fn pop_due(&self) -> Option<Job> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.first_entry()?;
        let (due, _) = *first.key();
        due.is_none_or(|due| due <= now()).then(|| first.remove())
    }

    /// Finds a worker for a request that is due, or asks to be woken when the first one is.
    fn stir(self: &Rc<Self>, engine: &Rc<Engine>) {
        if engine.stopping() {
            self.drop_what_is_not_due();
        }
        let Some((due, _)) = self.first() else { return };
        if let Some(due) = due.filter(|due| *due > now()) {
            if self.timed.replace(Some(due)) != Some(due) {
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

/// Finds workers for what comes and becomes due, for ever.
pub(in crate::sink::replay) async fn run(independent: Rc<Independent>, engine: Rc<Engine>) {
    poll_fn(|cx: &mut Context<'_>| {
        independent.stir(&engine);
        *independent.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

/// Sends what is due, one after the other, until nothing came for as long as a connection is kept.
async fn work(independent: Rc<Independent>, engine: Rc<Engine>) {
    let worker = Rc::new(Worker::default());
    let mut timer = DeadlineTimer::new();
    let mut held: Option<Held<'_>> = None;
    let mut busy_until = None;
    while let Some(job) = next(&independent, &worker, &engine, &mut held, &mut timer).await {
        engine.behind.note(job.due, busy_until, &engine);
        carry_out(job, &engine, &mut held, &mut timer).await;
        busy_until = Some(now());
    }
    independent.leave(&worker);
}

/// The next request, once one is due; `None` when none came for too long.
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
            // Others may be due, too, for which nobody was woken.
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
