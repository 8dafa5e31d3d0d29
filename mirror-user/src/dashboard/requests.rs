//! Single pairs as the page shows them: the last ones, samples, and those that are stored.

use std::sync::Arc;

use mirror_compare::comparison::Options;
use mirror_compare::details::Details;
use mirror_compare::report::{Finding, Sides};
use serde::Serialize;

use crate::sink::compare::store::{FieldName, Range, Store};

/// `/requests/{id}`.
#[derive(Serialize)]
pub(super) struct RequestView {
    #[serde(flatten)]
    finding: Arc<Finding>,
    details: Option<Details>,
}

impl RequestView {
    pub(super) fn new(finding: Arc<Finding>) -> Self {
        Self { details: finding.details.clone(), finding }
    }
}

/// One line of `/requests`, and of the stored pairs of a field.
#[derive(Serialize)]
pub(super) struct Line {
    /// Its place in the store, if it comes from there.
    place: Option<i64>,
    id: String,
    endpoint: String,
    request: String,
    status: Sides<Option<u64>>,
    latency_us: Sides<Option<u64>>,
    differences: u64,
    forgiven: usize,
}

impl Line {
    pub(super) fn new(finding: &Finding) -> Self {
        let forgiven = finding.differences.iter().filter(|one| one.forgiven_by.is_some()).count();
        Self {
            place: None,
            id: finding.id.clone(),
            endpoint: finding.endpoint.clone(),
            request: format!("{} {}", finding.method, finding.target),
            status: finding.status,
            latency_us: finding.latency_us,
            differences: finding.more + (finding.differences.len() - forgiven) as u64,
            forgiven,
        }
    }
}

/// Looks at stored pairs, by the rules of what is shown.
pub(super) struct Stored {
    store: Store,
    range: Range,
    options: Options,
}

impl Stored {
    pub(super) fn new(store: Store, range: Range, options: &Options) -> Self {
        // They are looked at as a whole.
        Self { store, range, options: Options { details: true, ..options.clone() } }
    }

    /// The last pairs in which a field differs.
    pub(super) fn of_field(self, field: FieldName) -> Option<Vec<Line>> {
        let found = self.store.of_field(field, self.range, &self.options).ok()?;
        let line = |(place, finding): (i64, Arc<Finding>)| Line {
            place: Some(place),
            ..Line::new(&finding)
        };
        Some(found.into_iter().map(line).collect())
    }

    /// The pair at a place.
    pub(super) fn pair(self, place: i64) -> Option<RequestView> {
        let finding = self.store.pair(place, &self.options).ok()??;
        Some(RequestView::new(finding))
    }
}
