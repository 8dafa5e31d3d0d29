//! The shapes of Diffy's JSON API, and what each of its routes answers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::collector::Collector;

/// An endpoint's totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Requests.
    pub total: u64,
    /// Requests with a raw difference.
    pub differences: u64,
}

/// A field's counts and figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Joined {
    /// Raw differences.
    pub differences: u64,
    /// Differences of the secondary.
    pub noise: u64,
    /// In percent.
    pub relative_difference: f64,
    /// In percent.
    pub absolute_difference: f64,
    /// Siblings; left out unless they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
}

/// `/api/1/endpoints/:endpoint/stats`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Its totals.
    pub endpoint: Endpoint,
    /// Its fields, by path.
    pub fields: BTreeMap<String, Joined>,
}

/// What a route answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// JSON, errors included: Diffy answers most of them with status 200.
    Json(Json),
    /// All was forgotten.
    Cleared(Json),
    /// There is no such route.
    NoRoute,
}

/// What a query asks for, with Diffy's defaults.
struct Asked<'q>(&'q str);

impl Asked<'_> {
    fn is(&self, name: &str, default: bool) -> bool {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(have, _)| *have == name).map(|(_, value)| value);
        match value {
            Some("true" | "1" | "t") => true,
            Some("false" | "0" | "f") => false,
            _ => default,
        }
    }
}

impl Collector {
    /// Answers what is behind `/api/1/`: its segments without percent-encoding, and its query.
    pub fn answer(&mut self, path: &[&str], query: &str) -> Told {
        let asked = Asked(query);
        let (no_noise, weights) =
            (asked.is("exclude_noise", true), asked.is("include_weights", false));
        Told::Json(match path {
            ["overview"] => {
                let names = self.counters.endpoints().into_keys();
                let stats = names.filter_map(|name| {
                    let stats = self.stats(&name, no_noise, weights)?;
                    Some((name, stats))
                });
                json!(stats.collect::<BTreeMap<_, _>>())
            }
            ["endpoints"] => json!(self.counters.endpoints()),
            ["endpoints", endpoint, "stats"] => match self.stats(endpoint, no_noise, weights) {
                Some(stats) => json!(stats),
                None => error(&format!("key not found: {endpoint}")),
            },
            ["endpoints", endpoint, "fields", path, "results"] => {
                let whole = asked.is("include_request", false);
                let found = self.prefix(endpoint, path);
                let requests: Vec<Json> = found.iter().map(|one| one.json(whole)).collect();
                json!({ "endpoint": endpoint, "path": path, "requests": requests })
            }
            ["endpoints", endpoint, "fields", path, "results", index] => {
                let found = self.prefix(endpoint, path);
                let found = index.parse().ok().and_then(|index: usize| found.get(index));
                let whole = asked.is("include_request", true);
                found.map_or_else(|| error("Request index out of bounds"), |one| one.json(whole))
            }
            ["requests", id] => {
                let whole = asked.is("include_request", true);
                let found = self.found(id);
                found.map_or_else(|| error("Request purged"), |one| one.json(whole))
            }
            ["clear"] => {
                self.clear();
                return Told::Cleared(json!({ "success": "Diffs cleared" }));
            }
            ["info"] => self.info(),
            _ => return Told::NoRoute,
        })
    }

    fn stats(&self, endpoint: &str, exclude_noise: bool, weights: bool) -> Option<Stats> {
        let mut stats = self.counters.stats(endpoint, exclude_noise, &self.thresholds)?;
        if !weights {
            stats.fields.values_mut().for_each(|field| field.weight = None);
        }
        Some(stats)
    }
}

fn error(text: &str) -> Json {
    json!({ "error": text })
}
