//! What became of each shadow request, readable by another thread while the engine runs.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use enum_map::{Enum, EnumMap};
use serde::Serialize;
use strum::IntoStaticStr;

use super::by_rule::RuleCounts;
use super::log::Trace;
use super::times::{Quantiles, Times};
use crate::rules::tag::NotSent;
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::Counts;
use crate::stats::{Account, Responses, Seam};

/// Why a shadow request was not answered: "it was …", or "it ended in …". Never retried once a byte was
/// sent: the target may have acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotDelivered {
    /// Not seen, or not a request.
    NoRequest,
    /// Not seen whole.
    Incomplete,
    /// Readable in two ways.
    Ambiguous,
    /// CONNECT, or an Upgrade to another protocol.
    Tunnel,
    /// Longer in its body than what is kept of one.
    BodyTooLarge,
    /// Captured without its body.
    BodyNotKept,
    /// Not readable where it was to be redacted; `bodies withheld` says why.
    Unredactable,
    /// Kept in a file that could not be read again.
    BodyUnreadable,
    /// Captured before the time from which the replay was to go, or after the one up to which.
    OutsideTime,
    /// Of a connection whose turn did not come yet.
    Ramping,
    /// Of a connection, or a request, beyond the rate.
    OverRate,
    /// Not sent any more, as too much failed at the target or in production.
    RampStopped,
    /// More than the queue holds.
    QueueFull,
    /// Waiting, and gave its room to a newer one.
    Displaced,
    /// Of a rule with low priority, while half of the queue was full.
    Shed,
    /// A connection that the target refused.
    ConnectRefused,
    /// A connection that was not made in time.
    ConnectTimeout,
    /// A connection that could not be made for another reason: no route, no local port.
    ConnectFailed,
    /// A connection for which this process, or this host, had no descriptor left.
    NoDescriptor,
    /// A tunnel that the proxy before the target did not open.
    ProxyRefused,
    /// Not sent, as the target's name now means an address that is captured itself.
    TargetCaptured,
    /// A TLS handshake that failed: the target is not who it should be, or speaks no TLS.
    HandshakeFailed,
    /// Not sent, as the target had failed too often shortly before.
    BreakerOpen,
    /// A reset before the answer was whole.
    Reset,
    /// The target's close before the answer was whole.
    Closed,
    /// Silence for too long, or an answer that took too long.
    AnswerTimeout,
    /// Something that is no HTTP/1 answer.
    BadAnswer,
    /// Still waiting when the replay was stopped.
    Stopped,
}

/// Whose doing it is that a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum Blame {
    /// The target, or the way to it.
    Target,
    /// The capture, or the request itself: there was nothing that could be sent.
    Capture,
    /// The replay, which holds and waits for so much and no more, or was stopped.
    Replay,
    /// The operator, who asked for a part of the capture.
    Choice,
}

impl NotDelivered {
    /// Whose doing it is.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::NoRequest
            | Self::Incomplete
            | Self::Ambiguous
            | Self::Tunnel
            | Self::BodyTooLarge
            | Self::BodyNotKept
            | Self::Unredactable => Blame::Capture,
            Self::OutsideTime | Self::Ramping | Self::OverRate | Self::RampStopped => Blame::Choice,
            Self::BodyUnreadable
            | Self::QueueFull
            | Self::Displaced
            | Self::Shed
            | Self::NoDescriptor
            | Self::Stopped => Blame::Replay,
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectFailed
            | Self::ProxyRefused
            | Self::TargetCaptured
            | Self::HandshakeFailed
            | Self::BreakerOpen
            | Self::Reset
            | Self::Closed
            | Self::AnswerTimeout
            | Self::BadAnswer => Blame::Target,
        }
    }
}

impl NotDelivered {
    /// True for what another attempt may not meet again.
    pub(in crate::sink::replay) fn may_pass(self) -> bool {
        self.blame() == Blame::Target && !matches!(self, Self::TargetCaptured | Self::BreakerOpen)
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

/// A moment of a running replay. offered = answered + in flight + queued + the sum over dropped.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayProgress {
    /// Requests that were to be replayed.
    pub offered: u64,
    /// Requests of which at least a part was written to the target.
    pub sent: u64,
    /// Requests whose answer was read to its end.
    pub answered: u64,
    /// Answers by the first digit of their status, from 1xx (always 0: not final) to 5xx.
    pub classes: [u64; 5],
    /// Requests that wait for their answer.
    pub in_flight: u64,
    /// Requests that wait for their time or their turn, those in flight not among them.
    pub queued: u64,
    /// Open connections to the target.
    pub connections: u64,
    /// Connections made so far.
    pub connected: u64,
    /// Requests that had no host to mark.
    pub host_missing: u64,
    /// How long it is until the next request is due, where that is long and nothing is under way.
    #[serde(skip)]
    pub next_in: Option<Duration>,
    /// How long after their time requests were sent; live, after they were captured whole.
    pub late: Quantiles,
    /// How long the target took for those that were answered, from when they were sent.
    pub service: Quantiles,
    /// The same from when they were due.
    pub response: Quantiles,
    /// The others, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// The same, by whose doing it is.
    #[serde(skip)]
    pub blame: EnumMap<Blame, u64>,
}

/// What became of requests, read at one moment: offered = answered + outstanding + the sum over
/// dropped.
struct OfRequests {
    offered: u64,
    answered: u64,
    /// Those that wait for their answer.
    in_flight: u64,
    dropped: EnumMap<NotDelivered, u64>,
}

impl OfRequests {
    /// Those that wait for their time, their turn, or their answer.
    fn outstanding(&self) -> u64 {
        let settled = self.dropped.values().fold(self.answered, |sum, n| sum.saturating_add(*n));
        self.offered.saturating_sub(settled)
    }

    /// Every reason, zeros included.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.dropped.iter().map(|(why, n)| (why.into(), *n)).collect()
    }

    fn blame(&self) -> EnumMap<Blame, u64> {
        let mut blame = EnumMap::default();
        for (why, n) in &self.dropped {
            blame[why.blame()] += n;
        }
        blame
    }
}

/// What became of requests as far as the target had to do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sink::replay) struct Outcomes {
    /// Not answered, or answered with 5xx.
    pub(in crate::sink::replay) failed: u64,
    /// All of them.
    pub(in crate::sink::replay) all: u64,
}

/// Who else is told how a request ended.
#[derive(Default)]
pub(in crate::sink::replay) struct Told {
    /// Its line in the log.
    pub(in crate::sink::replay) trace: Option<Box<Trace>>,
    /// The counters of its rule.
    pub(in crate::sink::replay) rule: Option<Arc<RuleCounts>>,
}

/// Answers by the first digit of their status, from 1xx to 5xx.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct Classes([AtomicU64; 5]);

impl Classes {
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
    /// How often a request was tried again of which nothing was sent.
    pub(in crate::sink::replay) retried: AtomicU64,
    /// Requests that met a closing connection and were sent once more.
    pub(in crate::sink::replay) resent: AtomicU64,
    /// Requests that were late because of the one before them.
    pub(in crate::sink::replay) behind: AtomicU64,
    /// How often the breaker opened.
    pub(in crate::sink::replay) breaker_opened: AtomicU64,
    /// True once a connection failed for want of a descriptor.
    pub(in crate::sink::replay) short_of_descriptors: AtomicBool,
    classes: Classes,
    /// Responses with 400, 404 or 421.
    refused: AtomicU64,
    /// When the next request is due, in milliseconds since `began`; 0 where that is soon.
    next_due: AtomicU64,
    began: Instant,
    dropped: EnumMap<NotDelivered, AtomicU64>,
    pub(in crate::sink::replay) times: Times,
    /// What became of values that differ.
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
            classes: Classes::default(),
            refused: AtomicU64::default(),
            next_due: AtomicU64::default(),
            began: now(),
            dropped: EnumMap::default(),
            times: Times::new(),
            correlated: Counts::default(),
        }
    }

    /// Counts and logs how a request ended.
    pub(in crate::sink::replay) fn settle(&self, outcome: Result<u16, NotDelivered>, told: Told) {
        match outcome {
            Ok(status) => self.count_answer(status),
            Err(why) => self.count_dropped(why),
        }
        if let Some(trace) = told.trace {
            trace.settle(outcome);
        }
        if let Some(rule) = told.rule {
            rule.settle(outcome);
        }
    }

    fn count_answer(&self, status: u16) {
        self.answered.fetch_add(1, Release);
        self.classes.count(status);
        if Responses::is_refusal(status) {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    /// What the target answered so far.
    pub(in crate::sink::replay) fn responses(&self) -> Responses {
        Responses { all: self.answered.load(Relaxed), refused: self.refused.load(Relaxed) }
    }

    /// Shows when the next request is due; `None` where that is soon.
    pub(in crate::sink::replay) fn show_next(&self, due: Option<Instant>) {
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

    /// What came of the requests so far, such that no sum is torn by what the engine counts
    /// meanwhile. Each request is offered before it is in flight, and settled after: in the
    /// opposite order, none is seen that was not seen before.
    fn of_requests(&self) -> OfRequests {
        let answered = self.answered.load(Acquire);
        let dropped = EnumMap::from_fn(|why| self.dropped[why].load(Acquire));
        let in_flight = self.in_flight.load(Acquire);
        OfRequests { answered, dropped, in_flight, offered: self.offered.load(Relaxed) }
    }

    pub(in crate::sink::replay) fn progress(&self) -> ReplayProgress {
        let times = self.times.now();
        let now = self.of_requests();
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
            blame: now.blame(),
        }
    }

    fn blame(&self) -> EnumMap<Blame, u64> {
        self.of_requests().blame()
    }

    pub(in crate::sink::replay) fn outcomes(&self) -> Outcomes {
        let [.., errors] = self.classes.now();
        let unanswered = self.blame()[Blame::Target];
        Outcomes {
            failed: unanswered.saturating_add(errors),
            all: unanswered.saturating_add(self.answered.load(Relaxed)),
        }
    }

    pub(in crate::sink::replay) fn account(&self) -> Account {
        let now = self.of_requests();
        Account {
            seen: now.offered,
            delivered: now.answered,
            in_flight: now.outstanding(),
            dropped: now.dropped(),
            ..Account::new(Seam::ShadowRequests)
        }
    }
}
