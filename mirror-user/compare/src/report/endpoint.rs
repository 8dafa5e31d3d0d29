//! What the pairs of one endpoint mean, and the differences in each of its fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::finding::Shown;
use super::{Sides, cause};
use crate::comparison::Options;
use crate::count::{Endpoint, Field};
use crate::difference::{Class, Hint};
use crate::pair::Failure;
use crate::trend::Point;
use crate::verdict::latency::{Quantiles, Slower, Times};
use crate::verdict::stats::wilson;
use crate::verdict::{Figures, Repeated, Verdict};

/// What one endpoint's pairs mean.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointReport {
    /// Its name.
    pub name: String,
    /// Pairs.
    pub total: u64,
    /// Pairs that were compared; the others are of the same kinds and were not stored.
    pub judged: u64,
    /// Pairs with a regression.
    pub failing: u64,
    /// The interval of 95 % for their part of all.
    pub failing_rate_95: (f64, f64),
    /// Pairs with any difference that nothing forgave.
    pub differing: u64,
    /// Requests without a response of the candidate.
    pub failures: BTreeMap<Failure, u64>,
    /// Pairs with a control.
    pub control: u64,
    /// Pairs where the control differs.
    pub control_differing: u64,
    /// Requests that were repeated: at the candidate, at production.
    pub repeated: [u64; 2],
    /// How long the sides took.
    pub latency: Sides<Quantiles>,
    /// How the candidate's times compare with the control's, or production's where that was asked for.
    pub slower: Option<Slower>,
    /// True if it is slower, and that is no chance.
    pub is_slower: bool,
    /// The fields, worst first.
    pub fields: Vec<FieldReport>,
    /// Differences in fields beyond the limit.
    pub beyond: u64,
    /// The failing pairs over time.
    #[serde(skip)]
    pub trend: Vec<Point>,
}

/// What one field's differences mean.
#[derive(Clone, Debug, Serialize)]
pub struct FieldReport {
    /// The field.
    pub path: String,
    /// How it differs.
    pub class: Class,
    /// What that means.
    pub verdict: Verdict,
    /// In words.
    pub cause: String,
    /// Pairs that differ here.
    pub raw: u64,
    /// Pairs of production and control that differ here.
    pub noise: u64,
    /// What each source of noise showed here: `control`, `double_send`, `own_noise`.
    pub sources: BTreeMap<&'static str, Repeated>,
    /// Diffy's figures.
    pub figures: Figures,
    /// How likely that is by chance.
    pub p: f64,
    /// The interval of 95 % for the part of pairs that differ here.
    pub rate_95: (f64, f64),
    /// Fields that differ in the same pairs.
    pub weight: u64,
    /// Differences that were forgiven, by what did.
    pub forgiven: BTreeMap<String, u64>,
    /// What the values suggest.
    pub hints: BTreeMap<Hint, u64>,
    /// Sample pairs.
    pub samples: Vec<SampleReport>,
}

/// One sample of a field.
#[derive(Clone, Debug, Serialize)]
pub struct SampleReport {
    /// The pair.
    pub id: String,
    /// Where in its body.
    pub pointer: String,
    /// Production's value.
    pub production: Option<String>,
    /// The candidate's.
    pub candidate: Option<String>,
    /// Its request.
    pub request: String,
    /// A command that sends it again.
    pub curl: String,
}

impl EndpointReport {
    /// Judges what was counted.
    #[must_use]
    pub fn new(name: &str, counted: &Endpoint, options: &Options) -> Self {
        let thresholds = &options.thresholds;
        let fields = counted.fields.iter().filter(|field| !field.is_noise_alone());
        let mut fields: Vec<FieldReport> =
            fields.map(|field| FieldReport::new(field, counted, options)).collect();
        fields.sort_by(|a, b| {
            a.verdict.cmp(&b.verdict).then(b.raw.cmp(&a.raw)).then_with(|| a.path.cmp(&b.path))
        });
        let [production, candidate, control] = &counted.times;
        let other = match (control.quantiles().count, options.latency.against_production) {
            (0, false) => None,
            (0, true) => Some(production),
            _ => Some(control),
        };
        let measured = counted.judged as f64 / counted.total.max(1) as f64;
        let slower = other.and_then(|other| Slower::new(other, candidate, measured));
        let quantiles = Times::quantiles;
        let failing = counted.failing(thresholds);
        Self {
            name: name.to_owned(),
            total: counted.total,
            judged: counted.judged,
            failing,
            failing_rate_95: wilson(failing, counted.total),
            differing: counted.differing,
            failures: counted.failures.clone(),
            control: counted.control,
            control_differing: counted.control_differing,
            repeated: counted.repeated,
            latency: Sides {
                production: quantiles(production),
                candidate: quantiles(candidate),
                control: quantiles(control),
            },
            slower,
            is_slower: slower.is_some_and(|slower| slower.is_slower(options.latency.tolerance)),
            fields,
            beyond: counted.beyond,
            trend: counted.trend(thresholds),
        }
    }

    /// Pairs with a regression, as a part of all.
    #[must_use]
    pub fn failing_rate(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.failing as f64 / self.total as f64 }
    }
}

impl FieldReport {
    fn new(field: &Field, endpoint: &Endpoint, options: &Options) -> Self {
        let evidence = endpoint.evidence(field);
        let by = &field.forgiven;
        let rules =
            by.rules.iter().map(|(rule, count)| (options.rules.text(*rule).to_string(), *count));
        let shapes = by.shapes.iter().map(|(shape, count)| (format!("shape {shape}"), *count));
        let defaults = (by.defaults > 0).then(|| ("defaults".to_owned(), by.defaults));
        let samples = field.samples.findings().filter_map(|finding| {
            let is_here =
                |one: &&Shown| *one.path == *field.key.path && one.class == field.key.class;
            let shown = finding.differences.iter().find(is_here)?;
            Some(SampleReport {
                id: finding.id.clone(),
                pointer: shown.pointer.clone(),
                production: shown.production.clone(),
                candidate: shown.candidate.clone(),
                request: format!("{} {}", finding.method, finding.target),
                curl: finding.curl.clone(),
            })
        });
        Self {
            path: field.key.path.to_string(),
            class: field.key.class,
            verdict: evidence.verdict(&options.thresholds),
            cause: cause(field.key.class, &field.hints, field.raw),
            raw: field.raw,
            noise: field.noise,
            sources: evidence.sources().collect(),
            figures: evidence.figures(),
            p: evidence.p(),
            rate_95: wilson(field.raw, endpoint.total),
            weight: field.weight,
            forgiven: rules.chain(shapes).chain(defaults).collect(),
            hints: field.hints.clone(),
            samples: samples.collect(),
        }
    }
}
