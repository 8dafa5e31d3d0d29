//! The queue from the pipeline's thread to the engine's thread. It carries shadow requests and, if
//! correlation is enabled, production's responses.
//!
//! Every accepted request without an outcome counts against one limit, whether it is in this queue,
//! in a session's queue or in flight. Each request carries a [`Ticket`], which counts its outcome
//! exactly once and then releases its share of the limit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::job::{Item, Job, ProductionResponse, Submission, Ticket};
use crate::rules::route::Priority;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::{Count, RecordedResponse};
use crate::sink::replay::key::ExchangeKey;
use crate::sink::replay::outcome::not_delivered::NotDelivered;
use crate::sink::replay::outcome::progress::Counters;
use crate::sink::replay::{Limits, Victim};

/// Memory of a waiting request besides its own bytes: queue entries and its share of a session.
const JOB_OVERHEAD_BYTES: usize = 512;

/// The queue may exceed its limits by this fraction (1/8) while its oldest requests are displaced.
const OVERFLOW: usize = 8;

/// How often a thread that waits for space checks whether it was stopped.
const STOP_CHECK: Duration = Duration::from_millis(20);

/// How long the producer may wait for space in the queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink::replay) enum MaxWait {
    /// Not at all: live traffic gets no backpressure. With `Victim::Oldest` a request may exceed
    /// the limits by [`OVERFLOW`] until the engine has displaced older ones.
    None(Victim),
    /// Until this deadline: a late request must not delay those after it.
    Until(Instant),
    /// Without limit.
    Forever,
}

/// The state that both threads share.
pub(in crate::sink::replay) struct Queue {
    pub(in crate::sink::replay) counters: Counters,
    /// Wakes the engine: an entry arrived, the queue was closed, or the last ticket was dropped.
    pub(in crate::sink::replay) wake: Notify,
    stop: Arc<AtomicBool>,
    abandoned: AtomicBool,
    limits: Limits,
    intake: Mutex<Intake>,
    space_freed: Condvar,
    producer_waits: AtomicBool,
    outstanding: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Default)]
struct Intake {
    items: Vec<Item>,
    /// Number of entries so far.
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
            space_freed: Condvar::new(),
            producer_waits: AtomicBool::new(false),
            outstanding: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Enqueues a request, or counts why it was dropped. Waits for space as `max_wait` allows. True
    /// if the request was enqueued.
    pub(in crate::sink::replay) fn push(
        self: &Arc<Self>,
        order: Submission,
        max_wait: MaxWait,
    ) -> bool {
        let Submission { session, due, request, priority, index, again, observers } = order;
        let bytes = request.memory().saturating_add(JOB_OVERHEAD_BYTES);
        let space = match max_wait {
            MaxWait::None(victim) => self.check_space(bytes, priority, victim),
            _ => self.wait_for_space(bytes, max_wait),
        };
        if let Err(why) = space {
            self.counters.settle(Err(why), observers);
            return false;
        }
        self.outstanding.fetch_add(1, SeqCst);
        self.bytes.fetch_add(bytes, Relaxed);
        let ticket = Ticket { queue: Arc::clone(self), bytes, observers: Some(observers) };
        let key = ExchangeKey { session, index };
        // If the queue is closed, the ticket is dropped, which counts the request as stopped.
        let job = |arrived| Job { key, arrived, due, request, priority, again, ticket };
        self.enqueue(|arrived| Item::Job(job(arrived)))
    }

    /// Enqueues production's response to a request that was enqueued. A live response without space
    /// is dropped and counted.
    pub(in crate::sink::replay) fn push_response(
        self: &Arc<Self>,
        recorded: RecordedResponse,
        max_wait: MaxWait,
    ) {
        let bytes = recorded.memory().saturating_add(JOB_OVERHEAD_BYTES);
        let space = match max_wait {
            MaxWait::None(_) => self.has_space(bytes),
            _ => self.wait_for_space(bytes, max_wait).is_ok(),
        };
        if !space {
            self.counters.correlated.add(Count::ResponsesDropped, 1);
            return;
        }
        self.bytes.fetch_add(bytes, Relaxed);
        let queue = Arc::clone(self);
        self.enqueue(|arrived| {
            Item::Response(ProductionResponse { recorded, arrived, bytes, queue })
        });
    }

    /// Adds an item; false if the queue is closed.
    fn enqueue(&self, item: impl FnOnce(u64) -> Item) -> bool {
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

    /// Closes the queue: nothing is added any more.
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

    /// Swaps the queued items into the empty `batch`. True if the queue is closed.
    pub(in crate::sink::replay) fn take(&self, batch: &mut Vec<Item>) -> bool {
        let mut intake = self.intake();
        std::mem::swap(&mut intake.items, batch);
        intake.closed
    }

    /// The engine has ended: wakes a producer that waits for space, and drops what is queued.
    pub(in crate::sink::replay) fn end(&self) {
        self.close();
        self.space_freed.notify_one();
        let mut left = Vec::new();
        self.take(&mut left);
    }

    /// Requests without an outcome.
    pub(in crate::sink::replay) fn outstanding(&self) -> usize {
        self.outstanding.load(SeqCst)
    }

    /// Checks for space for a request of which nothing was made yet.
    pub(in crate::sink::replay) fn room(
        &self,
        priority: Priority,
        victim: Victim,
    ) -> Result<(), NotDelivered> {
        self.check_space(JOB_OVERHEAD_BYTES, priority, victim)
    }

    /// Checks for space without waiting. Priorities share the limits: low priority may fill half of
    /// them, and only high priority may exceed them by 1/8.
    fn check_space(
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
        match (self.fits(bytes, of(requests), of(queue_bytes)), priority) {
            (true, _) => Ok(()),
            (false, Priority::Low) => Err(NotDelivered::Shed),
            (false, Priority::Normal | Priority::High) => Err(NotDelivered::QueueFull),
        }
    }

    /// True if the limits are exceeded, so that older requests must be displaced.
    pub(in crate::sink::replay) fn overflows(&self) -> bool {
        self.outstanding() > self.limits.queue_requests
            || self.bytes.load(Relaxed) > self.limits.queue_bytes
    }

    fn wait_for_space(&self, bytes: usize, max_wait: MaxWait) -> Result<(), NotDelivered> {
        if self.has_space(bytes) {
            return Ok(());
        }
        let mut intake = self.intake();
        loop {
            self.producer_waits.store(true, SeqCst);
            if self.stopped() || intake.closed {
                return Err(NotDelivered::Stopped);
            }
            if self.has_space(bytes) {
                self.producer_waits.store(false, SeqCst);
                return Ok(());
            }
            let longest = match max_wait {
                MaxWait::Until(end) => end.saturating_duration_since(now()).min(STOP_CHECK),
                MaxWait::None(_) | MaxWait::Forever => STOP_CHECK,
            };
            if longest.is_zero() {
                self.producer_waits.store(false, SeqCst);
                return Err(NotDelivered::QueueFull);
            }
            intake = self
                .space_freed
                .wait_timeout(intake, longest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// A request that is larger than the limit is accepted if the queue is empty.
    fn has_space(&self, bytes: usize) -> bool {
        self.fits(bytes, self.limits.queue_requests, self.limits.queue_bytes)
    }

    fn fits(&self, bytes: usize, most_requests: usize, most_bytes: usize) -> bool {
        let outstanding = self.outstanding.load(SeqCst);
        let held = self.bytes.load(Relaxed);
        outstanding == 0
            || (outstanding < most_requests && held.saturating_add(bytes) <= most_bytes)
    }

    /// Releases the share of one request with an outcome.
    pub(super) fn release(&self, bytes: usize) {
        if self.outstanding.fetch_sub(1, SeqCst) == 1 {
            self.wake.notify_one();
        }
        self.release_bytes(bytes);
    }

    /// Releases bytes of the limits.
    pub(super) fn release_bytes(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
        // Wake the producer only at half the limits, so that it is woken once for many requests.
        if self.producer_waits.load(SeqCst)
            && self.outstanding.load(SeqCst) <= self.limits.queue_requests / 2
            && self.bytes.load(Relaxed) <= self.limits.queue_bytes / 2
        {
            self.producer_waits.store(false, SeqCst);
            drop(self.intake());
            self.space_freed.notify_one();
        }
    }

    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::message::ConnectionId;
    use crate::rules::tag::{Rest, ShadowRequest};
    use crate::sink::replay::key::SessionKey;
    use crate::sink::replay::outcome::progress::Observers;

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
                let submission = Submission {
                    again: false,
                    session,
                    due: None,
                    request,
                    priority,
                    index: 0,
                    observers: Observers::default(),
                };
                queue.push(submission, MaxWait::None(Victim::Newest));
            }
            (queue.outstanding(), queue.counters.account().losses())
        };
        assert_eq!(push(Priority::Low, 5), (4, vec![("shed", 1)]));
        assert_eq!(push(Priority::Normal, 6), (8, vec![("queue_full", 2), ("shed", 1)]));
        assert_eq!(push(Priority::High, 3), (9, vec![("queue_full", 4), ("shed", 1)]));
        assert_eq!(push(Priority::Low, 1), (9, vec![("queue_full", 4), ("shed", 2)]));
    }
}
