//! What a comparison says: the report as a whole, a finding for each pair, and the forms in which people and programs
//! read them.

pub mod html;
pub mod junit;
mod sentence;
pub mod table;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub use self::sentence::{basis, cause};
use crate::comparison::Options;
use crate::count::{Endpoint, Field};
use crate::details::Details;
use crate::difference::{Class, Difference, Forgiven, Hint};
use crate::pair::Failure;
use crate::rules::{RuleHits, Rules};
use crate::trend::Point;
use crate::verdict::latency::{Quantiles, Slower, Times};
use crate::verdict::stats::wilson;
use crate::verdict::{Figures, Repeated, Verdict};

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

/// What was found in one pair.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Finding {
    /// [`VERSION`].
    pub v: u32,
    /// The pair's name within the run.
    pub id: String,
    /// When production's response was made.
    #[serde(rename = "ts", serialize_with = "time")]
    pub at: Option<i64>,
    /// The endpoint.
    pub endpoint: String,
    /// The request's method.
    pub method: String,
    /// The request's target, redacted.
    pub target: String,
    /// A command that sends the redacted request to the candidate again; empty without a difference that counts.
    pub curl: String,
    /// The status codes; `null` where there was no response.
    pub status: Sides<Option<u64>>,
    /// How long the responses took, in microseconds.
    pub latency_us: Sides<Option<u64>>,
    /// The differences, forgiven ones included.
    #[serde(rename = "diffs")]
    pub differences: Vec<Shown>,
    /// Differences that are not listed.
    pub more: u64,
    /// The messages, where somebody may look at them.
    #[serde(skip)]
    pub details: Option<Details>,
    /// The same for pairs of an endpoint in which the same fields differ, forgiven or not, and with the control.
    #[serde(skip)]
    pub kind: u64,
}

impl Finding {
    /// True if there is a difference that nothing forgave.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.more > 0 || self.differences.iter().any(|one| one.forgiven_by.is_none())
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = |one: &Shown| {
            let sides =
                [&one.production, &one.candidate, &one.rule].into_iter().flatten().map(String::len);
            one.path.len() + one.pointer.len() + sides.sum::<usize>() + size_of::<Shown>()
        };
        let own = self.id.len() + self.endpoint.len() + self.target.len() + self.curl.len();
        let details = self.details.as_ref().map_or(0, Details::size);
        own + details + self.differences.iter().map(texts).sum::<usize>() + size_of::<Self>()
    }
}

/// A difference, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The field.
    pub path: String,
    /// Where in the body.
    #[serde(rename = "ptr", skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// How it differs.
    #[serde(rename = "kind")]
    pub class: Class,
    /// What the values suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Production's value.
    #[serde(rename = "p")]
    pub production: Option<String>,
    /// The candidate's.
    #[serde(rename = "c")]
    pub candidate: Option<String>,
    /// What shows for this very request that it is noise: `control`, `double_send` or `own_noise` differs here, too.
    pub noise: Option<&'static str>,
    /// What forgave it.
    pub forgiven_by: Option<&'static str>,
    /// The rule that forgave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Shown {
    pub(crate) fn new(difference: Difference, noise: Option<&'static str>, rules: &Rules) -> Self {
        let Difference { path, pointer, class, hint, left, right, forgiven } = difference;
        let rule = match forgiven {
            Some(Forgiven::Rule(rule)) => Some(rules.text(rule).to_owned()),
            _ => None,
        };
        let forgiven_by = forgiven.map(Forgiven::name);
        Self {
            path,
            pointer,
            class,
            hint,
            production: left,
            candidate: right,
            noise,
            forgiven_by,
            rule,
        }
    }
}

fn time<S: Serializer>(at: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let at = at.and_then(|at| jiff::Timestamp::from_nanosecond(at.into()).ok());
    match at {
        Some(at) => serializer.collect_str(&format_args!("{at:.3}")),
        None => serializer.serialize_none(),
    }
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
            by.rules.iter().map(|(rule, count)| (options.rules.text(*rule).to_owned(), *count));
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
