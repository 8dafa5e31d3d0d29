//! What goes through the queue: a shadow request with its [`Ticket`], and production's responses.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::queue::Queue;
use crate::rules::route::Priority;
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::correlate::RecordedResponse;
use crate::sink::replay::key::{ExchangeKey, SessionKey};
use crate::sink::replay::outcome::not_delivered::NotDelivered;
use crate::sink::replay::outcome::observer::ShadowResponse;
use crate::sink::replay::outcome::progress::Observers;

/// A request that is to be replayed.
pub(in crate::sink::replay) struct Submission {
    /// The session it belongs to.
    pub(in crate::sink::replay) session: SessionKey,
    /// When it is to be sent; `None`: at once.
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) request: ShadowRequest,
    /// Whether it is kept if there is not space for all.
    pub(in crate::sink::replay) priority: Priority,
    /// Its index on its connection.
    pub(in crate::sink::replay) index: u32,
    /// Ask the target again once it has responded.
    pub(in crate::sink::replay) again: bool,
    /// What else records its outcome.
    pub(in crate::sink::replay) observers: Observers,
}

/// An entry of the queue. Entries leave it in the order in which they entered.
pub(in crate::sink::replay) enum Item {
    Job(Job),
    Response(ProductionResponse),
}

/// A response of production, with its position among all queue entries. Counts against the queue's
/// bytes while it waits.
pub(in crate::sink::replay) struct ProductionResponse {
    pub(in crate::sink::replay) recorded: RecordedResponse,
    pub(in crate::sink::replay) arrived: u64,
    pub(super) bytes: usize,
    pub(super) queue: Arc<Queue>,
}

impl Drop for ProductionResponse {
    fn drop(&mut self) {
        self.queue.release_bytes(self.bytes);
    }
}

/// A request on its way to the target.
pub(in crate::sink::replay) struct Job {
    pub(in crate::sink::replay) key: ExchangeKey,
    /// Its position among all queue entries.
    pub(in crate::sink::replay) arrived: u64,
    /// When it is to be sent; `None`: at once.
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) request: ShadowRequest,
    /// Which requests are dropped before it.
    pub(in crate::sink::replay) priority: Priority,
    /// Ask the target again once it has responded.
    pub(in crate::sink::replay) again: bool,
    pub(in crate::sink::replay) ticket: Ticket,
}

/// Counts the outcome of one request and then releases its share of the limits. If it is dropped
/// without an outcome, the request counts as stopped.
pub(in crate::sink::replay) struct Ticket {
    pub(super) queue: Arc<Queue>,
    pub(super) bytes: usize,
    /// `None` once the outcome is counted.
    pub(super) observers: Option<Observers>,
}

impl Ticket {
    /// The request is sent now.
    pub(in crate::sink::replay) fn sent(&self, begun: Instant) {
        let Some(observers) = &self.observers else { return };
        if let Some(entry) = &observers.log_entry {
            entry.sent(begun);
        }
        if let Some(span) = &observers.span {
            span.sent(begun);
        }
    }

    /// Its response was read to its end at `ended`; it was sent at `begun`.
    pub(in crate::sink::replay) fn completed(
        &self,
        due: Option<Instant>,
        begun: Instant,
        ended: Instant,
    ) {
        self.queue.counters.times.completed(due, begun, ended);
        if let Some(group) = self.observers.as_ref().and_then(|observers| observers.group.as_ref())
        {
            group.completed(ended.saturating_duration_since(due.unwrap_or(begun)));
        }
    }

    /// The target was asked again, and this came of it. Only observers learn of it.
    pub(in crate::sink::replay) fn asked_again(
        &mut self,
        outcome: Result<ShadowResponse, NotDelivered>,
    ) {
        let counters = &self.queue.counters;
        let counter = if outcome.is_ok() { &counters.again } else { &counters.again_failed };
        counter.fetch_add(1, Relaxed);
        if let Some(observed) = self.observers.as_mut().and_then(|all| all.observed.as_mut()) {
            observed.again = Some(outcome);
        }
    }

    /// Counts the outcome: the response, or why there was none.
    pub(in crate::sink::replay) fn settle(mut self, outcome: Result<ShadowResponse, NotDelivered>) {
        self.count(outcome);
    }

    fn count(&mut self, outcome: Result<ShadowResponse, NotDelivered>) {
        if let Some(observers) = self.observers.take() {
            self.queue.counters.settle(outcome, observers);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.count(Err(NotDelivered::Stopped));
        self.queue.release(self.bytes);
    }
}
