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
use crate::http::message::{Message, StartLine};
use crate::packet::Timestamp;
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
    /// The span of production that it belongs to.
    pub production: Option<TraceParent>,
}

impl TracedRequest {
    pub(in crate::sink::replay) fn new(
        id: String,
        target: &Arc<str>,
        rule: Option<&Arc<str>>,
        request: &Message,
    ) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let head = &request.head;
        let (method, path) = match &head.start {
            StartLine::Request { method, target, .. } => {
                let target = head.bytes(target);
                let path = target.split(|byte| matches!(byte, b'?' | b'#')).next();
                (text(head.bytes(method)), text(path.unwrap_or_default()))
            }
            StartLine::Status { .. } => (String::new(), String::new()),
        };
        let mut fields = head.fields();
        let traceparent = fields.find(|(name, _)| name.eq_ignore_ascii_case(b"traceparent"));
        let production = traceparent.and_then(|(_, value)| TraceParent::read(value));
        Self { id, target: Arc::clone(target), rule: rule.cloned(), method, path, production }
    }
}

/// The context of a span (W3C Trace Context, §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace's name.
    pub trace: u128,
    /// The span's name.
    pub span: u64,
    /// Bit 0: the caller recorded it.
    pub flags: u8,
}

impl TraceParent {
    /// Reads the value of a `traceparent` field; `None` unless it is valid. Later versions may go on behind
    /// the flags (§3.2.4).
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let mut parts = value.trim_ascii().splitn(5, |byte| *byte == b'-');
        let mut part = |digits| hex(parts.next().filter(|part| part.len() == digits)?);
        let (version, trace) = (part(2)?, part(32)?);
        let (span, flags) = (u64::try_from(part(16)?).ok()?, u8::try_from(part(2)?).ok()?);
        let is_valid = match version {
            0xff => false,
            0 => parts.next().is_none(),
            _ => true,
        };
        (is_valid && trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }
}

/// A number in small hexadecimal digits, which are the only ones that are valid here.
fn hex(digits: &[u8]) -> Option<u128> {
    let is_small = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let digits = str::from_utf8(digits).ok().filter(|_| is_small)?;
    u128::from_str_radix(digits, 16).ok()
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

#[cfg(test)]
mod tests {
    use super::TraceParent;

    #[test]
    fn only_what_the_recommendation_allows_is_a_context() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = TraceParent::read(valid.as_bytes()).expect("valid");
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span, parent.flags), (0x00f0_67aa_0ba9_02b7, 1));
        let later = valid.replacen("00-", "cc-", 1) + "-what-the-future-will-be-like";
        assert_eq!(TraceParent::read(later.as_bytes()), Some(parent));
        for invalid in [
            valid.to_uppercase(),
            valid.replacen("00-", "ff-", 1),
            format!("{valid}-more"),
            valid.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            valid.replace("00f067aa0ba902b7", &"0".repeat(16)),
            valid.replace("4736", "473"),
            String::new(),
            "00--".to_owned(),
        ] {
            assert_eq!(TraceParent::read(invalid.as_bytes()), None, "{invalid}");
        }
    }
}
