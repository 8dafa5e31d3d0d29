//! The decisions for exchanges in flight: all events of an exchange get the same decision, even if the
//! rules change in between.

use std::sync::Arc;

use hashbrown::HashMap;

use super::NotCleared;
use super::route::Route;
use crate::http::message::{ExchangeId, Kept, Message};

/// Maximum number of remembered exchanges (about 25 MiB): eight times what a busy host has in flight.
/// Beyond that, an exchange is decided again at its end.
const MAX_OPEN: usize = 1 << 18;

/// Maximum size of redacted requests that wait for their responses, in bytes. Requests beyond it are
/// redacted again when the response arrives, with the same result. A quarter of the default limit of
/// the `http` module.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// The decision for an exchange.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    /// Its route, or why it is not cleared.
    pub(super) verdict: Result<Option<Route>, NotCleared>,
    /// The redacted request, as it was sent or written.
    pub(super) request: Option<Arc<Message>>,
}

/// Exchanges whose request was seen and that have not ended.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenExchanges {
    decisions: HashMap<ExchangeId, Decision>,
    kept_bytes: usize,
    /// Number of exchanges that exceeded the limit.
    forgotten: u64,
}

impl OpenExchanges {
    pub(super) fn remember(&mut self, id: ExchangeId, mut decision: Decision) {
        let size = decision.size();
        if self.kept_bytes.saturating_add(size) > MAX_KEPT_BYTES {
            decision.request = None;
        }
        if self.decisions.len() >= MAX_OPEN {
            self.forgotten = self.forgotten.saturating_add(1);
            return;
        }
        self.kept_bytes = self.kept_bytes.saturating_add(decision.size());
        if let Some(before) = self.decisions.insert(id, decision) {
            self.kept_bytes = self.kept_bytes.saturating_sub(before.size());
        }
    }

    /// The decision for an exchange that continues.
    pub(super) fn get(&self, id: ExchangeId) -> Option<&Decision> {
        self.decisions.get(&id)
    }

    /// Removes and returns the decision for an exchange that ends.
    pub(super) fn take(&mut self, id: ExchangeId) -> Option<Decision> {
        let decision = self.decisions.remove(&id)?;
        self.kept_bytes = self.kept_bytes.saturating_sub(decision.size());
        Some(decision)
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl Decision {
    /// Memory that its request occupies, in bytes.
    fn size(&self) -> usize {
        const OVERHEAD: usize = 512;
        let Some(message) = &self.request else { return 0 };
        let body = match &message.body.wire {
            Kept::Memory(bytes) => bytes.len(),
            _ => 0,
        };
        message.head.raw.len() + body + OVERHEAD
    }
}
