//! Diffy's counters: two independent sets, of raw differences and of noise, and never of single requests.

use std::collections::BTreeMap;

use super::algebra::Terminal;
use super::api::{Endpoint, Joined, Stats};
use crate::verdict::{Figures, Thresholds};

/// Endpoints, and fields of each on either side, that are counted; others are not.
const MAX_ENDPOINTS: usize = 500;
const MAX_FIELDS: usize = 2_000;

/// Counts per endpoint and path.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    endpoints: BTreeMap<String, Both>,
}

#[derive(Clone, Debug, Default)]
struct Both {
    total: u64,
    raw: Side,
    noise: Side,
}

#[derive(Clone, Debug, Default)]
struct Side {
    differing: u64,
    /// Differences and siblings, by path.
    fields: BTreeMap<String, (u64, u64)>,
}

impl Side {
    fn count(&mut self, found: &BTreeMap<String, Terminal>) {
        self.differing += u64::from(!found.is_empty());
        for path in found.keys() {
            if self.fields.len() >= MAX_FIELDS && !self.fields.contains_key(path) {
                continue;
            }
            let (count, weight) = self.fields.entry(path.clone()).or_default();
            *count += 1;
            *weight += found.len() as u64;
        }
    }
}

impl Counters {
    /// Counts one request: primary against candidate, and primary against secondary.
    pub fn add(
        &mut self,
        endpoint: &str,
        raw: &BTreeMap<String, Terminal>,
        noise: &BTreeMap<String, Terminal>,
    ) {
        if self.endpoints.len() >= MAX_ENDPOINTS && !self.endpoints.contains_key(endpoint) {
            return;
        }
        let both = self.endpoints.entry(endpoint.to_owned()).or_default();
        both.total += 1;
        both.raw.count(raw);
        both.noise.count(noise);
    }

    /// The endpoints' totals.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<String, Endpoint> {
        let each = self.endpoints.iter();
        each.map(|(name, both)| {
            (name.clone(), Endpoint { total: both.total, differences: both.raw.differing })
        })
        .collect()
    }

    /// What `/endpoints/:endpoint/stats` says; with `exclude_noise`, only what is reported.
    #[must_use]
    pub fn stats(
        &self,
        endpoint: &str,
        exclude_noise: bool,
        thresholds: &Thresholds,
    ) -> Option<Stats> {
        let both = self.endpoints.get(endpoint)?;
        let mut fields = BTreeMap::new();
        for (path, (count, weight)) in &both.raw.fields {
            let noise = both.noise.fields.get(path).map_or(0, |(count, _)| *count);
            let figures = Figures::new(*count, noise, both.total);
            let joined = Joined {
                differences: *count,
                noise,
                relative_difference: figures.relative,
                absolute_difference: figures.absolute,
                weight: Some(*weight),
            };
            if !exclude_noise || figures.reported(*count, noise, thresholds) {
                fields.insert(path.clone(), joined);
            }
        }
        Some(Stats {
            endpoint: Endpoint { total: both.total, differences: both.raw.differing },
            fields,
        })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.endpoints.clear();
    }
}
