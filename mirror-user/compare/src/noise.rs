//! Production's own noise: what differs between its answers to equal requests, without sending anything.
//!
//! A response is remembered for a minute under its request's method, target, body and credentials. The next equal one's
//! response is compared with it, unless a request that is not safe went to the same part of the site in between. Values,
//! orders and elements of lists that differ are noise; members that come and go show that the endpoint has a state, and
//! are not.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::difference::Class;
use crate::headers::Field;
use crate::lift::{Content, Lifted};
use crate::pair::{Read, Request, Response};

/// How long a response is remembered, in nanoseconds.
const WINDOW: i64 = 60_000_000_000;
/// Responses that are remembered.
const MAX_RESPONSES: usize = 2_048;
/// Bytes that they take together, about.
const MAX_BYTES: usize = 16 << 20;
/// Parts of the site for which it is remembered when they were written to.
const MAX_PARTS: usize = 10_000;

/// True for a difference that noise can make: another value, another order, other elements of a list. Another status is
/// none that happens by itself.
pub(crate) fn may_be(path: &str, class: Class) -> bool {
    match class {
        Class::Value | Class::Order => path != "status",
        Class::Missing | Class::Extra => path.ends_with("[]"),
        _ => false,
    }
}

/// A response without its lifetime.
pub(crate) struct Earlier {
    status: u16,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, if it was not read.
    content: Content<'static>,
    /// The body, if it was.
    pub(crate) lifted: Option<Arc<Lifted>>,
    at: i64,
}

impl Earlier {
    fn size(&self) -> usize {
        let fields =
            self.fields.iter().map(|(name, value)| name.len() + value.len() + 48).sum::<usize>();
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Digest(..) | Content::Unknown(_) => 0,
        };
        content + self.lifted.as_ref().map_or(0, |lifted| lifted.tree.size()) + fields
    }

    /// The response.
    pub(crate) fn response(&self) -> Response<'_> {
        Response {
            status: self.status,
            fields: self.fields.iter().map(|(name, value)| (&**name, &**value)).collect(),
            trailers: Vec::new(),
            content: self.content.borrowed(),
            at: Some(self.at),
            latency_us: None,
        }
    }
}

/// Responses of production that may be asked for again.
#[derive(Default)]
pub(crate) struct OwnNoise {
    responses: HashMap<u64, Earlier>,
    order: VecDeque<(i64, u64)>,
    bytes: usize,
    /// When each part of the site was written to.
    written: HashMap<u64, i64>,
    hasher: FixedState,
}

impl OwnNoise {
    /// The earlier response to an equal request, if the two can be compared; this one is remembered in its place.
    pub(crate) fn exchange(&mut self, request: &Request<'_>, read: &Read<'_>) -> Option<Earlier> {
        let response = read.response;
        let at = response.at?;
        let part = self.part(request);
        if !request.is_safe() {
            if self.written.len() < MAX_PARTS || self.written.contains_key(&part) {
                self.written.insert(part, at);
            } else {
                // Without room to remember what was written to, nothing earlier can be trusted.
                self.forget_all();
            }
            return None;
        }
        self.forget(at.saturating_sub(WINDOW));
        let key = self.key(request);
        let own = |(name, value): &Field<'_>| (name.to_vec(), value.to_vec());
        let fields = response.fields.iter().map(own).collect();
        let lifted = read.known().cloned();
        let content = match lifted {
            Some(_) => Content::Unknown("read already".into()),
            None => response.content.clone().into_owned(),
        };
        let now = Earlier { status: response.status, fields, content, lifted, at };
        self.bytes += now.size();
        let earlier = self.responses.insert(key, now);
        self.order.push_back((at, key));
        self.bytes -= earlier.as_ref().map_or(0, Earlier::size).min(self.bytes);
        let written = self.written.get(&part).copied().unwrap_or(i64::MIN);
        earlier.filter(|earlier| earlier.at > written && at.saturating_sub(earlier.at) <= WINDOW)
    }

    fn forget(&mut self, before: i64) {
        let is_old = |it: &Self| {
            it.order.front().is_some_and(|(at, _)| *at < before)
                || it.responses.len() >= MAX_RESPONSES
                || it.bytes > MAX_BYTES
        };
        while is_old(self) {
            let Some((at, key)) = self.order.pop_front() else { break };
            if self.responses.get(&key).is_some_and(|earlier| earlier.at == at)
                && let Some(gone) = self.responses.remove(&key)
            {
                self.bytes -= gone.size().min(self.bytes);
            }
        }
    }

    fn forget_all(&mut self) {
        (self.bytes, _) = (0, self.written.clear());
        self.responses.clear();
        self.order.clear();
    }

    /// Method, path, query in any order, body, and who asks.
    fn key(&self, request: &Request<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        let mut query: Vec<&str> = query.split('&').collect();
        query.sort_unstable();
        (request.method, path, query, request.body).hash(&mut hasher);
        for (name, value) in request.fields {
            let matters = [
                &b"authorization"[..],
                b"cookie",
                b"accept",
                b"accept-encoding",
                b"accept-language",
                b"range",
            ]
            .iter()
            .any(|one| name.eq_ignore_ascii_case(one));
            if matters {
                (name.to_ascii_lowercase(), value).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The first segment of the path: what is below it may hang together.
    fn part(&self, request: &Request<'_>) -> u64 {
        let path = request.target.split('?').next().unwrap_or_default();
        self.hasher
            .hash_one(path.split('/').find(|segment| !segment.is_empty()).unwrap_or_default())
    }
}
