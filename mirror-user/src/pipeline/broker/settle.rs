//! When a request is settled: once the front, the sinks and every replay that took it are done with it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hashbrown::HashMap;

use crate::broker::nats::{Outcome, Receipt, Settler};
use crate::http::message::ExchangeId;
use crate::sink::replay::{OutcomeObserver, ShadowOutcome};

/// The requests that somebody has.
#[derive(Debug, Default)]
pub struct Settlement {
    settler: OnceLock<Settler>,
    open: Mutex<HashMap<ExchangeId, Pending>>,
    /// True if a replay tells what becomes of requests; a file has what it was given.
    watched: bool,
}

#[derive(Debug)]
struct Pending {
    receipts: Vec<Receipt>,
    /// Who has it: the front, and each replay that took it.
    holders: u32,
    delivered: bool,
}

impl Settlement {
    /// For outputs that are replays, if `watched`.
    #[must_use]
    pub fn new(watched: bool) -> Arc<Self> {
        Arc::new(Self { watched, ..Self::default() })
    }

    /// Who is told.
    pub(super) fn settles_by(&self, settler: Settler) {
        let _ = self.settler.set(settler);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ExchangeId, Pending>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The front has a request; the messages that it came in are settled with it.
    pub(super) fn begin(&self, id: ExchangeId, receipts: Vec<Receipt>) {
        let pending = Pending { receipts, holders: 1, delivered: !self.watched };
        let before = self.open().insert(id, pending);
        // Taken again while it was on its way.
        if let Some(before) = before {
            before.receipts.into_iter().for_each(|receipt| self.settle(receipt, Outcome::Dropped));
        }
    }

    /// One of those who have it is done with it.
    pub(super) fn release(&self, id: ExchangeId) {
        self.done(id, false);
    }

    fn done(&self, id: ExchangeId, delivered: bool) {
        let mut open = self.open();
        let Some(pending) = open.get_mut(&id) else { return };
        pending.delivered |= delivered;
        pending.holders = pending.holders.saturating_sub(1);
        if pending.holders > 0 {
            return;
        }
        let Some(pending) = open.remove(&id) else { return };
        drop(open);
        let outcome = if pending.delivered { Outcome::Delivered } else { Outcome::Dropped };
        pending.receipts.into_iter().for_each(|receipt| self.settle(receipt, outcome));
    }

    pub(super) fn settle(&self, receipt: Receipt, outcome: Outcome) {
        if let Some(settler) = self.settler.get() {
            settler.settle(receipt, outcome);
        }
    }
}

/// Tells the settlement what a replay does, and whoever else wants to know.
pub struct Watching {
    settlement: Arc<Settlement>,
    next: Option<Arc<dyn OutcomeObserver>>,
}

impl Watching {
    /// Before `next`.
    #[must_use]
    pub fn new(settlement: Arc<Settlement>, next: Option<Arc<dyn OutcomeObserver>>) -> Arc<Self> {
        Arc::new(Self { settlement, next })
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("next", &self.next).finish_non_exhaustive()
    }
}

impl OutcomeObserver for Watching {
    fn offered(&self, exchange: ExchangeId) {
        if let Some(pending) = self.settlement.open().get_mut(&exchange) {
            pending.holders += 1;
        }
        self.next.iter().for_each(|next| next.offered(exchange));
    }

    fn observe(&self, outcome: ShadowOutcome) {
        self.settlement.done(outcome.exchange, outcome.result.is_ok());
        self.next.iter().for_each(|next| next.observe(outcome.clone()));
    }

    fn ended(&self) {
        self.next.iter().for_each(|next| next.ended());
    }

    fn wants_responses(&self) -> bool {
        self.next.as_ref().is_some_and(|next| next.wants_responses())
    }
}
