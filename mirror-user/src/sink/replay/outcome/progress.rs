//! Counts the outcome of each shadow request. Other threads can read the counters while the engine
//! runs.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use enum_map::{Enum, EnumMap};
use serde::Serialize;
use strum::IntoStaticStr;

use super::by_rule::RuleCounts;
use super::log::LogEntry;
use super::observer::{Observed, ShadowResponse};
use super::times::{Quantiles, Times};
use crate::rules::tag::NotSent;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::Counts;
use crate::stats::{Account, Responses, Seam};

/// Why a shadow request has no response. Once a byte was sent it is not retried, because the target
/// may have acted on it; [`ReplayOptions::resend`](crate::sink::replay::ReplayOptions::resend)
/// names the one exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotDelivered {
    /// The request was not captured, or is not a request.
    NoRequest,
    /// The request was not captured completely.
    Incomplete,
    /// The request can be parsed in more than one way.
    Ambiguous,
    /// The request is a CONNECT, or asks for an upgrade to another protocol.
    Tunnel,
    /// The body is longer than the part that is kept.
    BodyTooLarge,
    /// The body was not captured.
    BodyNotKept,
    /// The body could not be parsed for redaction; `bodies withheld` says why.
    Unredactable,
    /// The body is in a file that could not be read.
    BodyUnreadable,
    /// The request was captured outside the time window of the replay.
    OutsideTime,
    /// The ramp does not admit the request's connection yet.
    Ramping,
    /// The request, or its connection, exceeds the rate cap.
    OverRate,
    /// The ramp has stopped, because too many requests failed at the target or in production.
    RampStopped,
    /// The queue was full.
    QueueFull,
    /// The request was dropped from the queue for a newer one.
    Displaced,
    /// The request has low priority, and half of the queue was full.
    Shed,
    /// The target refused the connection.
    ConnectRefused,
    /// The connection was not established before the deadline.
    ConnectTimeout,
    /// The connection failed for another reason, such as no route or no local port.
    ConnectFailed,
    /// This process, or this host, had no file descriptor left for a connection.
    NoDescriptor,
    /// The proxy in front of the target did not open a tunnel.
    ProxyRefused,
    /// The target's name now resolves to an address that is captured itself.
    TargetCaptured,
    /// The TLS handshake failed: the target could not be verified, or does not use TLS.
    HandshakeFailed,
    /// The circuit breaker was open.
    BreakerOpen,
    /// The connection was reset before the response was complete.
    Reset,
    /// The target closed the connection before the response was complete.
    Closed,
    /// The response did not begin or end before its deadline.
    #[strum(serialize = "answer_timeout")]
    ResponseTimeout,
    /// The target sent something that is not an HTTP/1 response.
    #[strum(serialize = "bad_answer")]
    InvalidResponse,
    /// The request still waited when the replay was stopped.
    Stopped,
}

/// Who or what caused a request to have no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Attribution {
    /// The target, or the path to it.
    Target,
    /// The capture, or the request itself: it could not be sent.
    Capture,
    /// The replay: one of its limits, or its end.
    Replay,
    /// The operator, who selected a part of the capture.
    Operator,
}

impl NotDelivered {
    /// Who or what caused it.
    #[must_use]
    pub fn attribution(self) -> Attribution {
        match self {
            Self::NoRequest
            | Self::Incomplete
            | Self::Ambiguous
            | Self::Tunnel
            | Self::BodyTooLarge
            | Self::BodyNotKept
            | Self::Unredactable => Attribution::Capture,
            Self::OutsideTime | Self::Ramping | Self::OverRate | Self::RampStopped => {
                Attribution::Operator
            }
            Self::BodyUnreadable
            | Self::QueueFull
            | Self::Displaced
            | Self::Shed
            | Self::NoDescriptor
            | Self::Stopped => Attribution::Replay,
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::ProxyRefused
            | Self::TargetCaptured
            | Self::HandshakeFailed
            | Self::BreakerOpen
            | Self::Reset
            | Self::Closed
            | Self::ResponseTimeout
            | Self::InvalidResponse => Attribution::Target,
        }
    }
}

impl NotDelivered {
    /// True if another attempt may succeed.
    pub(in crate::sink::replay) fn may_retry(self) -> bool {
        self.attribution() == Attribution::Target
            && !matches!(self, Self::TargetCaptured | Self::BreakerOpen)
    }
}

impl From<NotSent> for NotDelivered {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::NoRequest => Self::NoRequest,
            NotSent::Incomplete => Self::Incomplete,
            NotSent::Ambiguous => Self::Ambiguous,
            NotSent::Tunnel => Self::Tunnel,
            NotSent::BodyTooLarge => Self::BodyTooLarge,
            NotSent::BodyNotKept => Self::BodyNotKept,
            NotSent::Unredactable => Self::Unredactable,
        }
    }
}

/// A snapshot of a running replay: offered = answered + in flight + queued + the sum over dropped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayProgress {
    /// Requests that were to be replayed.
    pub offered: u64,
    /// Requests of which at least a part was written to the target.
    pub sent: u64,
    /// Requests whose response was read to its end.
    pub answered: u64,
    /// Responses by the first digit of their status, from 1xx (always 0: not final) to 5xx.
    pub classes: [u64; 5],
    /// Requests that wait for their response.
    pub in_flight: u64,
    /// Requests that wait until they are due or for earlier ones, without those in flight.
    pub queued: u64,
    /// Open connections to the target.
    pub connections: u64,
    /// Connections made so far.
    pub connected: u64,
    /// Requests that had no host to mark.
    pub host_missing: u64,
    /// Time until the next request is due, if it is long and nothing is in flight.
    #[serde(skip)]
    pub next_in: Option<Duration>,
    /// How late requests were sent: after they were due or, in a live replay, after they were
    /// captured completely.
    pub late: Quantiles,
    /// Time from sending a request to the end of its response.
    pub service: Quantiles,
    /// Time from when a request was due to the end of its response.
    pub response: Quantiles,
    /// Requests without a response, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// The same requests, by attribution.
    #[serde(skip)]
    pub attribution: EnumMap<Attribution, u64>,
}

/// A consistent snapshot of the requests' outcomes: offered = answered + outstanding + the sum over
/// dropped.
struct RequestCounts {
    offered: u64,
    answered: u64,
    /// Requests that wait for their response.
    in_flight: u64,
    dropped: EnumMap<NotDelivered, u64>,
}

impl RequestCounts {
    /// Requests without an outcome.
    fn outstanding(&self) -> u64 {
        let settled = self.dropped.values().fold(self.answered, |sum, n| sum.saturating_add(*n));
        self.offered.saturating_sub(settled)
    }

    /// Every reason, zeros included.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.dropped.iter().map(|(why, n)| (why.into(), *n)).collect()
    }

    fn attribution(&self) -> EnumMap<Attribution, u64> {
        let mut attribution = EnumMap::default();
        for (why, n) in &self.dropped {
            attribution[why.attribution()] += n;
        }
        attribution
    }
}

/// The outcomes that are attributed to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sink::replay) struct Outcomes {
    /// Requests without a response, or with a 5xx response.
    pub(in crate::sink::replay) failed: u64,
    /// All requests with such an outcome.
    pub(in crate::sink::replay) all: u64,
}

/// What records a request's outcome besides the counters.
#[derive(Default)]
pub(in crate::sink::replay) struct Observers {
    /// Its entry in the request log.
    pub(in crate::sink::replay) log_entry: Option<Box<LogEntry>>,
    /// The counters of its rule.
    pub(in crate::sink::replay) rule: Option<Arc<RuleCounts>>,
    /// Who looks at the response.
    pub(in crate::sink::replay) observed: Option<Box<Observed>>,
}

/// Responses by the first digit of their status, from 1xx to 5xx.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct StatusClasses([AtomicU64; 5]);

impl StatusClasses {
    pub(in crate::sink::replay) fn count(&self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.0.get(class)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(in crate::sink::replay) fn now(&self) -> [u64; 5] {
        self.0.each_ref().map(|count| count.load(Relaxed))
    }
}

/// The counters behind [`ReplayProgress`]. Each is written by one thread at a time.
pub(in crate::sink::replay) struct Counters {
    pub(in crate::sink::replay) offered: AtomicU64,
    pub(in crate::sink::replay) sent: AtomicU64,
    pub(in crate::sink::replay) answered: AtomicU64,
    pub(in crate::sink::replay) in_flight: AtomicU64,
    pub(in crate::sink::replay) connections: AtomicU64,
    pub(in crate::sink::replay) connected: AtomicU64,
    pub(in crate::sink::replay) host_missing: AtomicU64,
    /// Retries of requests of which no byte was sent.
    pub(in crate::sink::replay) retried: AtomicU64,
    /// Requests that were sent again because their connection was closing.
    pub(in crate::sink::replay) resent: AtomicU64,
    /// Requests that were late because of the one before them.
    pub(in crate::sink::replay) behind: AtomicU64,
    /// How often the circuit breaker opened.
    pub(in crate::sink::replay) breaker_opened: AtomicU64,
    /// True once a connection failed because no descriptor was left.
    pub(in crate::sink::replay) short_of_descriptors: AtomicBool,
    classes: StatusClasses,
    /// Responses with 400, 404 or 421.
    refused: AtomicU64,
    /// When the next request is due, in milliseconds since `began`; 0 if that is soon.
    next_due: AtomicU64,
    began: Instant,
    dropped: EnumMap<NotDelivered, AtomicU64>,
    pub(in crate::sink::replay) times: Times,
    /// What correlation did.
    pub(in crate::sink::replay) correlated: Counts,
}

impl Counters {
    pub(in crate::sink::replay) fn new() -> Self {
        Self {
            offered: AtomicU64::default(),
            sent: AtomicU64::default(),
            answered: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            connections: AtomicU64::default(),
            connected: AtomicU64::default(),
            host_missing: AtomicU64::default(),
            retried: AtomicU64::default(),
            resent: AtomicU64::default(),
            behind: AtomicU64::default(),
            breaker_opened: AtomicU64::default(),
            short_of_descriptors: AtomicBool::default(),
            classes: StatusClasses::default(),
            refused: AtomicU64::default(),
            next_due: AtomicU64::default(),
            began: now(),
            dropped: EnumMap::default(),
            times: Times::new(),
            correlated: Counts::default(),
        }
    }

    /// Counts and logs the outcome of a request.
    pub(in crate::sink::replay) fn settle(
        &self,
        outcome: Result<ShadowResponse, NotDelivered>,
        observers: Observers,
    ) {
        let status = outcome.as_ref().map(|response| response.status).map_err(|why| *why);
        match status {
            Ok(status) => self.count_response(status),
            Err(why) => self.count_dropped(why),
        }
        if let Some(entry) = observers.log_entry {
            entry.settle(status);
        }
        if let Some(rule) = observers.rule {
            rule.settle(status);
        }
        if let Some(observed) = observers.observed {
            observed.settle(outcome);
        }
    }

    fn count_response(&self, status: u16) {
        self.answered.fetch_add(1, Release);
        self.classes.count(status);
        if Responses::is_refusal(status) {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    /// The target's responses so far.
    pub(in crate::sink::replay) fn responses(&self) -> Responses {
        Responses { all: self.answered.load(Relaxed), refused: self.refused.load(Relaxed) }
    }

    /// Sets when the next request is due; `None` if that is soon.
    pub(in crate::sink::replay) fn set_next_due(&self, due: Option<Instant>) {
        let millis = due.map(|due| due.saturating_duration_since(self.began).as_millis());
        let millis = u64::try_from(millis.unwrap_or_default()).unwrap_or(u64::MAX);
        self.next_due.store(millis, Relaxed);
    }

    fn next_in(&self) -> Option<Duration> {
        let due = Duration::from_millis(self.next_due.load(Relaxed));
        due.checked_sub(now().saturating_duration_since(self.began))
    }

    fn count_dropped(&self, why: NotDelivered) {
        self.dropped[why].fetch_add(1, Release);
    }

    /// Reads the outcomes so far, such that the sums hold although the engine counts at the same
    /// time. A request is first offered, then in flight, then settled. Reading in the opposite
    /// order never finds an outcome of a request that is not in `offered`.
    fn request_counts(&self) -> RequestCounts {
        let answered = self.answered.load(Acquire);
        let dropped = EnumMap::from_fn(|why| self.dropped[why].load(Acquire));
        let in_flight = self.in_flight.load(Acquire);
        RequestCounts { answered, dropped, in_flight, offered: self.offered.load(Relaxed) }
    }

    pub(in crate::sink::replay) fn progress(&self) -> ReplayProgress {
        let times = self.times.now();
        let now = self.request_counts();
        ReplayProgress {
            offered: now.offered,
            sent: self.sent.load(Relaxed),
            answered: now.answered,
            classes: self.classes.now(),
            next_in: self.next_in(),
            in_flight: now.in_flight,
            queued: now.outstanding().saturating_sub(now.in_flight),
            connections: self.connections.load(Relaxed),
            connected: self.connected.load(Relaxed),
            host_missing: self.host_missing.load(Relaxed),
            late: times.late,
            service: times.service,
            response: times.response,
            dropped: now.dropped().into_iter().filter(|(_, n)| *n > 0).collect(),
            attribution: now.attribution(),
        }
    }

    fn attribution(&self) -> EnumMap<Attribution, u64> {
        self.request_counts().attribution()
    }

    pub(in crate::sink::replay) fn outcomes(&self) -> Outcomes {
        let [.., errors] = self.classes.now();
        let unanswered = self.attribution()[Attribution::Target];
        Outcomes {
            failed: unanswered.saturating_add(errors),
            all: unanswered.saturating_add(self.answered.load(Relaxed)),
        }
    }

    pub(in crate::sink::replay) fn account(&self) -> Account {
        let now = self.request_counts();
        Account {
            seen: now.offered,
            delivered: now.answered,
            in_flight: now.outstanding(),
            dropped: now.dropped(),
            ..Account::new(Seam::ShadowRequests)
        }
    }
}
