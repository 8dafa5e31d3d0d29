//! A comparison under way, for whoever looks at it meanwhile: parts of it at a time, so that it is never stopped for
//! long. What they mean is judged by the reader, from a copy ([`EndpointReport::new`]).
//!
//! [`EndpointReport::new`]: crate::report::EndpointReport::new

use std::sync::Arc;

use super::{Comparison, Options};
use crate::count::Endpoint;
use crate::diffy::Collector;
use crate::report::{Basis, Finding};
use crate::rules::RuleHits;

impl Comparison {
    /// How it compares and judges.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Pairs so far.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// What it rests on, if it was made from stored pairs.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        self.basis
    }

    /// The endpoints' names, and how many pairs each has.
    #[must_use]
    pub fn totals(&self) -> Vec<(String, u64)> {
        self.endpoints.iter().map(|(name, counted)| (name.clone(), counted.total)).collect()
    }

    /// What was counted of an endpoint.
    #[must_use]
    pub fn counted(&self, endpoint: &str) -> Option<Endpoint> {
        self.endpoints.get(endpoint).cloned()
    }

    /// What each rule did.
    #[must_use]
    pub fn hits(&self) -> Vec<RuleHits> {
        self.options.rules.hits()
    }

    /// The last pairs, the latest first; none without [`Options::details`].
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<Finding>> {
        self.recent.findings.iter().rev().cloned().collect()
    }

    /// What Diffy would have counted, with [`Options::diffy`].
    pub fn diffy(&mut self) -> Option<&mut Collector> {
        self.diffy.as_mut()
    }

    /// A pair that is a sample or among the last ones.
    #[must_use]
    pub fn kept(&self, id: &str) -> Option<Arc<Finding>> {
        let samples = self.endpoints.values().flat_map(|endpoint| &endpoint.fields);
        let samples = samples.flat_map(|field| field.samples.findings());
        self.recent.findings.iter().chain(samples).find(|finding| finding.id == id).cloned()
    }
}
