//! Pairs in, counts and findings out: the one place that knows every part.
//!
//! Remembers counts per endpoint and field, sample pairs, correspondences of identifiers, and production's recent
//! responses; all within limits.

mod curl;
mod spec;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::spec::{BadSpec, NoiseSpec, Spec};
use crate::count::Endpoint;
use crate::diff::{Found, How};
use crate::difference::{Class, Difference};
use crate::endpoint::Endpoints;
use crate::lift::Content;
use crate::limits::Limits;
use crate::noise::{Earlier, OwnNoise};
use crate::pair::{Answer, Failure, Read, Request, Response, compare};
use crate::report::{self, Finding, Report, Sides};
use crate::rules::{Correlations, Defaults, Rules};
use crate::samples::number;
use crate::verdict::Thresholds;

/// Bytes that sample pairs take together, about; with more, only fields without a sample get one.
pub const SAMPLE_BYTES: usize = 64 << 20;
/// Differences of one pair that its finding lists.
const LISTED: usize = 100;

/// How pairs are compared and judged.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What one pair may cost.
    pub limits: Limits,
    /// What holds where no rule says otherwise.
    pub defaults: Defaults,
    /// The rules.
    pub rules: Rules,
    /// The endpoints' names.
    pub endpoints: Endpoints,
    /// Where noise is known from.
    pub noise: NoiseSpec,
    /// When a field is a regression.
    pub thresholds: Thresholds,
    /// How latencies are judged.
    pub latency: LatencyOptions,
    /// Where findings' curl commands send to: the candidate's URL.
    pub base_url: String,
}

/// How latencies are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyOptions {
    /// Ratio of medians above which the candidate is slower.
    pub tolerance: f64,
    /// Judge against production where there is no control: only where both ran on the same hardware.
    pub against_production: bool,
}

impl Default for LatencyOptions {
    fn default() -> Self {
        Self { tolerance: 1.2, against_production: false }
    }
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Its name within the run.
    pub id: Cow<'a, str>,
    /// The request.
    pub request: Request<'a>,
    /// What production responded: the left side.
    pub production: Response<'a>,
    /// What the candidate did.
    pub candidate: Answer<'a>,
    /// What a second instance of production's version did.
    pub control: Option<Answer<'a>>,
    /// What the candidate did when it was asked a second time.
    pub again: Option<Answer<'a>>,
}

/// A comparison under way.
pub struct Comparison {
    options: Options,
    endpoints: BTreeMap<String, Endpoint>,
    own: OwnNoise,
    ids: Ids,
    pairs: u64,
    sample_bytes: usize,
}

/// Correspondences of production's identifiers with each other side's.
#[derive(Default)]
struct Ids {
    candidate: Correlations,
    control: Correlations,
    /// One side with itself: they are the same, or noise.
    none: Correlations,
}

impl Comparison {
    /// Begins one.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            endpoints: BTreeMap::new(),
            own: OwnNoise::default(),
            ids: Ids::default(),
            pairs: 0,
            sample_bytes: 0,
        }
    }

    /// Compares a pair and counts it.
    pub fn push(&mut self, pair: &Pair<'_>) -> Arc<Finding> {
        let name = self.endpoint(&pair.request);
        let Options { limits, defaults, rules, noise, .. } = &self.options;
        let method = pair.request.method;
        let how = How { limits, defaults, shapes: noise.shapes, moments: [None, None] };
        let read = |answer: &Answer<'_>| -> Option<Failure> {
            match answer {
                Answer::Failed(failure) => Some(*failure),
                Answer::Response(_) => None,
            }
        };
        let production = Read::new(&pair.production, limits);
        let candidate = Side::new(&pair.candidate, limits);
        let found = compare(
            how,
            rules.of(&name),
            &mut self.ids.candidate,
            method,
            &production,
            candidate.read(),
        );
        let control = pair.control.as_ref().map(|answer| {
            let side = Side::new(answer, limits);
            compare(how, rules.of(&name), &mut self.ids.control, method, &production, side.read())
        });
        let again = match (&pair.again, &candidate) {
            (Some(answer), Side::Response(first)) => {
                let second = Side::new(answer, limits);
                Some(compare(
                    how,
                    rules.of(&name),
                    &mut self.ids.none,
                    method,
                    first,
                    second.read(),
                ))
            }
            _ => None,
        };
        let earlier = noise
            .own
            .then(|| self.own.exchange(&pair.request, &pair.production, &production.lifted));
        let own = earlier.flatten().map(|earlier| {
            let Earlier { lifted, status, at, .. } = &earlier;
            let response = Response {
                status: *status,
                fields: earlier.fields(),
                trailers: Vec::new(),
                content: Content::Unknown("read already"),
                at: Some(*at),
                latency_us: None,
            };
            let without_trailers = Response { trailers: Vec::new(), ..pair.production.clone() };
            let first = Read { response: &response, lifted: lifted.clone() };
            let second = Read { response: &without_trailers, lifted: production.lifted.clone() };
            compare(how, rules.of(&name), &mut self.ids.none, method, &first, Ok(&second))
        });
        let failure = read(&pair.candidate);
        for difference in &found.differences {
            if let Some(crate::difference::Forgiven::Rule(rule)) = difference.forgiven {
                self.options.rules.hit(rule);
            }
        }
        found.applied.iter().for_each(|rule| self.options.rules.hit(*rule));
        let finding = Arc::new(self.finding(&name, pair, &found, control.as_ref()));
        self.pairs += 1;
        self.count(&name, pair, failure, &Counted { found, control, again, own }, &finding);
        finding
    }

    /// The endpoint of a request, after what was counted under earlier names has moved.
    fn endpoint(&mut self, request: &Request<'_>) -> String {
        let endpoints = &mut self.options.endpoints;
        let name = endpoints.name(request.method, request.target);
        if endpoints.take_renamed() {
            for (old, counted) in std::mem::take(&mut self.endpoints) {
                self.endpoints.entry(endpoints.renamed(&old)).or_default().merge(counted);
            }
            endpoints.take_renamed();
        }
        name
    }

    fn count(
        &mut self,
        name: &str,
        pair: &Pair<'_>,
        failure: Option<Failure>,
        counted: &Counted,
        finding: &Arc<Finding>,
    ) {
        let endpoint = self.endpoints.entry(name.to_owned()).or_default();
        endpoint.total += 1;
        if let Some(failure) = failure {
            *endpoint.failures.entry(failure).or_default() += 1;
        }
        let times = [
            Some(&pair.production),
            response(&pair.candidate),
            pair.control.as_ref().and_then(response),
        ];
        for (times, response) in endpoint.times.iter_mut().zip(times) {
            if let Some(micros) = response.and_then(|response| response.latency_us) {
                times.record(micros);
            }
        }
        let raw = keys(&counted.found);
        let noise = counted.control.as_ref().map(keys);
        endpoint.differing += u64::from(!raw.is_empty());
        let number = number(&pair.id);
        let mut combination = Vec::with_capacity(raw.len());
        for (path, class) in &raw {
            let Some((at, field)) = endpoint.field(path, *class) else { continue };
            combination.push(at);
            field.raw += 1;
            field.weight += raw.len() as u64;
            field.only_raw +=
                u64::from(noise.as_ref().is_some_and(|noise| !noise.contains(&(*path, *class))));
            if field.samples.wants(number)
                && (self.sample_bytes < SAMPLE_BYTES || field.samples.is_empty())
            {
                if Arc::strong_count(finding) == 1 {
                    self.sample_bytes += finding.size();
                }
                if let Some(gone) = field.samples.offer(number, finding)
                    && Arc::strong_count(&gone) == 1
                {
                    self.sample_bytes -= gone.size().min(self.sample_bytes);
                }
            }
        }
        endpoint.combination(combination);
        for difference in &counted.found.differences {
            match (difference.forgiven, difference.hint) {
                (Some(forgiven), _) => {
                    endpoint.forgive(&difference.path, difference.class, forgiven)
                }
                (None, Some(hint)) => {
                    if let Some((_, field)) = endpoint.field(&difference.path, difference.class) {
                        *field.hints.entry(hint).or_default() += 1;
                    }
                }
                (None, None) => {}
            }
        }
        if let Some(noise) = &noise {
            endpoint.control += 1;
            endpoint.control_differing += u64::from(!noise.is_empty());
            for (path, class) in noise {
                if let Some((_, field)) = endpoint.field(path, *class) {
                    field.noise += 1;
                    field.only_noise += u64::from(!raw.contains(&(*path, *class)));
                }
            }
        }
        for (which, found) in [&counted.again, &counted.own].into_iter().enumerate() {
            let Some(found) = found else { continue };
            let keys = keys(found);
            if which == 1 && keys.iter().any(|(path, class)| !OwnNoise::is_noise(path, *class)) {
                endpoint.stateful += 1;
                continue;
            }
            if let Some(trials) = endpoint.repeated.get_mut(which) {
                *trials += 1;
            }
            for (path, class) in keys {
                if let Some((_, field)) = endpoint.field(path, class)
                    && let Some(differing) = field.repeated.get_mut(which)
                {
                    *differing += 1;
                }
            }
        }
    }

    fn finding(
        &self,
        endpoint: &str,
        pair: &Pair<'_>,
        found: &Found,
        control: Option<&Found>,
    ) -> Finding {
        let noise = control.map(keys).unwrap_or_default();
        let listed = found.differences.iter().take(LISTED);
        let sides = |of: fn(&Response<'_>) -> Option<u64>| Sides {
            production: of(&pair.production),
            candidate: response(&pair.candidate).and_then(of),
            control: pair.control.as_ref().and_then(response).and_then(of),
        };
        let show = |difference: &Difference| {
            let is_noise = noise.contains(&(&*difference.path, difference.class));
            report::Shown::new(difference, is_noise, &self.options.rules)
        };
        Finding {
            v: report::VERSION,
            id: pair.id.to_string(),
            at: pair.production.at,
            endpoint: endpoint.to_owned(),
            method: pair.request.method.to_owned(),
            target: pair.request.target.to_owned(),
            curl: if found.differences.iter().any(Difference::counts) {
                curl::command(&pair.request, &self.options.base_url)
            } else {
                String::new()
            },
            status: sides(|response| Some(u64::from(response.status))),
            latency_us: sides(|response| response.latency_us),
            differences: listed.map(show).collect(),
            more: found.more + found.differences.len().saturating_sub(LISTED) as u64,
        }
    }

    /// What all pairs so far mean.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self.pairs, &self.endpoints, &self.options)
    }

    /// Starts over with the same options; correspondences of identifiers stay.
    pub fn reset(&mut self) {
        self.endpoints.clear();
        (self.pairs, self.sample_bytes) = (0, 0);
    }
}

/// What was found in one pair.
struct Counted {
    found: Found,
    control: Option<Found>,
    again: Option<Found>,
    own: Option<Found>,
}

/// One side, read.
enum Side<'a> {
    Response(Read<'a>),
    Failed(Failure),
}

impl<'a> Side<'a> {
    fn new(answer: &'a Answer<'a>, limits: &Limits) -> Self {
        match answer {
            Answer::Response(response) => Self::Response(Read::new(response, limits)),
            Answer::Failed(failure) => Self::Failed(*failure),
        }
    }

    fn read(&self) -> Result<&Read<'a>, Failure> {
        match self {
            Self::Response(read) => Ok(read),
            Self::Failed(failure) => Err(*failure),
        }
    }
}

fn response<'r, 'a>(answer: &'r Answer<'a>) -> Option<&'r Response<'a>> {
    match answer {
        Answer::Response(response) => Some(response),
        Answer::Failed(_) => None,
    }
}

/// The fields that count, each once.
fn keys(found: &Found) -> Vec<(&str, Class)> {
    let counted = found.differences.iter().filter(|difference| difference.counts());
    let mut keys: Vec<(&str, Class)> = counted.map(|one| (&*one.path, one.class)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
