//! What became of each shadow request, readable by another thread while the engine runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use enum_map::{Enum, EnumMap};
use hdrhistogram::Histogram;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::rules::tag::NotSent;
use crate::stats::Account;

/// Lateness beyond this is recorded as this. One minute late is no replay in time any more.
const MAX_LATENESS_MICROS: u64 = 60_000_000;

/// Why a shadow request was not answered: "it was …", or "it ended in …". Never retried: the
/// target may have acted on it.
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
    /// More than the queue holds.
    QueueFull,
    /// A connection that the target refused.
    ConnectRefused,
    /// A connection that was not made in time.
    ConnectTimeout,
    /// A connection that could not be made for another reason: no route, no local port.
    ConnectFailed,
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
    /// Half of the requests were sent at most so long after their time. Recorded pace only.
    pub late_p50: Duration,
    /// 99 of 100 requests were sent at most so long after their time. Recorded pace only.
    pub late_p99: Duration,
    /// The others, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

/// The counters behind [`ReplayProgress`]. Each is written by one thread at a time.
pub(super) struct Counters {
    pub(super) offered: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connected: AtomicU64,
    pub(super) host_missing: AtomicU64,
    /// True once the kernel refused the socket mark.
    pub(super) unmarked: AtomicBool,
    classes: [AtomicU64; 5],
    dropped: EnumMap<NotDelivered, AtomicU64>,
    late_micros: Mutex<Histogram<u64>>,
}

impl Counters {
    pub(super) fn new() -> Self {
        let late_micros = Histogram::new_with_bounds(1, MAX_LATENESS_MICROS, 3)
            .expect("the bounds are in order and three digits are allowed");
        Self {
            offered: AtomicU64::default(),
            sent: AtomicU64::default(),
            answered: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            connections: AtomicU64::default(),
            connected: AtomicU64::default(),
            host_missing: AtomicU64::default(),
            unmarked: AtomicBool::default(),
            classes: Default::default(),
            dropped: EnumMap::default(),
            late_micros: Mutex::new(late_micros),
        }
    }

    pub(super) fn count_answer(&self, status: u16) {
        self.answered.fetch_add(1, Relaxed);
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.classes.get(class)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count_dropped(&self, why: NotDelivered) {
        self.dropped[why].fetch_add(1, Relaxed);
    }

    pub(super) fn record_late(&self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.late().saturating_record(micros);
    }

    fn late(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.late_micros.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let counts = self.dropped.iter().map(|(why, count)| (why.into(), count.load(Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn progress(&self, outstanding: u64) -> ReplayProgress {
        let late = |quantile| {
            let late = self.late();
            let micros = if late.is_empty() { 0 } else { late.value_at_quantile(quantile) };
            Duration::from_micros(micros)
        };
        let in_flight = self.in_flight.load(Relaxed);
        ReplayProgress {
            offered: self.offered.load(Relaxed),
            sent: self.sent.load(Relaxed),
            answered: self.answered.load(Relaxed),
            classes: self.classes.each_ref().map(|count| count.load(Relaxed)),
            in_flight,
            queued: outstanding.saturating_sub(in_flight),
            connections: self.connections.load(Relaxed),
            connected: self.connected.load(Relaxed),
            host_missing: self.host_missing.load(Relaxed),
            late_p50: late(0.5),
            late_p99: late(0.99),
            dropped: self.dropped(),
        }
    }

    pub(super) fn account(&self) -> Account {
        Account {
            name: "shadow requests",
            seen: self.offered.load(Relaxed),
            delivered: self.answered.load(Relaxed),
            dropped: self.dropped(),
        }
    }
}
