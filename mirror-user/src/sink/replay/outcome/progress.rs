//! Counts the outcome of each shadow request. Other threads can read the counters while the engine
//! runs.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::time::{Duration, Instant};

use enum_map::EnumMap;
use serde::Serialize;

use super::figures::ReplayFigures;
use super::groups::GroupCounts;
use super::log::LogEntry;
use super::not_delivered::{Attribution, NotDelivered};
use super::observer::{Observed, ShadowResponse};
use super::span::OpenSpan;
use super::times::{Quantiles, Times};
use crate::sink::replay::clock::now;
use crate::sink::replay::correlate::Counts;
use crate::sink::replay::load::breaker::BreakerState;
use crate::stats::{Account, Responses, Seam};

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

    fn account(&self) -> Account {
        Account {
            seen: self.offered,
            delivered: self.answered,
            in_flight: self.outstanding(),
            dropped: self.dropped(),
            ..Account::new(Seam::ShadowRequests)
        }
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
    /// The counters of its rule and its origin.
    pub(in crate::sink::replay) group: Option<Arc<GroupCounts>>,
    /// Its span.
    pub(in crate::sink::replay) span: Option<Box<OpenSpan>>,
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
            counter.fetch_add(1, Release);
        }
    }

    pub(in crate::sink::replay) fn now(&self) -> [u64; 5] {
        self.0.each_ref().map(|count| count.load(Acquire))
    }

    pub(in crate::sink::replay) fn add(&self, more: &Self) {
        for (count, more) in self.0.iter().zip(more.now()) {
            count.fetch_add(more, Relaxed);
        }
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
    /// Requests that the target was asked again and responded to.
    pub(in crate::sink::replay) again: AtomicU64,
    /// And those that it did not respond to again.
    pub(in crate::sink::replay) again_failed: AtomicU64,
    /// Requests that were late because of the one before them.
    pub(in crate::sink::replay) behind: AtomicU64,
    /// Responses whose body was not kept, because those of others took the memory.
    pub(in crate::sink::replay) no_room: AtomicU64,
    /// How often the circuit breaker opened.
    pub(in crate::sink::replay) breaker_opened: AtomicU64,
    /// The state of the circuit breaker, as a number.
    breaker: AtomicU8,
    /// The bits of the share of connections that the ramp admits.
    ramp: AtomicU64,
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
            again: AtomicU64::default(),
            again_failed: AtomicU64::default(),
            behind: AtomicU64::default(),
            no_room: AtomicU64::default(),
            breaker_opened: AtomicU64::default(),
            breaker: AtomicU8::new(BreakerState::Closed as u8),
            ramp: AtomicU64::new(1.0_f64.to_bits()),
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
        if let Some(group) = observers.group {
            group.settle(status);
        }
        if let Some(span) = observers.span {
            span.settle(status);
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

    /// Shows the state of the circuit breaker to other threads.
    pub(in crate::sink::replay) fn set_breaker(&self, state: BreakerState) {
        self.breaker.store(state as u8, Relaxed);
    }

    /// Shows the share of connections that the ramp admits to other threads.
    pub(in crate::sink::replay) fn set_ramp(&self, share: f64) {
        self.ramp.store(share.to_bits(), Relaxed);
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

    /// The counters so far, without those by rule and origin.
    pub(in crate::sink::replay) fn figures(&self) -> ReplayFigures {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let [late, service, response] = self.times.distributions();
        let counts = self.request_counts();
        ReplayFigures {
            failed: counts.attribution()[Attribution::Target],
            sent: of(&self.sent),
            classes: self.classes.now(),
            connections: of(&self.connections),
            connected: of(&self.connected),
            retried: of(&self.retried).saturating_add(of(&self.resent)),
            breaker_opened: of(&self.breaker_opened),
            breaker: BreakerState::numbered(self.breaker.load(Relaxed)),
            ramp: f64::from_bits(of(&self.ramp)),
            late,
            service,
            response,
            ..ReplayFigures::new(counts.account())
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
        self.request_counts().account()
    }

    /// Requests that were offered, and those of them for which there was no room.
    pub(in crate::sink::replay) fn offered_and_not_taken(&self) -> [u64; 2] {
        let counts = self.request_counts();
        let not_taken = counts.dropped.iter().filter(|(why, _)| why.was_not_taken());
        [counts.offered, not_taken.map(|(_, n)| n).sum()]
    }
}
