//! Pairs in, counts and findings out: the one place that knows every part.
//!
//! Remembers counts per endpoint and field, sample pairs, correspondences of identifiers, and production's recent
//! responses; all within limits.

mod curl;
mod look;
mod spec;
mod tally;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use self::spec::{BadSpec, NoiseSpec, Spec};
use self::tally::Counted;
use crate::count::Endpoint;
use crate::details::Details;
use crate::diff::How;
use crate::difference::{Difference, Forgiven};
use crate::diffy::Collector;
use crate::endpoint::Endpoints;
use crate::limits::Limits;
use crate::noise::OwnNoise;
use crate::pair::{Answer, Failure, Read, Request, Response, compare};
use crate::report::{self, Basis, Finding, Report, Sides};
use crate::rules::{Correlations, Defaults, Rules};
use crate::verdict::Thresholds;

/// Bytes that sample pairs take together, about; with more, only fields without a sample get one.
pub const SAMPLE_BYTES: usize = 24 << 20;
/// Bytes that those may take beside.
pub const FIRST_SAMPLE_BYTES: usize = 8 << 20;
/// Differences of one pair that its finding lists: a field that is not among them has no sample in it.
const LISTED: usize = 256;
/// The last pairs that are kept with their messages.
pub const RECENT: usize = 200;
/// Bytes that they take together, about.
const RECENT_BYTES: usize = 16 << 20;

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
    /// Keep the messages of samples and of the last pairs, for people who look at them.
    pub details: bool,
    /// Count as Diffy does, too, for programs that ask by its API: the names of primary, candidate and secondary.
    pub diffy: Option<[String; 3]>,
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
    /// What the endpoints' fields take, and the samples.
    count_bytes: usize,
    sample_bytes: usize,
    recent: Recent,
    basis: Option<Basis>,
    diffy: Option<Collector>,
}

/// The last pairs, whatever was found.
#[derive(Default)]
struct Recent {
    findings: VecDeque<Arc<Finding>>,
    bytes: usize,
}

impl Recent {
    fn push(&mut self, finding: &Arc<Finding>) {
        self.bytes += finding.size();
        self.findings.push_back(Arc::clone(finding));
        while self.findings.len() > RECENT || self.bytes > RECENT_BYTES {
            let Some(gone) = self.findings.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(gone.size());
        }
    }
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
        let diffy = options.diffy.clone();
        let diffy = diffy.map(|targets| Collector::new(options.thresholds, targets));
        Self {
            options,
            diffy,
            endpoints: BTreeMap::new(),
            own: OwnNoise::default(),
            ids: Ids::default(),
            pairs: 0,
            count_bytes: 0,
            sample_bytes: 0,
            recent: Recent::default(),
            basis: None,
        }
    }

    /// Compares a pair and counts it.
    pub fn push(&mut self, pair: &Pair<'_>) -> Arc<Finding> {
        self.push_for(pair, 1)
    }

    /// Compares a pair, and counts it as so many: it stands for others of its kind, which are not there any more.
    pub fn push_for(&mut self, pair: &Pair<'_>, pairs: u64) -> Arc<Finding> {
        let name = self.endpoint(&pair.request);
        let Options { limits, defaults, rules, noise, .. } = &self.options;
        let method = pair.request.method;
        let how = How { limits, defaults, shapes: noise.shapes, moments: [None, None] };
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
        let earlier = noise.own.then(|| self.own.exchange(&pair.request, &production));
        let own = earlier.flatten().map(|earlier| {
            let (first, second) = (earlier.response(), without_trailers(&pair.production));
            let first = Read::new(&first, limits).again(earlier.lifted.clone());
            let second = Read::new(&second, limits).again(production.known().cloned());
            compare(how, rules.of(&name), &mut self.ids.none, method, &first, Ok(&second))
        });
        for difference in &found.differences {
            if let Some(Forgiven::Rule(rule)) = difference.forgiven {
                self.options.rules.hit(rule);
            }
        }
        found.applied.iter().for_each(|rule| self.options.rules.hit(*rule));
        let counted = Counted { found, control, again, own, pairs };
        self.pairs += pairs;
        if let Some(diffy) = &mut self.diffy {
            diffy.push(pair);
        }
        let wanted = self.count(&name, pair, &counted);
        let finding = Arc::new(self.finding(&name, pair, counted));
        self.sample(&name, &wanted, &finding);
        if self.options.details {
            self.recent.push(&finding);
        }
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
            self.count_bytes = self.endpoints.values().map(Endpoint::bytes).sum();
        }
        name
    }

    fn finding(&self, endpoint: &str, pair: &Pair<'_>, mut counted: Counted) -> Finding {
        let kind = tally::kind(&counted.found, counted.control.as_ref());
        let found = std::mem::take(&mut counted.found);
        let sources = counted.noise();
        let sides = |of: fn(&Response<'_>) -> Option<u64>| Sides {
            production: of(&pair.production),
            candidate: response(&pair.candidate).and_then(of),
            control: pair.control.as_ref().and_then(response).and_then(of),
        };
        let curl = match self.options.details || found.differences.iter().any(Difference::counts) {
            true => curl::command(&pair.request, &self.options.base_url),
            false => String::new(),
        };
        let more = found.more + found.differences.len().saturating_sub(LISTED) as u64;
        let show = |difference: Difference| {
            let is_noise = |(_, keys): &&(_, Vec<_>)| keys.binary_search(&difference.key()).is_ok();
            let noise = sources.iter().find(is_noise).map(|(source, _)| *source);
            report::Shown::new(difference, noise, &self.options.rules)
        };
        Finding {
            v: report::VERSION,
            id: pair.id.to_string(),
            at: pair.production.at,
            endpoint: endpoint.to_owned(),
            method: pair.request.method.to_owned(),
            target: pair.request.target.to_owned(),
            curl,
            status: sides(|response| Some(u64::from(response.status))),
            latency_us: sides(|response| response.latency_us),
            differences: found.differences.into_iter().take(LISTED).map(show).collect(),
            more,
            details: self.options.details.then(|| Details::new(pair, &self.options.limits)),
            kind,
        }
    }

    /// What all pairs so far mean.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(self.pairs, self.basis, &self.endpoints, &self.options)
    }

    /// What follows is of another run: its responses say nothing about the noise of those before.
    pub fn begin_run(&mut self) {
        self.own = OwnNoise::default();
        self.ids = Ids::default();
    }

    /// Says what it rests on.
    pub fn rest_on(&mut self, basis: Basis) {
        self.basis = Some(basis);
    }

    /// Starts over with the same options; correspondences of identifiers stay.
    pub fn reset(&mut self) {
        self.endpoints.clear();
        self.recent = Recent::default();
        self.options.rules.forget_hits();
        (self.pairs, self.count_bytes, self.sample_bytes, self.basis) = (0, 0, 0, None);
        if let Some(diffy) = &mut self.diffy {
            diffy.clear();
        }
    }
}

/// One side, read.
enum Side<'a> {
    Response(Read<'a>),
    Failed(Failure),
}

impl<'a> Side<'a> {
    fn new(answer: &'a Answer<'a>, limits: &'a Limits) -> Self {
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

/// A response whose trailers are not compared.
fn without_trailers<'r>(response: &'r Response<'_>) -> Response<'r> {
    Response {
        status: response.status,
        fields: response.fields.clone(),
        trailers: Vec::new(),
        content: response.content.borrowed(),
        at: response.at,
        latency_us: None,
    }
}

fn response<'r, 'a>(answer: &'r Answer<'a>) -> Option<&'r Response<'a>> {
    match answer {
        Answer::Response(response) => Some(response),
        Answer::Failed(_) => None,
    }
}
