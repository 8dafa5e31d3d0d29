//! Correlates server state that differs. If production assigned `sid=A` and order 5001, and the
//! target `sid=B` and order 1000000001, then a later request with 5001 must say 1000000001 at the
//! target.
//!
//! Runs on the engine's thread. Its input is the response of production and of the target to each
//! request, in either order, and each request before it is sent. Two values at the same place of
//! both responses (`sites`) that look alike (`tokens`) are a pair, kept one to one (`table`). Its
//! output is the request with production's values replaced by the target's (`translate`). Only
//! complete values are replaced, never parts of them.
//!
//! If the target's response with a value is still in flight on another connection, a request that
//! uses the value waits for it, for at most `MAX_WAIT`. Each copy of a capture has its own pairs.
//! Under redaction the pairs are of tokens, which are the same for the same value. It does not
//! guess: an ambiguous value is left as it is, and long or coded request bodies are not searched;
//! both are counted. It keeps a bounded number of pairs and of responses without their counterpart,
//! and discards the oldest.

mod counts;
mod json;
mod sites;
mod state;
mod table;
mod texts;
mod tokens;
mod translate;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

pub(super) use self::counts::{Count, Counts};
use self::sites::RequestContext;
use self::state::{Half, State};
use crate::http::message::{Head, Kept, Message, StartLine};
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::key::ExchangeKey;

/// Memory for the pairs of all copies, in bytes.
const MAX_TABLE_BYTES: usize = 16 << 20;

/// How long a request waits for the target's response with a value that it uses.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A response of production, with its request.
pub(super) struct RecordedResponse {
    pub(super) key: ExchangeKey,
    pub(super) request: Arc<Message>,
    pub(super) response: Arc<Message>,
    /// Which pass over the capture it belongs to.
    pub(super) pass: u32,
}

impl RecordedResponse {
    /// The memory that it uses, in bytes.
    pub(super) fn memory(&self) -> usize {
        let body = match &self.response.body.wire {
            Kept::Memory(bytes) => bytes.len(),
            _ => 0,
        };
        self.response.head.raw.len().saturating_add(body)
    }
}

/// The state of correlation, shared by all sessions.
pub(super) struct Correlate {
    state: RefCell<State>,
    /// Notified when a response of the target arrives or fails.
    changed: Notify,
}

impl Correlate {
    /// For this number of copies of the capture.
    pub(super) fn new(copies: u32) -> Self {
        let copies = usize::try_from(copies).unwrap_or(1).max(1);
        Self { state: RefCell::new(State::new(MAX_TABLE_BYTES / copies)), changed: Notify::new() }
    }

    /// Records a response of production. `arrived` is its position among all queue entries.
    pub(super) fn record_production(
        &self,
        recorded: &RecordedResponse,
        arrived: u64,
        counts: &Counts,
    ) {
        let mut state = self.state.borrow_mut();
        let RecordedResponse { key, request, response, pass } = recorded;
        let context = match &request.head.start {
            StartLine::Request { method, target, .. } => {
                RequestContext::new(request.head.bytes(method), request.head.bytes(target))
            }
            StartLine::Status { .. } => return,
        };
        let usable = response.incomplete.is_none() && is_usable(&response.head);
        let sites = match usable {
            true => state.sites(&context, &response.head, &response.body),
            false => Vec::new(),
        };
        match state.take_half(key) {
            Some(Half::Shadow(shadow)) => state.learn(*key, &sites, &shadow, *pass, counts),
            Some(Half::Failed) => {}
            Some(Half::Recorded { .. }) | None => {
                state.await_values(key.session.copy, &sites, *pass, arrived);
                state.keep_half(*key, Half::Recorded { sites, pass: *pass, arrived }, counts);
            }
        }
    }

    /// Records the target's response to a request; `None` if there was none.
    pub(super) fn record_target(
        &self,
        key: ExchangeKey,
        request: &ShadowRequest,
        response: Option<&Message>,
        counts: &Counts,
    ) {
        let mut state = self.state.borrow_mut();
        let shadow = response.map(|Message { head, body, .. }| match is_usable(head) {
            true => state.sites(&context_of(request), head, body),
            false => Vec::new(),
        });
        match (state.take_half(&key), shadow) {
            (Some(Half::Recorded { sites, pass, .. }), Some(shadow)) => {
                state.learn(key, &sites, &shadow, pass, counts);
            }
            (Some(_), _) => {}
            (None, Some(shadow)) => state.keep_half(key, Half::Shadow(shadow), counts),
            (None, None) => state.keep_half(key, Half::Failed, counts),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Returns the request with the target's values.
    pub(super) async fn translate<'a>(
        &self,
        copy: u32,
        arrived: u64,
        request: &'a ShadowRequest,
        counts: &Counts,
    ) -> Cow<'a, ShadowRequest> {
        let until = now() + MAX_WAIT;
        let mut waited = false;
        let (translated, stats) = loop {
            // Register first, so that no response is missed.
            let changed = self.changed.notified();
            let (translated, stats) = self.state.borrow().translate(copy, arrived, request);
            if stats.awaits.is_none() || now() >= until {
                break (translated, stats);
            }
            waited = true;
            let _ = tokio::time::timeout_at(until.into(), changed).await;
        };
        if let Some(value) = stats.awaits {
            // Later requests need not wait for this value.
            self.state.borrow_mut().stop_waiting_for(copy, &value);
            counts.add(Count::WaitedInVain, 1);
        }
        counts.add(Count::Waited, waited.into());
        counts.add(Count::Ambiguous, stats.ambiguous);
        counts.add(Count::BodiesLeft, stats.body_left.into());
        counts.add(Count::Values, stats.replaced);
        counts.add(Count::Requests, translated.is_some().into());
        translated.map_or(Cow::Borrowed(request), Cow::Owned)
    }
}

/// The context of a shadow request.
fn context_of(request: &ShadowRequest) -> RequestContext {
    let line = request.front.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    RequestContext::new(words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// True for a successful response or a redirect.
fn is_usable(head: &Head) -> bool {
    matches!(head.start, StartLine::Status { code: 200..400, .. })
}

#[cfg(test)]
mod tests;
