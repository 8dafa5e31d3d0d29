//! Shadow requests from the pipeline's thread in, and what production answered where somebody asks
//! for it; batches of both out on the engine's thread.
//!
//! Everything that was accepted and has no outcome yet counts against one limit, wherever it is:
//! here, in a session's queue, or on its way. Each request carries a [`Ticket`] that gives its room
//! back and counts its outcome exactly once, whatever becomes of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::rules::route::Priority;
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::{Count, Recorded};
use crate::sink::replay::key::ExchangeKey;
use crate::sink::replay::key::SessionKey;
use crate::sink::replay::outcome::progress::{Counters, NotDelivered, Told};
use crate::sink::replay::{Limits, Victim};

/// What a waiting request costs beside its bytes: its place in queues and its share of a session.
const JOB_OVERHEAD_BYTES: usize = 512;

/// What part of its limits a queue may hold beyond them while its oldest give way.
const OVERFLOW: usize = 8;

/// How often a thread that waits for room looks whether it was stopped.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// A request that is to be replayed.
pub(in crate::sink::replay) struct Order {
    /// The session it belongs to.
    pub(in crate::sink::replay) session: SessionKey,
    /// When it is to be sent; `None`: at once.
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) request: ShadowRequest,
    /// Whether it stays when there is room for some alone.
    pub(in crate::sink::replay) priority: Priority,
    /// Its place on its connection.
    pub(in crate::sink::replay) index: u32,
    /// Who is told how it ends.
    pub(in crate::sink::replay) told: Told,
}

/// What comes out, in the order in which it went in.
pub(in crate::sink::replay) enum Item {
    Job(Job),
    Answer(Answer),
}

/// What production answered, and when it came among requests and answers. Takes room while it waits.
pub(in crate::sink::replay) struct Answer {
    pub(in crate::sink::replay) recorded: Recorded,
    pub(in crate::sink::replay) arrived: u64,
    bytes: usize,
    queue: Arc<Queue>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.queue.give_bytes_back(self.bytes);
    }
}

/// A request on its way to the target.
pub(in crate::sink::replay) struct Job {
    pub(in crate::sink::replay) key: ExchangeKey,
    /// When it came among requests and answers.
    pub(in crate::sink::replay) arrived: u64,
    /// When it is to be sent; `None`: at once.
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) request: ShadowRequest,
    /// When others give way before it.
    pub(in crate::sink::replay) priority: Priority,
    pub(in crate::sink::replay) ticket: Ticket,
}

/// How long a request waits for room.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink::replay) enum Patience {
    /// Not at all: what is live is never held up. Where the oldest gives way, one that finds no room
    /// may come all the same, within [`OVERFLOW`], until the engine has made room.
    None(Victim),
    /// Until then: what has a time must not shift the time of what follows.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

/// What both threads see.
pub(in crate::sink::replay) struct Queue {
    pub(in crate::sink::replay) counters: Counters,
    /// Wakes the engine: something came, the queue was closed, or the last ticket was given back.
    pub(in crate::sink::replay) wake: Notify,
    stop: Arc<AtomicBool>,
    abandoned: AtomicBool,
    limits: Limits,
    intake: Mutex<Intake>,
    room: Condvar,
    producer_waits: AtomicBool,
    outstanding: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Intake {
    items: Vec<Item>,
    /// How many came so far.
    arrived: u64,
    closed: bool,
}

impl Queue {
    pub(in crate::sink::replay) fn new(limits: Limits, stop: Arc<AtomicBool>) -> Self {
        Self {
            counters: Counters::new(),
            wake: Notify::new(),
            stop,
            abandoned: AtomicBool::new(false),
            limits,
            intake: Mutex::default(),
            room: Condvar::new(),
            producer_waits: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Takes a request, or counts why not. Waits for room as long as `patience` says. True when it
    /// was taken.
    pub(in crate::sink::replay) fn push(
        self: &Arc<Self>,
        order: Order,
        patience: Patience,
    ) -> bool {
        let Order { session, due, request, priority, index, told } = order;
        let bytes = request.memory().saturating_add(JOB_OVERHEAD_BYTES);
        let room = match patience {
            Patience::None(victim) => self.room_at_once(bytes, priority, victim),
            _ => self.wait_for_room(bytes, patience),
        };
        if let Err(why) = room {
            self.counters.settle(Err(why), told);
            return false;
        }
        self.outstanding.fetch_add(1, SeqCst);
        self.bytes.fetch_add(bytes, Relaxed);
        let ticket = Ticket { queue: Arc::clone(self), bytes, outcome: None, told };
        let key = ExchangeKey { session, index };
        // What is not put in drops its ticket, which counts it as stopped.
        self.put(|arrived| Item::Job(Job { key, arrived, due, request, priority, ticket }))
    }

    /// Takes what production answered to a request that was taken; where what is live finds no room,
    /// it is counted and nothing is learned of it.
    pub(in crate::sink::replay) fn push_answer(
        self: &Arc<Self>,
        recorded: Recorded,
        patience: Patience,
    ) {
        let bytes = recorded.memory().saturating_add(JOB_OVERHEAD_BYTES);
        let room = match patience {
            Patience::None(_) => self.has_room(bytes),
            _ => self.wait_for_room(bytes, patience).is_ok(),
        };
        if !room {
            self.counters.correlated.add(Count::AnswersDropped, 1);
            return;
        }
        self.bytes.fetch_add(bytes, Relaxed);
        let queue = Arc::clone(self);
        self.put(|arrived| Item::Answer(Answer { recorded, arrived, bytes, queue }));
    }

    /// True unless nobody would ever take it.
    fn put(&self, item: impl FnOnce(u64) -> Item) -> bool {
        let mut intake = self.intake();
        if intake.closed {
            drop(intake);
            return false;
        }
        intake.arrived += 1;
        let item = item(intake.arrived);
        intake.items.push(item);
        let first = intake.items.len() == 1;
        drop(intake);
        if first {
            self.wake.notify_one();
        }
        true
    }

    /// Nothing will come any more.
    pub(in crate::sink::replay) fn close(&self) {
        self.intake().closed = true;
        self.wake.notify_one();
    }

    /// Stops this replay alone.
    pub(in crate::sink::replay) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
        self.close();
    }

    pub(in crate::sink::replay) fn stopped(&self) -> bool {
        self.stop.load(Relaxed) || self.abandoned.load(Relaxed)
    }

    /// Swaps what has come into the empty `batch`; true when nothing will come any more.
    pub(in crate::sink::replay) fn take(&self, batch: &mut Vec<Item>) -> bool {
        let mut intake = self.intake();
        std::mem::swap(&mut intake.items, batch);
        intake.closed
    }

    /// The engine has ended: who waits for room waits in vain, and what came last is dropped.
    pub(in crate::sink::replay) fn end(&self) {
        self.close();
        self.room.notify_one();
        let mut left = Vec::new();
        self.take(&mut left);
    }

    /// Requests without an outcome.
    pub(in crate::sink::replay) fn outstanding(&self) -> usize {
        self.outstanding.load(SeqCst)
    }

    /// What is live cannot wait, so that its classes share the room: the low one gets half of it, and
    /// an eighth beyond it is the high one's alone.
    fn room_at_once(
        &self,
        bytes: usize,
        priority: Priority,
        victim: Victim,
    ) -> Result<(), NotDelivered> {
        let of = |limit: usize| match (priority, victim) {
            (Priority::Low, _) => limit / 2,
            (Priority::Normal, Victim::Newest) => limit,
            (Priority::High, Victim::Newest) | (Priority::Normal, Victim::Oldest) => {
                limit.saturating_add(limit / OVERFLOW)
            }
            (Priority::High, Victim::Oldest) => limit.saturating_add(limit / OVERFLOW * 2),
        };
        let Limits { queue_requests: requests, queue_bytes, .. } = self.limits;
        match (self.has_room_in(bytes, of(requests), of(queue_bytes)), priority) {
            (true, _) => Ok(()),
            (false, Priority::Low) => Err(NotDelivered::Shed),
            (false, Priority::Normal | Priority::High) => Err(NotDelivered::QueueFull),
        }
    }

    /// True when some of those that wait are to give way.
    pub(in crate::sink::replay) fn overflows(&self) -> bool {
        self.outstanding() > self.limits.queue_requests
            || self.bytes.load(Relaxed) > self.limits.queue_bytes
    }

    fn wait_for_room(&self, bytes: usize, patience: Patience) -> Result<(), NotDelivered> {
        if self.has_room(bytes) {
            return Ok(());
        }
        let mut intake = self.intake();
        loop {
            self.producer_waits.store(true, SeqCst);
            if self.stopped() || intake.closed {
                return Err(NotDelivered::Stopped);
            }
            if self.has_room(bytes) {
                self.producer_waits.store(false, SeqCst);
                return Ok(());
            }
            let longest = match patience {
                Patience::Until(end) => end.saturating_duration_since(now()).min(STOP_CHECK),
                Patience::None(_) | Patience::Forever => STOP_CHECK,
            };
            if longest.is_zero() {
                self.producer_waits.store(false, SeqCst);
                return Err(NotDelivered::QueueFull);
            }
            intake =
                self.room.wait_timeout(intake, longest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A request that is larger than all room may come alone.
    fn has_room(&self, bytes: usize) -> bool {
        self.has_room_in(bytes, self.limits.queue_requests, self.limits.queue_bytes)
    }

    fn has_room_in(&self, bytes: usize, most_requests: usize, most_bytes: usize) -> bool {
        let outstanding = self.outstanding.load(SeqCst);
        let held = self.bytes.load(Relaxed);
        outstanding == 0
            || (outstanding < most_requests && held.saturating_add(bytes) <= most_bytes)
    }

    fn give_back(&self, bytes: usize) {
        if self.outstanding.fetch_sub(1, SeqCst) == 1 {
            self.wake.notify_one();
        }
        self.give_bytes_back(bytes);
    }

    fn give_bytes_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
        // Half empty, so that a thread that waits is woken once for many requests.
        if self.producer_waits.load(SeqCst)
            && self.outstanding.load(SeqCst) <= self.limits.queue_requests / 2
            && self.bytes.load(Relaxed) <= self.limits.queue_bytes / 2
        {
            self.producer_waits.store(false, SeqCst);
            drop(self.intake());
            self.room.notify_one();
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the outcome of one request and gives its room back, once, when it is dropped. Without an
/// outcome the request was stopped.
pub(in crate::sink::replay) struct Ticket {
    queue: Arc<Queue>,
    bytes: usize,
    outcome: Option<Result<u16, NotDelivered>>,
    told: Told,
}

impl Ticket {
    /// It goes out now.
    pub(in crate::sink::replay) fn sent(&self, begun: Instant) {
        if let Some(trace) = &self.told.trace {
            trace.sent(begun);
        }
    }

    /// It was answered with this status, or why not.
    pub(in crate::sink::replay) fn settle(mut self, outcome: Result<u16, NotDelivered>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(Err(NotDelivered::Stopped));
        self.queue.counters.settle(outcome, std::mem::take(&mut self.told));
        self.queue.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::message::ConnectionId;
    use crate::rules::tag::Rest;

    #[test]
    fn what_cannot_wait_is_shed_by_its_class() {
        let limits = Limits { queue_requests: 8, ..Limits::default() };
        let queue = Arc::new(Queue::new(limits, Arc::default()));
        let push = |priority, count: u32| {
            for n in 0..count {
                let request = ShadowRequest {
                    front: Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
                    rest: Rest::Nothing,
                    is_head: false,
                    is_last: false,
                    host_missing: false,
                };
                let session = SessionKey { connection: ConnectionId::local(u64::from(n)), copy: 0 };
                let order = Order {
                    session,
                    due: None,
                    request,
                    priority,
                    index: 0,
                    told: Told::default(),
                };
                queue.push(order, Patience::None(Victim::Newest));
            }
            (queue.outstanding(), queue.counters.account().losses())
        };
        assert_eq!(push(Priority::Low, 5), (4, vec![("shed", 1)]));
        assert_eq!(push(Priority::Normal, 6), (8, vec![("queue_full", 2), ("shed", 1)]));
        assert_eq!(push(Priority::High, 3), (9, vec![("queue_full", 4), ("shed", 1)]));
        assert_eq!(push(Priority::Low, 1), (9, vec![("queue_full", 4), ("shed", 2)]));
    }
}
