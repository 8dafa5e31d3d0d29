//! What was decided of exchanges that go on, so that all their moments get the same answer, whatever
//! rules are in force by then.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Dropped;
use super::route::Route;
use crate::http::message::{ExchangeId, Kept, Message};

/// Exchanges that are remembered, at most (some 25 MiB): eight times what a busy host has in flight.
/// One more is judged anew at its end.
const MAX_OPEN: usize = 1 << 18;

/// Bytes of redacted requests that wait for their answers; requests beyond are redacted again when
/// they are answered, with the same result. A quarter of what the http room holds by default.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// What was decided of an exchange.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// Where it goes, or why nowhere.
    pub(super) verdict: Result<Option<Route>, Dropped>,
    /// The request as it left.
    pub(super) request: Option<Arc<Message>>,
}

/// Exchanges that were asked and have not ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    judged: HashMap<ExchangeId, Judged>,
    kept_bytes: usize,
    /// Exchanges for which there was no room.
    forgotten: u64,
}

impl Open {
    pub(super) fn remember(&mut self, id: ExchangeId, mut judged: Judged) {
        let size = judged.size();
        if self.kept_bytes.saturating_add(size) > MAX_KEPT_BYTES {
            judged.request = None;
        }
        if self.judged.len() >= MAX_OPEN {
            self.forgotten = self.forgotten.saturating_add(1);
            return;
        }
        self.kept_bytes = self.kept_bytes.saturating_add(judged.size());
        if let Some(before) = self.judged.insert(id, judged) {
            self.kept_bytes = self.kept_bytes.saturating_sub(before.size());
        }
    }

    /// What was decided of an exchange that goes on.
    pub(super) fn get(&self, id: ExchangeId) -> Option<&Judged> {
        self.judged.get(&id)
    }

    /// What was decided of an exchange that ends.
    pub(super) fn take(&mut self, id: ExchangeId) -> Option<Judged> {
        let judged = self.judged.remove(&id)?;
        self.kept_bytes = self.kept_bytes.saturating_sub(judged.size());
        Some(judged)
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl Judged {
    /// Bytes that its request holds in memory.
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
