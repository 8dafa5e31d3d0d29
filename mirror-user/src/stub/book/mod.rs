//! Recorded exchanges in, the response to a request out.
//!
//! Built once ([`Builder`]) and then only looked up, by one hash of all that a request is recognized by
//! ([`Canonical`]): with a million stubs that costs what it costs with ten. Exchanges with equal requests are one
//! [`Stub`], whose responses are given in the order of the recording. All that changes is which of them is next.

mod build;
mod hosts;
mod index;
mod recorded;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;

pub use self::build::{Builder, Loading, MAX_BOOK_BYTES};
use self::hosts::Hosts;
use self::index::Index;
pub(super) use self::index::Near;
pub use self::recorded::Recorded;
use self::state::Gates;
use super::canonical::{BodyKind, Canonical, Facts, Matching};
use super::counts::NotServed;
use super::miss::Miss;
use super::options::AfterLast;
use crate::http::ReadRequest;
use crate::http::message::ExchangeId;
use crate::packet::Timestamp;

/// What was recorded.
pub struct Book {
    stubs: Vec<Stub>,
    index: Index,
    hosts: Hosts,
    matching: Matching,
    after_last: AfterLast,
}

/// A request, and what it was answered.
pub struct Stub {
    /// The first exchange that had it, as the recording names it.
    pub(super) id: ExchangeId,
    pub(super) method: Box<[u8]>,
    pub(super) host: Box<[u8]>,
    pub(super) path: Box<[u8]>,
    pub(super) query: Box<[u8]>,
    pub(super) headers: Box<[u8]>,
    pub(super) body_kind: BodyKind,
    pub(super) body: Box<[u8]>,
    steps: Vec<Step>,
    /// How often it was asked.
    asked: AtomicU64,
    /// What must have been asked before some of its responses, and which response is next.
    gates: Gates,
}

/// One response of a stub.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it was asked for.
    at: Timestamp,
    /// From the end of the request to the first byte of the response.
    pub latency: Duration,
    /// Its bytes.
    pub response: Arc<Recorded>,
}

/// Whose stubs may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// Those of this host.
    Host(&'a [u8]),
    /// Those of any: the request names the stub server itself, or nobody.
    Any,
    /// None: the host was not recorded.
    Unknown,
}

/// What was found for a request.
pub(super) enum Found<'b> {
    /// A response.
    Step(&'b Step),
    /// Nothing.
    Nothing,
    /// Stubs of several hosts fit, and the request does not say which it means.
    Ambiguous,
    /// The stub has no response left.
    Ended,
}

impl Book {
    /// How many different requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stubs.len()
    }

    /// True if nothing can be answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stubs.is_empty()
    }

    /// How requests are recognized.
    pub(super) fn matching(&self) -> &Matching {
        &self.matching
    }

    /// How many stubs were never asked for.
    #[must_use]
    pub fn unused(&self) -> usize {
        self.stubs.iter().filter(|stub| stub.asked.load(Relaxed) == 0).count()
    }

    /// The hosts that were recorded, in order.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.names()
    }

    /// Whose stubs may answer a request.
    pub(super) fn scope<'a>(&'a self, asked: &'a Canonical<'_>) -> Scope<'a> {
        match asked.host.as_deref() {
            None => Scope::Any,
            Some(host) => self.hosts.scope(host, asked.is_absolute),
        }
    }

    /// The response to a request; the next one of its stub.
    pub(super) fn answer(&self, asked: &Canonical<'_>) -> Found<'_> {
        let scope = self.scope(asked);
        let found = match self.index.find(&self.stubs, scope, asked, None) {
            index::Entry::Nothing => {
                let template = self.matching.template(&asked.path);
                template.map_or(index::Entry::Nothing, |template| {
                    self.index.find(&self.stubs, scope, asked, Some(template))
                })
            }
            found => found,
        };
        match found {
            index::Entry::Nothing => Found::Nothing,
            index::Entry::Ambiguous => Found::Ambiguous,
            index::Entry::Stub(place) => match self.stubs.get(place as usize) {
                Some(stub) => match stub.next(self) {
                    Some(step) => Found::Step(step),
                    None => Found::Ended,
                },
                None => Found::Nothing,
            },
        }
    }

    /// The response to a request as it was recorded, the next one of its stub, or the one that says what differs: without
    /// the times, faults and counts of a server.
    ///
    /// # Errors
    /// The 502, if there is none.
    pub fn respond(&self, request: &ReadRequest<'_>) -> Result<Arc<Recorded>, Bytes> {
        let asked = self.matching.canonical(Facts::of(request), request.fields());
        match self.answer(&asked) {
            Found::Step(step) => Ok(Arc::clone(&step.response)),
            Found::Nothing => Err(Miss::new(self, &asked, NotServed::Missed, "http").response),
            Found::Ambiguous => Err(Miss::new(self, &asked, NotServed::Ambiguous, "http").response),
            Found::Ended => Err(Miss::new(self, &asked, NotServed::Exhausted, "http").response),
        }
    }

    /// The stub whose request is most like this one, and the first thing in which it differs.
    pub(super) fn nearest(&self, asked: &Canonical<'_>) -> Option<(&Stub, Near)> {
        self.index.nearest(&self.stubs, self.scope(asked), asked)
    }
}

impl Stub {
    /// The response whose turn it is.
    fn next(&self, book: &Book) -> Option<&Step> {
        let asked = self.asked.fetch_add(1, Relaxed);
        let turn = match self.gates.is_empty() {
            true => asked,
            false => self.gates.turn(&book.stubs),
        };
        let count = self.steps.len() as u64;
        let place = match book.after_last {
            AfterLast::Repeat => turn.min(count.saturating_sub(1)),
            AfterLast::Again => turn.checked_rem(count)?,
            AfterLast::Fail => turn,
        };
        self.steps.get(usize::try_from(place).ok()?)
    }
}
