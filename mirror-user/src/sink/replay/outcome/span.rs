//! What a tracer is told of each shadow request: one span, once it has an outcome.
//!
//! Only what was sent, or failed on the target's side, becomes a span: requests that were left out by
//! choice or dropped for want of room are counted, and a span for each would cost more than the request.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::not_delivered::{Attribution, NotDelivered};
use crate::http::message::Message;
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::rules::trace::Traces;
use crate::sink::replay::clock::{now, wall_time};

/// Takes finished spans.
pub trait SpanSink: fmt::Debug + Send + Sync {
    /// Takes one. It is called by the thread that sends requests, which must not wait: what does not fit is
    /// to be dropped and counted.
    fn take(&self, span: ShadowSpan);
}

/// What became of spans: seen = exported + `queue_full` + failed + those on their way.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// Those that were sampled.
    pub seen: AtomicU64,
    /// Those that a collector took.
    pub exported: AtomicU64,
    /// Those for which the queue had no room.
    pub queue_full: AtomicU64,
    /// Those of export requests that failed.
    pub failed: AtomicU64,
}

/// A shadow request from its sending to its outcome.
#[derive(Clone, Debug)]
pub struct ShadowSpan {
    /// The request.
    pub request: TracedRequest,
    /// When it was sent, or when it failed if it could not be.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The status of the target's response, or why there is none.
    pub outcome: Result<u16, NotDelivered>,
}

/// What a span says of its request, as it was cleared.
#[derive(Clone, Debug)]
pub struct TracedRequest {
    /// Its `X-Shadow-Id`.
    pub id: String,
    /// The target's authority.
    pub target: Arc<str>,
    /// The rule that chose it.
    pub rule: Option<Arc<str>>,
    /// Its method.
    pub method: String,
    /// Its path, without a query.
    pub path: String,
    /// Production's trace, and its own.
    pub traces: Traces,
}

impl TracedRequest {
    pub(in crate::sink::replay) fn new(
        id: String,
        target: &Arc<str>,
        (cleared, request): (&Cleared, &Message),
        traces: Traces,
    ) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let head = &request.head;
        let path = head.target().split(|byte| matches!(byte, b'?' | b'#')).next();
        let (method, path) = (text(head.method()), text(path.unwrap_or_default()));
        Self {
            id,
            target: Arc::clone(target),
            rule: cleared.rule_name().cloned(),
            method,
            path,
            traces,
        }
    }
}

/// A span without an outcome yet.
pub(in crate::sink::replay) struct OpenSpan {
    sink: Arc<dyn SpanSink>,
    request: TracedRequest,
    begun: Cell<Option<Instant>>,
}

impl OpenSpan {
    pub(in crate::sink::replay) fn new(sink: &Arc<dyn SpanSink>, request: TracedRequest) -> Self {
        Self { sink: Arc::clone(sink), request, begun: Cell::new(None) }
    }

    /// The request is sent.
    pub(in crate::sink::replay) fn sent(&self, begun: Instant) {
        self.begun.set(Some(begun));
    }

    /// Hands the span on, if its request was the target's matter.
    pub(in crate::sink::replay) fn settle(self, outcome: Result<u16, NotDelivered>) {
        let Self { sink, request, begun } = self;
        let is_targets = |why: NotDelivered| {
            why.attribution() == Attribution::Target && why != NotDelivered::BreakerOpen
        };
        if outcome.is_err_and(|why| !is_targets(why)) {
            return;
        }
        let took =
            begun.get().map(|begun| now().saturating_duration_since(begun)).unwrap_or_default();
        sink.take(ShadowSpan { request, began: wall_time().earlier(took), took, outcome });
    }
}
