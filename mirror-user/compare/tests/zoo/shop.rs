//! The shop: one page per request, which depends on the user, and noise on top.

use mirror_compare::lift::Content;
use mirror_compare::pair::{Failure, Response};
use serde_json::{Value, json};

use crate::noises;
use crate::regressions::Apply;

/// Noise that every endpoint with a regression has.
pub(crate) const COMMON: [&str; 5] = ["clock", "uuid", "counter", "date header", "request id"];
/// The fields in which it is.
pub(crate) const COMMON_FIELDS: [&str; 5] =
    ["updatedAt", "requestId", "visits", "Date", "X-Request-Id"];

/// Users who ask in turn.
pub(crate) const USERS: usize = 50;
/// When the first request comes, in seconds since 1970; ten come in a second.
const BEGIN: i64 = 1_796_000_000;

/// Random numbers, the same on each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit((self.next() % 16) as u32, 16).unwrap()).collect()
    }

    pub(crate) fn from(&mut self, letters: &str, count: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..count).map(|_| letters[self.below(letters.len() as u64) as usize]).collect()
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// A response under way.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) json: Value,
    /// The body, where it is not the JSON as serde writes it.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) latency_us: u64,
    pub(crate) now: i64,
    pub(crate) user: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(have, _)| have != name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.headers.retain(|(have, _)| have != name);
    }

    pub(crate) fn response(&self) -> Response<'_> {
        Response {
            status: self.status,
            fields: self
                .headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect(),
            trailers: Vec::new(),
            content: Content::Bytes(self.bytes.as_slice().into()),
            at: Some(self.now),
            latency_us: Some(self.latency_us),
        }
    }
}

/// An endpoint: which noise it has.
pub(crate) struct Scene {
    noises: Vec<noises::Apply>,
}

impl Scene {
    pub(crate) fn with(noises: Vec<noises::Apply>) -> Self {
        Self { noises }
    }

    pub(crate) fn user(&self, at: usize) -> usize {
        at % USERS
    }

    pub(crate) fn reply(&self, at: usize, random: &mut Random, regress: Option<&Apply>) -> Reply {
        let user = self.user(at);
        let now = BEGIN * 1_000_000_000 + at as i64 * 100_000_000 + random.below(50_000_000) as i64;
        let mut reply = Reply {
            status: 200,
            headers: Vec::new(),
            json: page(user),
            body: None,
            failure: None,
            latency_us: 8_000 + random.below(4_000),
            now,
            user,
            bytes: Vec::new(),
        };
        for (name, value) in [
            ("Content-Type", "application/json"),
            ("X-Frame-Options", "DENY"),
            ("Cache-Control", "private, max-age=60"),
            ("Vary", "Accept, Accept-Encoding"),
            ("Location", "/next/page"),
            ("Set-Cookie", "sid=1; Path=/; Secure; HttpOnly; Max-Age=3600"),
        ] {
            reply.header(name, value);
        }
        self.noises.iter().for_each(|apply| apply(&mut reply, random));
        if let Some(apply) = regress {
            apply(&mut reply, random);
        }
        let text = || serde_json::to_vec(&reply.json).unwrap();
        reply.bytes = reply.body.take().unwrap_or_else(text);
        reply
    }
}

fn page(user: usize) -> Value {
    let item = |n: usize| json!({"id": user * 10 + n, "sku": format!("SKU-{n}"), "qty": n + 1, "price": 19.994 + n as f64, "color": "red"});
    json!({
        "id": 5_000_000_000_u64 + user as u64,
        "big": 9_007_199_254_740_993_u64,
        "name": "Zoë Müller",
        "plan": "pro",
        "active": true,
        "balance": 1_234.565,
        "currency": "EUR",
        "createdAt": "2026-10-01T10:00:00Z",
        "count": 7,
        "tags": ["red", "green", "blue", "black"],
        "items": (0..4).map(item).collect::<Vec<_>>(),
        "address": {"street": "Main Street 7", "zip": "01234", "geo": {"lat": 47.37, "lon": 8.54}},
        "description": "A text that is long enough to be cut somewhere in the middle",
    })
}
