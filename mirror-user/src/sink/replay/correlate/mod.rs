//! State that differs: production gave `sid=A` and order 5001, the target `sid=B` and 1000000001, and
//! a later request that says 5001 means the other one.
//!
//! Come in, on the engine's thread: what production answered and what the target answered to each
//! request, in whichever order, and each request before it is sent. What stands at the same place of
//! both answers (`sites`) and looks alike (`tokens`) is a pair, remembered one to one (`table`). Goes
//! out: the request with production's values replaced by the target's, as whole values and no parts
//! of them (`translate`).
//!
//! A request that uses a value of which the target's answer is still under way, on another
//! connection, waits for it, no longer than `PATIENCE`. Each copy of a capture has pairs of its own.
//! Under redaction the pairs are of tokens, which are the same for the same value. Refuses to guess:
//! a value that may be several is left as it is; long and coded bodies are not looked into; each is
//! counted. Remembers a bounded number of pairs and of answers without their other half, and forgets
//! the oldest.

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
use self::sites::Asked;
use self::state::{Half, State};
use crate::http::message::{Head, Kept, Message, StartLine};
use crate::http::whole;
use crate::rules::tag::ShadowRequest;
use crate::sink::replay::clock::now;
use crate::sink::replay::key::ExchangeKey;

/// Bytes of an answer's content that are looked through, coded and decoded; nothing is learned of a
/// longer one but from its head.
pub(crate) const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Bytes that pairs may take, of all copies together.
const MAX_TABLE_BYTES: usize = 16 << 20;

/// How long a request waits for the answer that brings a value that is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What production answered.
pub(super) struct Recorded {
    pub(super) key: ExchangeKey,
    pub(super) request: Arc<Message>,
    pub(super) response: Arc<Message>,
    /// Which reading of the capture it is of.
    pub(super) pass: u32,
}

impl Recorded {
    /// How many bytes of memory it holds.
    pub(super) fn memory(&self) -> usize {
        let body = match &self.response.body.wire {
            Kept::Memory(bytes) => bytes.len(),
            _ => 0,
        };
        self.response.head.raw.len().saturating_add(body)
    }
}

/// What the sessions share of it.
pub(super) struct Correlate {
    state: RefCell<State>,
    /// Told whenever a target's answer came, or will not come.
    changed: Notify,
}

impl Correlate {
    /// For so many copies of the capture.
    pub(super) fn new(copies: u32) -> Self {
        let copies = usize::try_from(copies).unwrap_or(1).max(1);
        Self { state: RefCell::new(State::new(MAX_TABLE_BYTES / copies)), changed: Notify::new() }
    }

    /// Takes what production answered, which came at this place among requests and answers.
    pub(super) fn recorded(&self, recorded: &Recorded, arrived: u64, counts: &Counts) {
        let mut state = self.state.borrow_mut();
        let Recorded { key, request, response, pass } = recorded;
        let asked = match &request.head.start {
            StartLine::Request { method, target, .. } => {
                Asked::new(request.head.bytes(method), request.head.bytes(target))
            }
            StartLine::Status { .. } => return,
        };
        let fine = response.incomplete.is_none() && is_fine(&response.head);
        let sites = match fine {
            true => state.sites(&asked, &response.head, &response.body),
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

    /// Takes what the target answered to a request; `None` when it gave no answer.
    pub(super) fn answered(
        &self,
        key: ExchangeKey,
        request: &ShadowRequest,
        answer: Option<Vec<u8>>,
        counts: &Counts,
    ) {
        let mut state = self.state.borrow_mut();
        let read = answer.and_then(|wire| whole::response(&wire.into(), request.is_head));
        let shadow = read.map(|(head, body)| match is_fine(&head) {
            true => state.sites(&asked_by(request), &head, &body),
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

    /// The request as the target understands it.
    pub(super) async fn translate<'a>(
        &self,
        copy: u32,
        arrived: u64,
        request: &'a ShadowRequest,
        counts: &Counts,
    ) -> Cow<'a, ShadowRequest> {
        let until = now() + PATIENCE;
        let mut waited = false;
        let (translated, told) = loop {
            // From here on no answer is missed.
            let changed = self.changed.notified();
            let (translated, told) = self.state.borrow().translate(copy, arrived, request);
            if told.pends.is_none() || now() >= until {
                break (translated, told);
            }
            waited = true;
            let _ = tokio::time::timeout_at(until.into(), changed).await;
        };
        if let Some(value) = told.pends {
            // Whoever comes next need not wait for it, too.
            self.state.borrow_mut().await_no_more(copy, &value);
            counts.add(Count::WaitedInVain, 1);
        }
        counts.add(Count::Waited, waited.into());
        counts.add(Count::Ambiguous, told.ambiguous);
        counts.add(Count::BodiesLeft, told.body_left.into());
        counts.add(Count::Values, told.replaced);
        counts.add(Count::Requests, translated.is_some().into());
        translated.map_or(Cow::Borrowed(request), Cow::Owned)
    }
}

/// What a request on its way asks for.
fn asked_by(request: &ShadowRequest) -> Asked {
    let line = request.front.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    Asked::new(words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// True for an answer that brought what was asked for, or says where it is.
fn is_fine(head: &Head) -> bool {
    matches!(head.start, StartLine::Status { code: 200..400, .. })
}

#[cfg(test)]
mod tests;
