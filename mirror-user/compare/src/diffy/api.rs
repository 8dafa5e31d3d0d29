//! The shapes of Diffy's JSON API.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Siblings.
    pub weight: u64,
}

/// `/api/1/endpoints/:endpoint/stats`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Its totals.
    pub endpoint: Endpoint,
    /// Its fields, by path.
    pub fields: BTreeMap<String, Joined>,
}
