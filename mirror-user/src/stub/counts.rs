//! What became of the requests to a stub server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use enum_map::{Enum, EnumMap};
use mirror_compare::endpoint::Endpoints;
use strum::IntoStaticStr;

use crate::stats::{Account, Note, Seam, Topic};

/// Why a request did not get a recorded response: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotServed {
    /// Like no recorded one.
    Missed,
    /// Like recorded ones of several hosts, and did not say which it meant.
    Ambiguous,
    /// Asked more often than it was recorded, with `--after-last fail`.
    Exhausted,
    /// Passed on, because its host is on the allow list.
    Passed,
    /// To be passed on, and its host could not be reached or broke off.
    PassFailed,
    /// Reset or given another status on purpose.
    Fault,
    /// Not HTTP/1, or such that a server must refuse it.
    Malformed,
    /// Longer than the limits.
    TooLarge,
    /// Begun, and not whole in time or before its connection ended.
    Unfinished,
    /// Answered, and its client did not read the response.
    NotRead,
    /// One too many for the memory of all requests.
    NoRoom,
    /// Under way when the server was stopped.
    Stopped,
}

impl NotServed {
    /// True for a request that the recordings should have had.
    #[must_use]
    pub const fn is_miss(self) -> bool {
        matches!(self, Self::Missed | Self::Ambiguous | Self::Exhausted)
    }
}

/// Counts of a stub server.
#[derive(Default)]
pub struct Counts {
    seen: AtomicU64,
    served: AtomicU64,
    not_served: EnumMap<NotServed, AtomicU64>,
    /// Connections so far.
    connections: AtomicU64,
    /// Those of them that were made secure by TLS, and those that failed to be.
    secured: AtomicU64,
    handshakes_failed: AtomicU64,
    /// CONNECT that was answered with a tunnel. It is no request for a recorded response.
    tunnels: AtomicU64,
    misses: Mutex<Misses>,
}

/// Misses by the kind of request.
#[derive(Default)]
struct Misses {
    endpoints: Endpoints,
    count: HashMap<String, u64>,
}

impl Counts {
    pub(super) fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn tunnel(&self) {
        self.tunnels.fetch_add(1, Relaxed);
    }

    /// A handshake of TLS has ended.
    pub(super) fn handshake(&self, is_done: bool) {
        let counter = if is_done { &self.secured } else { &self.handshakes_failed };
        counter.fetch_add(1, Relaxed);
    }

    /// A request came, or the beginning of one.
    pub(super) fn saw(&self) {
        self.seen.fetch_add(1, Relaxed);
    }

    /// So many recorded responses were handed to the kernel.
    pub(super) fn served(&self, responses: u64) {
        self.served.fetch_add(responses, Relaxed);
    }

    pub(super) fn not_served(&self, why: NotServed, requests: u64) {
        self.not_served[why].fetch_add(requests, Relaxed);
    }

    /// A request was like no recorded one.
    pub(super) fn missed(&self, why: NotServed, method: &[u8], target: &[u8]) {
        self.not_served(why, 1);
        let (method, target) = (String::from_utf8_lossy(method), String::from_utf8_lossy(target));
        let mut misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
        let Misses { endpoints, count } = &mut *misses;
        let name = endpoints.name(&method, &target);
        *count.entry(name).or_default() += 1;
        if endpoints.take_renamed() {
            let mut renamed = HashMap::new();
            for (name, n) in count.drain() {
                *renamed.entry(endpoints.renamed(&name)).or_default() += n;
            }
            *count = renamed;
        }
    }

    /// Requests without a recorded response that should have had one, and all requests.
    #[must_use]
    pub fn misses(&self) -> (u64, u64) {
        let account = self.account();
        let missed = self.not_served.iter().filter(|(why, _)| why.is_miss());
        (missed.map(|(_, n)| n.load(Relaxed)).sum(), account.seen)
    }

    /// What became of requests so far.
    #[must_use]
    pub fn account(&self) -> Account {
        // What came out is read before what came in, so that it never is more.
        let dropped = self.not_served.iter().map(|(why, n)| (why.into(), n.load(Relaxed)));
        let dropped = dropped.collect();
        let delivered = self.served.load(Relaxed);
        let seen = self.seen.load(Relaxed);
        let account = Account { seen, delivered, dropped, ..Account::new(Seam::StubRequests) };
        account.with_rest_in_flight()
    }

    /// The server has ended: what was under way is counted.
    pub(super) fn stop(&self) {
        self.not_served(NotServed::Stopped, self.account().in_flight);
    }

    /// Misses by the kind of request, those of most first, and connections.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<(String, u64)> =
            misses.count.iter().map(|(name, n)| (name.clone(), *n)).collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let connections = [
            ("opened", &self.connections),
            ("secured", &self.secured),
            ("handshakes_failed", &self.handshakes_failed),
            ("tunnels", &self.tunnels),
        ];
        let connections = connections.map(|(name, count)| (name, count.load(Relaxed)));
        let notes =
            [Note::new(Topic::StubMisses, sorted), Note::new(Topic::StubConnections, connections)];
        notes.into_iter().flatten().collect()
    }
}
