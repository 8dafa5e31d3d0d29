//! What was seen of each collaborator.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use crate::beginnings::Protocol;
use crate::http::message::{Exchange, Message};
use crate::sink::jsonl::text;

/// Methods that are told apart; requests with others are counted under [`OTHER`].
const MAX_METHODS: usize = 20;
/// The name of methods beyond [`MAX_METHODS`].
const OTHER: &str = "(other)";
/// Addresses of one name that are listed.
const MAX_ADDRESSES: usize = 100;

/// How a collaborator is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaks {
    /// HTTP/1, which can be read.
    Http,
    /// Through a proxy that was asked to CONNECT: what is said inside is not known.
    Tunnel,
    /// TLS.
    Tls,
    /// HTTP/2 without TLS.
    Http2,
    /// Something else, such as a database's protocol.
    Other,
}

impl Speaks {
    /// What a connection began with; `None` for HTTP/1, of which exchanges tell more.
    pub(super) fn of(protocol: &Protocol) -> Option<Self> {
        Some(match protocol {
            Protocol::Http1 => return None,
            Protocol::Http2 => Self::Http2,
            Protocol::Tls(_) => Self::Tls,
            Protocol::Unknown => Self::Other,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tunnel => "tunnel",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Other => "other",
        }
    }
}

/// What was said to a collaborator.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Seen {
    /// Its addresses, at most 100.
    #[serde(serialize_with = "as_texts")]
    pub addresses: BTreeSet<SocketAddr>,
    /// Connections, where their first request was seen.
    pub connections: u64,
    /// Requests.
    pub requests: u64,
    /// Requests with a method that may change something: any but GET, HEAD, OPTIONS and TRACE (RFC 9110 §9.2.1).
    pub unsafe_requests: u64,
    /// Requests by their method.
    pub methods: BTreeMap<String, u64>,
    /// Responses by their status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a response.
    pub unanswered: u64,
}

fn as_texts<S: Serializer>(ends: &BTreeSet<SocketAddr>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(ends.iter().map(ToString::to_string))
}

impl Seen {
    /// A connection that is not HTTP.
    pub(super) fn connection(&mut self, server: SocketAddr) {
        self.addresses.insert(server);
        self.connections += 1;
    }

    /// A request to this server, and what became of it.
    pub(super) fn exchange(&mut self, exchange: &Exchange, request: &Message) {
        self.addresses.insert(exchange.peers.server);
        self.connections += u64::from(exchange.id.index == 0);
        self.requests += 1;
        let method = text(request.head.method());
        self.unsafe_requests += u64::from(!is_safe(&method));
        let method = match self.methods.len() < MAX_METHODS || self.methods.contains_key(&*method) {
            true => &*method,
            false => OTHER,
        };
        *self.methods.entry(method.to_owned()).or_default() += 1;
        match exchange.response.as_ref().and_then(|response| response.head.status()) {
            Some(status) => *self.statuses.entry(status).or_default() += 1,
            None => self.unanswered += 1,
        }
    }

    /// Adds what was seen of the same collaborator from elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        for address in other.addresses {
            if self.addresses.len() < MAX_ADDRESSES {
                self.addresses.insert(address);
            }
        }
        self.connections += other.connections;
        self.requests += other.requests;
        self.unsafe_requests += other.unsafe_requests;
        self.unanswered += other.unanswered;
        other.methods.into_iter().for_each(|(name, n)| *self.methods.entry(name).or_default() += n);
        other.statuses.into_iter().for_each(|(code, n)| {
            *self.statuses.entry(code).or_default() += n;
        });
    }

    /// The share of requests that may change something; `None` without requests.
    #[must_use]
    pub fn unsafe_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.unsafe_requests as f64 / self.requests as f64)
    }
}

/// RFC 9110 §9.2.1.
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}
