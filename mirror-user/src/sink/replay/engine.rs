//! The replay's own thread: takes what the pipeline hands over, and gives each captured connection
//! a task of its own. All tasks run on this one thread, so that nothing between them is locked.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hashbrown::HashMap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::gate::Gate;
use super::pace::Schedule;
use super::progress::NotDelivered;
use super::queue::{Job, Queue};
use super::session::{self, Session};
use super::target::Target;
use super::upstream::{SCRATCH_BYTES, Scratch};
use super::{ReplayOptions, Timeouts, WhenFull};

/// How often the engine looks whether it was stopped, when nothing else wakes it.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// How many requests of one captured connection may wait when the source cannot: a client that
/// pipelines more, or a target that is slower than production by so many answers, loses the rest.
const MAX_SESSION_QUEUE: usize = 1024;

/// What the sessions share.
pub(super) struct Engine {
    pub(super) queue: Arc<Queue>,
    pub(super) target: Target,
    pub(super) timeouts: Timeouts,
    pub(super) gate: Gate,
    pub(super) scratch: Scratch,
    connections: Semaphore,
    /// How many sessions wait for a connection to be given up.
    waiting: Cell<usize>,
    turn: Cell<usize>,
    stopping: Cell<bool>,
    sessions: RefCell<HashMap<u64, Rc<Session>>>,
    /// Sessions that were idle when they were put here, the longest idle first.
    idle: RefCell<VecDeque<Weak<Session>>>,
}

/// The clock of a replay.
#[expect(clippy::disallowed_methods, reason = "a replay happens in real time")]
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Runs the engine until the queue is closed and empty, or the time to drain it is over.
pub(super) fn run(
    queue: &Arc<Queue>,
    target: Target,
    options: &ReplayOptions,
) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .context("replay: no event loop could be started")?;
    let engine = Rc::new(Engine {
        queue: Arc::clone(queue),
        target,
        timeouts: options.timeouts.clone(),
        gate: Gate::new(),
        scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
        connections: Semaphore::new(options.limits.connections),
        waiting: Cell::new(0),
        turn: Cell::new(0),
        stopping: Cell::new(false),
        sessions: RefCell::default(),
        idle: RefCell::default(),
    });
    runtime.block_on(engine.clone().dispatch(options));
    // The tasks go first: their tickets count what was still waiting as stopped.
    engine.sessions.borrow_mut().clear();
    drop(runtime);
    Ok(())
}

impl Engine {
    async fn dispatch(self: Rc<Self>, options: &ReplayOptions) {
        let mut schedule = Schedule::new(options.pace);
        let mut batch = Vec::new();
        let mut give_up: Option<Instant> = None;
        loop {
            let _ = tokio::time::timeout(STOP_CHECK, self.queue.wake.notified()).await;
            let closed = self.queue.take(&mut batch);
            let now = Instant::from_std(now());
            if self.queue.stopped() && !self.stopping.replace(true) {
                self.sessions.borrow().values().for_each(|session| session.wake());
            }
            for job in batch.drain(..) {
                let due = schedule.due(job.started, now);
                self.route(job, due, options.when_full);
            }
            if closed && self.queue.outstanding() == 0 {
                return;
            }
            // A file is waited for until it is stopped; what is live is over when it ends.
            if closed && (self.stopping() || options.when_full == WhenFull::Drop) {
                let give_up = *give_up.get_or_insert(now + options.timeouts.drain);
                if now >= give_up {
                    return;
                }
            }
        }
    }

    fn route(self: &Rc<Self>, job: Job, due: Option<Instant>, when_full: WhenFull) {
        let mut sessions = self.sessions.borrow_mut();
        let session = sessions.entry(job.connection).or_insert_with_key(|connection| {
            let session = Rc::new(Session::new(*connection));
            tokio::task::spawn_local(session::run(Rc::clone(&session), Rc::clone(self)));
            session
        });
        if when_full == WhenFull::Drop && session.queued() >= MAX_SESSION_QUEUE {
            job.ticket.settle(Err(NotDelivered::QueueFull));
        } else {
            session.push(job, due);
        }
    }

    pub(super) fn forget(&self, session: &Session) {
        self.sessions.borrow_mut().remove(&session.connection);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// The right to one connection. When there are none left, the session that has been idle the
    /// longest hangs up for it.
    pub(super) async fn permit(&self) -> SemaphorePermit<'_> {
        if let Ok(permit) = self.connections.try_acquire() {
            return permit;
        }
        self.evict_idle();
        self.waiting.set(self.waiting.get().saturating_add(1));
        let permit = self.connections.acquire().await;
        self.waiting.set(self.waiting.get().saturating_sub(1));
        permit.expect("the semaphore is never closed")
    }

    /// True when a session that would become idle should hang up instead.
    pub(super) fn connection_wanted(&self) -> bool {
        self.waiting.get() > 0
    }

    pub(super) fn list_idle(&self, session: &Rc<Session>) {
        if !session.listed.replace(true) {
            self.idle.borrow_mut().push_back(Rc::downgrade(session));
        }
    }

    /// Those that have been busy since they were listed get their place anew when idle again.
    fn evict_idle(&self) {
        while let Some(session) = self.idle.borrow_mut().pop_front() {
            if let Some(session) = session.upgrade() {
                session.listed.set(false);
                if session.evict() {
                    return;
                }
            }
        }
    }

    /// Counts connections, so that they are spread over the target's addresses.
    pub(super) fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }
}
