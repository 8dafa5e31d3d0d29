//! Pairs in, counted and collected as Diffy does: what the answers of its API are made of.
//!
//! Triples of which a response cannot be lifted are dropped, as Diffy drops them; here they are counted. Of each field the
//! first five requests are kept. Without a control nothing is noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::algebra::{Terminal, differences};
use super::counters::Counters;
use super::value::{Mode, Value, message};
use crate::comparison::Pair;
use crate::pair::{Answer, Request, Response};
use crate::samples::number;
use crate::verdict::Thresholds;

/// Requests of each field that are kept.
const PER_FIELD: usize = 5;
/// Bytes that they take together, about; with more, none are kept of further fields.
const MAX_BYTES: usize = 64 << 20;
/// Milliseconds in nanoseconds.
const MILLI: i64 = 1_000_000;

/// A request with a difference.
#[derive(Clone, Debug)]
pub(super) struct Collected {
    id: i64,
    at: i64,
    endpoint: String,
    differences: BTreeMap<String, Terminal>,
    request: Json,
    left: Json,
    right: Json,
}

/// What Diffy knows.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    pub(super) counters: Counters,
    pub(super) thresholds: Thresholds,
    kept: BTreeMap<(String, String), Vec<Arc<Collected>>>,
    bytes: usize,
    dropped: u64,
    last_reset: i64,
    /// The time of the last pair, in milliseconds since 1970.
    now: i64,
    targets: [String; 3],
}

impl Collector {
    /// Nothing so far. `targets` are named by `info`: primary, candidate, secondary.
    #[must_use]
    pub fn new(thresholds: Thresholds, targets: [String; 3]) -> Self {
        Self { thresholds, targets, ..Self::default() }
    }

    /// Triples that Diffy drops, because a response cannot be lifted, or there is none.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts a pair.
    pub fn push(&mut self, pair: &Pair<'_>) {
        let answered = |answer: &Answer<'_>| match answer {
            Answer::Response(response) => lift(response),
            Answer::Failed(_) => None,
        };
        self.now = pair.production.at.unwrap_or_default().div_euclid(MILLI);
        let secondary = pair.control.as_ref().map(answered);
        let lifted = (lift(&pair.production), answered(&pair.candidate), secondary);
        let (Some(primary), Some(candidate), None | Some(Some(_))) = &lifted else {
            self.dropped += 1;
            return;
        };
        let Some(endpoint) = endpoint(pair) else {
            self.dropped += 1;
            return;
        };
        let raw = differences(primary, candidate, Mode::Twitter);
        let noise = lifted.2.as_ref().and_then(Option::as_ref);
        let noise = noise.map(|secondary| differences(primary, secondary, Mode::Twitter));
        self.counters.add(&endpoint, &raw, &noise.unwrap_or_default());
        if !raw.is_empty() {
            let result = |value: &Value| match value {
                Value::Struct(fields) => fields.get("result").map_or(Json::Null, Value::to_json),
                value => value.to_json(),
            };
            self.keep(Collected {
                id: number(&pair.id).cast_signed(),
                at: self.now,
                endpoint,
                differences: raw,
                request: request(&pair.request),
                left: result(primary),
                right: result(candidate),
            });
        }
    }

    fn keep(&mut self, result: Collected) {
        let result = Arc::new(result);
        let mut is_kept = false;
        for path in result.differences.keys() {
            let path = path.trim_matches('/').to_owned();
            let place = self.kept.entry((result.endpoint.clone(), path)).or_default();
            if place.len() < PER_FIELD && self.bytes < MAX_BYTES {
                place.push(Arc::clone(&result));
                is_kept = true;
            }
        }
        if is_kept {
            self.bytes += result.size();
        }
    }

    /// Requests of fields that begin with a path, each once.
    pub(super) fn prefix(&self, endpoint: &str, path: &str) -> Vec<Arc<Collected>> {
        let mut found: Vec<Arc<Collected>> = Vec::new();
        for ((of, field), kept) in &self.kept {
            if of == endpoint && field.starts_with(path) {
                for one in kept {
                    if !found.iter().any(|other| other.id == one.id) {
                        found.push(Arc::clone(one));
                    }
                }
            }
        }
        found
    }

    /// A request by its number.
    pub(super) fn found(&self, id: &str) -> Option<&Collected> {
        let id: i64 = id.parse().ok()?;
        self.kept.values().flatten().find(|one| one.id == id).map(|one| &**one)
    }

    /// Forgets all that was counted.
    pub fn clear(&mut self) {
        self.counters.clear();
        self.kept.clear();
        (self.bytes, self.dropped, self.last_reset) = (0, 0, self.now);
    }

    pub(super) fn info(&self) -> Json {
        let [primary, candidate, secondary] = &self.targets;
        json!({
            "candidate": { "target": candidate },
            "primary": { "target": primary },
            "secondary": { "target": secondary },
            "protocol": "http",
            "threshold_relative": self.thresholds.relative,
            "threshold_absolute": self.thresholds.absolute,
            "last_reset": self.last_reset,
        })
    }
}

impl Collected {
    fn size(&self) -> usize {
        let texts = [&self.request, &self.left, &self.right].map(|json| json.to_string().len());
        let differences = self.differences.iter().map(|(path, one)| {
            path.len() + one.left.to_string().len() + one.right.to_string().len()
        });
        texts.iter().sum::<usize>() + differences.sum::<usize>()
    }

    pub(super) fn json(&self, whole: bool) -> Json {
        let mut json = json!({
            "id": self.id.to_string(),
            "trace_id": null,
            "timestamp_msec": self.at,
            "endpoint": self.endpoint,
            "differences": self.differences,
        });
        if let (true, Some(fields)) = (whole, json.as_object_mut()) {
            for (name, of) in
                [("request", &self.request), ("left", &self.left), ("right", &self.right)]
            {
                fields.insert(name.to_owned(), of.clone());
            }
        }
        json
    }
}

fn lift(response: &Response<'_>) -> Option<Value> {
    message(response, true, Mode::Twitter)
}

/// The request as Diffy shows it: head and body as text.
fn request(request: &Request<'_>) -> Json {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut head = format!("{} {} HTTP/1.1", request.method, request.target);
    for (name, value) in request.fields {
        head.push_str(&format!("\r\n{}: {}", text(name), text(value)));
    }
    json!({ "request": head, "body": text(request.body) })
}

/// The name of the endpoint; `None` if Diffy would drop the triple.
fn endpoint(pair: &Pair<'_>) -> Option<String> {
    let action = |response: &Response<'_>| value(&response.fields, "x-action-name");
    let of = |answer: &Answer<'_>| match answer {
        Answer::Response(response) => action(response),
        Answer::Failed(_) => None,
    };
    let primary = action(&pair.production);
    let (candidate, secondary) = (of(&pair.candidate), pair.control.as_ref().map(of));
    let secondary = secondary.unwrap_or_else(|| primary.clone());
    let name = match (value(pair.request.fields, "canonical-resource"), candidate) {
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) if primary == secondary => {
            primary.unwrap_or_else(|| "Undefined_endpoint".to_owned())
        }
        (None, None) => return None,
    };
    Some(name.replace('/', "-"))
}

fn value(fields: &[(&[u8], &[u8])], name: &str) -> Option<String> {
    let found = fields.iter().find(|(have, _)| have.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}
