//! What a comparison says: the report as a whole, a finding for each pair, and the forms in which people and programs
//! read them.

mod endpoint;
mod finding;
pub mod html;
pub mod junit;
mod sentence;
pub mod table;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::endpoint::{EndpointReport, FieldReport, SampleReport};
pub use self::finding::{Finding, Shown};
pub use self::sentence::{basis, cause};
use crate::comparison::Options;
use crate::count::Endpoint;
use crate::rules::RuleHits;
use crate::verdict::stats::wilson;

/// The version of findings and reports as JSON.
pub const VERSION: u32 = 1;

/// A value of each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    /// Production's.
    #[serde(rename = "p")]
    pub production: T,
    /// The candidate's.
    #[serde(rename = "c")]
    pub candidate: T,
    /// The control's.
    #[serde(rename = "s")]
    pub control: T,
}

/// What all pairs mean.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub v: u32,
    /// Pairs.
    pub pairs: u64,
    /// What it rests on, if it was made from stored pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// Pairs with a regression, as a part of all.
    pub failing_rate: f64,
    /// The interval of 95 % for it.
    pub failing_rate_95: (f64, f64),
    /// The endpoints, most failing first.
    pub endpoints: Vec<EndpointReport>,
    /// What each rule did.
    pub rules: Vec<RuleHits>,
}

/// What was stored of what was compared, and judged anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// Runs that the store has.
    pub runs: u64,
    /// Pairs that they compared.
    pub compared: u64,
    /// Stored pairs that were judged anew; each stands for itself, or also for others of its kind: those of its
    /// endpoint in which the same fields differed.
    pub judged: u64,
    /// Pairs that none of them stands for.
    pub missing: u64,
}

impl Basis {
    /// True if every pair was judged anew.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.judged == self.compared
    }
}

impl Report {
    pub(crate) fn new(
        pairs: u64,
        basis: Option<Basis>,
        endpoints: &BTreeMap<String, Endpoint>,
        options: &Options,
    ) -> Self {
        let each =
            endpoints.iter().map(|(name, counted)| EndpointReport::new(name, counted, options));
        let mut endpoints: Vec<EndpointReport> = each.collect();
        endpoints.sort_by(|a, b| {
            b.failing_rate().total_cmp(&a.failing_rate()).then_with(|| a.name.cmp(&b.name))
        });
        let failing: u64 = endpoints.iter().map(|endpoint| endpoint.failing).sum();
        let failing_rate = if pairs == 0 { 0.0 } else { failing as f64 / pairs as f64 };
        Self {
            v: VERSION,
            pairs,
            basis,
            failing_rate,
            failing_rate_95: wilson(failing, pairs),
            endpoints,
            rules: options.rules.hits(),
        }
    }

    /// All fields, with their endpoints.
    pub fn fields(&self) -> impl Iterator<Item = (&EndpointReport, &FieldReport)> {
        self.endpoints
            .iter()
            .flat_map(|endpoint| endpoint.fields.iter().map(move |field| (endpoint, field)))
    }

    /// Rules that decided nothing: misspelled, or not needed any more.
    pub fn idle_rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.hits == 0).map(|rule| &*rule.rule)
    }
}
