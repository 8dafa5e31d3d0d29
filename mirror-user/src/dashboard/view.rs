//! What the page shows of a comparison: parts are copied while it is locked, and judged when it is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mirror_compare::comparison::Options;
use mirror_compare::details::Details;
use mirror_compare::report::{EndpointReport, FieldReport, Finding, Sides};
use mirror_compare::rules::RuleHits;
use mirror_compare::verdict::Verdict;
use mirror_compare::verdict::latency::Quantiles;
use serde::Serialize;
use tokio::time::Instant;

use super::rule;
use super::watched::{State, Watched};
use crate::stats::Snapshot;

/// Working out all endpoints again waits this long at least, and [`SHARE`] times as long as it took the last time, so that
/// it takes a tenth of a core at most.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 10;
/// Fields that the page of rules lists.
const MAX_ROWS: usize = 1_000;

/// A comparison, as far as it was looked at.
pub(super) struct View {
    watched: Arc<Watched>,
    /// Its rules, thresholds and so on, which stay.
    options: Options,
    /// Each endpoint without its samples, with the pairs that it had then.
    endpoints: BTreeMap<String, (u64, EndpointReport)>,
    seen: Option<State>,
    next: Instant,
}

/// `/overview`.
#[derive(Serialize)]
pub(super) struct Overview<'v> {
    #[serde(flatten)]
    state: State,
    endpoints: Vec<Row<'v>>,
    /// What the capture saw and dropped.
    health: Arc<Snapshot>,
    /// Requests that the dashboard refused.
    refused: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Row<'v> {
    id: &'v str,
    total: u64,
    failing: u64,
    failing_rate: f64,
    failing_rate_95: (f64, f64),
    differing: u64,
    /// Requests without a response of the candidate.
    unanswered: u64,
    /// The part of the control's responses that differ; `null` without a control.
    noise_rate: Option<f64>,
    /// In microseconds; `null` without a response.
    p95_us: Sides<Option<u64>>,
    is_slower: bool,
    verdicts: BTreeMap<&'static str, usize>,
}

/// `/endpoints/{id}`.
#[derive(Serialize)]
pub(super) struct EndpointView {
    #[serde(flatten)]
    report: EndpointReport,
    failing_rate: f64,
    /// The upper ends of steps, in microseconds, and the responses in each.
    distribution: Sides<Vec<(u64, u64)>>,
}

/// `/endpoints/{id}/fields/{path}/{class}`.
#[derive(Serialize)]
pub(super) struct FieldView {
    endpoint: String,
    total: u64,
    #[serde(flatten)]
    field: FieldReport,
    /// A file of rules that ignores it.
    rule: Option<String>,
}

/// `/requests/{id}`.
#[derive(Serialize)]
pub(super) struct RequestView {
    #[serde(flatten)]
    finding: Arc<Finding>,
    details: Option<Details>,
}

/// One line of `/requests`.
#[derive(Serialize)]
pub(super) struct Line {
    id: String,
    endpoint: String,
    request: String,
    status: Sides<Option<u64>>,
    latency_us: Sides<Option<u64>>,
    differences: u64,
    forgiven: usize,
}

/// `/rules`.
#[derive(Serialize)]
pub(super) struct RulesView<'v> {
    rules: Vec<RuleHits>,
    forgiven: Vec<Quiet<'v>>,
    /// Fields beyond those that are listed.
    more: usize,
}

/// A field that is no regression, and why.
#[derive(Serialize)]
struct Quiet<'v> {
    endpoint: &'v str,
    path: &'v str,
    class: &'static str,
    verdict: Verdict,
    raw: u64,
    noise: u64,
    by: &'v BTreeMap<String, u64>,
}

impl View {
    pub(super) fn new(watched: Arc<Watched>) -> Self {
        let options = watched.comparison.lock().options().clone();
        Self { watched, options, endpoints: BTreeMap::new(), seen: None, next: Instant::now() }
    }

    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched)
    }

    /// Counts from zero.
    pub(super) fn reset(&mut self) {
        self.watched.reset();
        self.endpoints.clear();
        (self.seen, self.next) = (None, Instant::now());
    }

    /// Looks at the endpoints that have new pairs, one after the other.
    fn refresh(&mut self) {
        let (state, begun) = (self.watched.state(), Instant::now());
        if self.seen == Some(state) || begun < self.next {
            return;
        }
        let totals = self.watched.comparison.lock().totals();
        let mut before = std::mem::take(&mut self.endpoints);
        for (name, total) in totals {
            let known = before.remove(&name).filter(|(then, _)| *then == total);
            if let Some(now) = known.or_else(|| self.look(&name)) {
                self.endpoints.insert(name, now);
            }
        }
        self.seen = Some(state);
        self.next = begun + PAUSE.max(begun.elapsed() * SHARE);
    }

    fn look(&self, name: &str) -> Option<(u64, EndpointReport)> {
        let counted = self.watched.comparison.lock().counted(name)?;
        let mut report = EndpointReport::new(name, &counted, &self.options);
        report.fields.iter_mut().for_each(|field| field.samples = Vec::new());
        Some((counted.total, report))
    }

    pub(super) fn overview(
        &mut self,
        health: Arc<Snapshot>,
        refused: BTreeMap<&'static str, u64>,
    ) -> Overview<'_> {
        self.refresh();
        let rows = self.endpoints.values().map(|(_, report)| Row::new(report));
        let mut endpoints: Vec<Row<'_>> = rows.collect();
        endpoints.sort_by(|a, b| b.failing_rate.total_cmp(&a.failing_rate).then(a.id.cmp(b.id)));
        let state = self.watched.state();
        Overview { state, endpoints, health, refused }
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<EndpointView> {
        let counted = self.watched.comparison.lock().counted(name)?;
        let mut report = EndpointReport::new(name, &counted, &self.options);
        report.fields.iter_mut().for_each(|field| field.samples = Vec::new());
        let [production, candidate, control] =
            counted.times.each_ref().map(|one| one.distribution());
        let distribution = Sides { production, candidate, control };
        Some(EndpointView { failing_rate: report.failing_rate(), report, distribution })
    }

    pub(super) fn field(&self, name: &str, path: &str, class: &str) -> Option<FieldView> {
        let counted = self.watched.comparison.lock().counted(name)?;
        let report = EndpointReport::new(name, &counted, &self.options);
        let is_it = |field: &FieldReport| field.path == path && <&str>::from(field.class) == class;
        let field = report.fields.into_iter().find(is_it)?;
        let rule = rule::ignoring(name, path, field.class);
        Some(FieldView { endpoint: name.to_owned(), total: counted.total, field, rule })
    }

    pub(super) fn requests(&self) -> Vec<Line> {
        let recent = self.watched.comparison.lock().recent();
        recent.iter().map(|finding| Line::new(finding)).collect()
    }

    pub(super) fn request(&self, id: &str) -> Option<RequestView> {
        let finding = self.watched.comparison.lock().kept(id)?;
        Some(RequestView { details: finding.details.clone(), finding })
    }

    pub(super) fn rules(&mut self) -> RulesView<'_> {
        self.refresh();
        let rules = self.watched.comparison.lock().hits();
        let fields = self.endpoints.values().flat_map(|(_, report)| {
            report.fields.iter().map(|field| (report.name.as_str(), field))
        });
        let quiet = fields.filter(|(_, field)| {
            !matches!(field.verdict, Verdict::Regression | Verdict::Insufficient)
                || !field.forgiven.is_empty()
        });
        let mut forgiven: Vec<Quiet<'_>> = quiet
            .map(|(endpoint, field)| Quiet {
                endpoint,
                path: &field.path,
                class: field.class.into(),
                verdict: field.verdict,
                raw: field.raw,
                noise: field.noise,
                by: &field.forgiven,
            })
            .collect();
        let weight = |one: &Quiet<'_>| one.raw + one.by.values().sum::<u64>();
        forgiven.sort_by_key(|one| std::cmp::Reverse(weight(one)));
        let more = forgiven.len().saturating_sub(MAX_ROWS);
        forgiven.truncate(MAX_ROWS);
        RulesView { rules, forgiven, more }
    }
}

impl<'v> Row<'v> {
    fn new(report: &'v EndpointReport) -> Self {
        let mut verdicts = BTreeMap::new();
        for field in &report.fields {
            *verdicts.entry(field.verdict.into()).or_default() += 1;
        }
        let p95 = |times: Quantiles| (times.count > 0).then_some(times.p95_us);
        let times = &report.latency;
        Self {
            id: &report.name,
            total: report.total,
            failing: report.failing,
            failing_rate: report.failing_rate(),
            failing_rate_95: report.failing_rate_95,
            differing: report.differing,
            unanswered: report.failures.values().sum(),
            noise_rate: (report.control > 0)
                .then(|| report.control_differing as f64 / report.control as f64),
            p95_us: Sides {
                production: p95(times.production),
                candidate: p95(times.candidate),
                control: p95(times.control),
            },
            is_slower: report.is_slower,
            verdicts,
        }
    }
}

impl Line {
    fn new(finding: &Finding) -> Self {
        let forgiven = finding.differences.iter().filter(|one| one.forgiven_by.is_some()).count();
        Self {
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
