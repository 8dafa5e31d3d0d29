//! What the page shows of a comparison: parts are copied while it is locked, and judged when it is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mirror_compare::comparison::Options;
use mirror_compare::difference::Class;
use mirror_compare::report::{self, EndpointReport, FieldReport, Sides};
use mirror_compare::rules::RuleHits;
use mirror_compare::verdict::Verdict;
use mirror_compare::verdict::latency::Quantiles;
use serde::Serialize;
use strum::IntoEnumIterator;
use tokio::time::Instant;

use super::requests::{Line, RequestView, Stored};
use super::rule;
use super::trend::{Share, Trend};
use super::watched::{State, Turn, Watched};
use crate::sink::compare::Shared;
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
    /// What is shown: the run's own comparison, or what is stored, judged anew.
    shown: Shared,
    turn: Turn,
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
    trend: Trend,
    /// What figures from stored pairs rest on.
    basis: Option<String>,
    /// Pairs are stored, so that they can be judged anew.
    stores: bool,
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
    trend: Vec<Share>,
}

/// `/endpoints/{id}`.
#[derive(Serialize)]
pub(super) struct EndpointView {
    #[serde(flatten)]
    report: EndpointReport,
    failing_rate: f64,
    /// The upper ends of steps, in microseconds, and the responses in each.
    distribution: Sides<Vec<(u64, u64)>>,
    trend: Trend,
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
    /// What is stored can be judged anew with it.
    stores: bool,
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
        let (turn, shown) = watched.shown();
        let options = shown.lock().options().clone();
        let (endpoints, seen, next) = (BTreeMap::new(), None, Instant::now());
        Self { watched, shown, turn, options, endpoints, seen, next }
    }

    /// What is shown may be something else now.
    pub(super) fn follow(&mut self) {
        let (turn, shown) = self.watched.shown();
        if turn != self.turn {
            self.options = shown.lock().options().clone();
            (self.turn, self.shown) = (turn, shown);
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.endpoints.clear();
        (self.seen, self.next) = (None, Instant::now());
    }

    /// Judges anew what is stored, with a rule that ignores a field; the rule as YAML, unless that is not possible.
    pub(super) fn ignore(&mut self, name: &str, path: &str, class: &str) -> Option<String> {
        let class = Class::iter().find(|one| <&str>::from(one) == class)?;
        let rule = rule::ignoring(name, path, class)?;
        let yaml = rule::file(&rule);
        let options = self.watched.comparison.lock().options().clone();
        self.watched.judgement.add(rule, &options).then_some(yaml)
    }

    /// Judges anew what is stored of a part of the time; false if nothing is.
    pub(super) fn of(&mut self, from: Option<i64>, to: Option<i64>) -> bool {
        let options = self.watched.comparison.lock().options().clone();
        self.watched.judgement.of(from, to, &options)
    }

    /// Shows the run's own comparison again.
    pub(super) fn live(&mut self) {
        self.watched.judgement.end();
    }

    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched)
    }

    /// Counts from zero.
    pub(super) fn reset(&mut self) {
        self.watched.reset();
        self.forget();
    }

    /// Looks at the endpoints that have new pairs, one after the other; the state in which they were looked at.
    fn refresh(&mut self) -> State {
        let (state, begun) = (self.watched.state(), Instant::now());
        // Nobody asks again after the end.
        let may_wait = begun < self.next && !state.is_final();
        match &self.seen {
            Some(seen) if *seen == state || may_wait => return seen.clone(),
            _ => {}
        }
        let totals = self.shown.lock().totals();
        let mut before = std::mem::take(&mut self.endpoints);
        for (name, total) in totals {
            let known = before.remove(&name).filter(|(then, _)| *then == total);
            if let Some(now) = known.or_else(|| self.look(&name)) {
                self.endpoints.insert(name, now);
            }
        }
        self.seen = Some(state.clone());
        self.next = begun + PAUSE.max(begun.elapsed() * SHARE);
        state
    }

    fn look(&self, name: &str) -> Option<(u64, EndpointReport)> {
        let counted = self.shown.lock().counted(name)?;
        let mut report = EndpointReport::new(name, &counted, &self.options);
        report.fields.iter_mut().for_each(|field| field.samples = Vec::new());
        Some((counted.total, report))
    }

    pub(super) fn overview(
        &mut self,
        health: Arc<Snapshot>,
        refused: BTreeMap<&'static str, u64>,
    ) -> Overview<'_> {
        let state = self.refresh();
        let trend = Trend::new(self.endpoints.values().map(|(_, report)| report));
        let rows = self.endpoints.values().map(|(_, report)| Row::new(report, &trend));
        let mut endpoints: Vec<Row<'_>> = rows.collect();
        endpoints.sort_by(|a, b| b.failing_rate.total_cmp(&a.failing_rate).then(a.id.cmp(b.id)));
        let basis = self.shown.lock().basis().map(|basis| report::basis(&basis));
        let stores = self.watched.judgement.is_possible();
        Overview { state, endpoints, trend, basis, stores, health, refused }
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<EndpointView> {
        let counted = self.shown.lock().counted(name)?;
        let mut report = EndpointReport::new(name, &counted, &self.options);
        report.fields.iter_mut().for_each(|field| field.samples = Vec::new());
        let [production, candidate, control] =
            counted.times.each_ref().map(|one| one.distribution());
        let distribution = Sides { production, candidate, control };
        let trend = Trend::new(std::iter::once(&report));
        Some(EndpointView { failing_rate: report.failing_rate(), report, distribution, trend })
    }

    pub(super) fn field(&self, name: &str, path: &str, class: &str) -> Option<FieldView> {
        let counted = self.shown.lock().counted(name)?;
        let report = EndpointReport::new(name, &counted, &self.options);
        let is_it = |field: &FieldReport| field.path == path && <&str>::from(field.class) == class;
        let field = report.fields.into_iter().find(is_it)?;
        let rule = rule::ignoring(name, path, field.class).map(|rule| rule::file(&rule));
        let stores = self.watched.judgement.is_possible();
        Some(FieldView { endpoint: name.to_owned(), total: counted.total, field, rule, stores })
    }

    pub(super) fn requests(&self) -> Vec<Line> {
        let recent = self.shown.lock().recent();
        recent.iter().map(|finding| Line::new(finding)).collect()
    }

    pub(super) fn request(&self, id: &str) -> Option<RequestView> {
        let finding = self.shown.lock().kept(id)?;
        Some(RequestView::new(finding))
    }

    /// What finds stored pairs, on a thread that may wait for the disk.
    pub(super) fn stored(&self) -> Option<Stored> {
        let (store, range) = self.watched.judgement.store()?;
        Some(Stored::new(store, range, &self.options))
    }

    pub(super) fn rules(&mut self) -> RulesView<'_> {
        self.refresh();
        let rules = self.shown.lock().hits();
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
    fn new(report: &'v EndpointReport, trend: &Trend) -> Self {
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
            trend: trend.shares(report),
        }
    }
}
