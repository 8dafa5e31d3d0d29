//! What was found in one pair, added to the counts of its endpoint.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::{Comparison, FIRST_SAMPLE_BYTES, Pair, SAMPLE_BYTES, response};
use crate::count::{COUNT_BYTES, Endpoint};
use crate::diff::Found;
use crate::difference::{Class, Difference};
use crate::noise;
use crate::pair::Answer;
use crate::report::Finding;
use crate::samples::number;
use crate::verdict::Verdict;

/// A field of one pair.
type Key<'f> = (&'f str, Class);

/// What was found in one pair.
pub(super) struct Counted {
    pub(super) found: Found,
    pub(super) control: Option<Found>,
    pub(super) again: Option<Found>,
    pub(super) own: Option<Found>,
    /// Pairs that it stands for.
    pub(super) pairs: u64,
}

impl Counted {
    /// The fields in which each source of noise differs for this request.
    pub(super) fn noise(&self) -> Vec<(&'static str, Vec<Key<'_>>)> {
        let sources = [
            (Verdict::Control, &self.control),
            (Verdict::DoubleSend, &self.again),
            (Verdict::OwnNoise, &self.own),
        ];
        let mut differing = Vec::new();
        for (source, found) in sources {
            let Some(found) = found else { continue };
            differing.push((source.into(), keys(found)));
        }
        differing
    }
}

/// Which fields of an endpoint may keep a pair as a sample.
pub(super) struct Wanted(Vec<u32>);

impl Comparison {
    pub(super) fn count(&mut self, name: &str, pair: &Pair<'_>, counted: &Counted) -> Wanted {
        if !self.endpoints.contains_key(name) {
            self.endpoints.insert(name.to_owned(), Endpoint::default());
        }
        let mut wanted = Vec::new();
        let Some(endpoint) = self.endpoints.get_mut(name) else { return Wanted(wanted) };
        let before = endpoint.allow(COUNT_BYTES.saturating_sub(self.count_bytes));
        let pairs = counted.pairs;
        count_answers(endpoint, pair, pairs);
        let noise = counted.control.as_ref().map(keys);
        let differing = by_field(&counted.found);
        let weight = differing.chunk_by(is_same).count() as u64;
        let mut fields = Vec::new();
        for of in differing.chunk_by(is_same) {
            let Some((path, class)) = of.first().map(|one| one.key()) else { continue };
            let Some((at, field)) = endpoint.field(path, class) else { continue };
            fields.push(at);
            field.raw += pairs;
            field.weight += pairs * weight;
            field.systematic.add(of);
            for hint in of.iter().filter_map(|difference| difference.hint) {
                *field.hints.entry(hint).or_default() += pairs;
            }
            let is_alone = |noise: &Vec<Key<'_>>| noise.binary_search(&(path, class)).is_err();
            field.only_raw += pairs * u64::from(noise.as_ref().is_some_and(is_alone));
            let first = if field.samples.is_empty() { FIRST_SAMPLE_BYTES } else { 0 };
            if field.samples.wants(number(&pair.id)) && self.sample_bytes < SAMPLE_BYTES + first {
                wanted.push(at);
            }
        }
        endpoint.differing += pairs * u64::from(!differing.is_empty());
        endpoint.combination(fields, pair.production.at, pairs);
        for difference in &counted.found.differences {
            if let Some(forgiven) = difference.forgiven {
                endpoint.forgive(&difference.path, difference.class, forgiven, pairs);
            }
        }
        if let Some(noise) = &noise {
            count_control(endpoint, noise, &differing, pairs);
        }
        count_repeated(endpoint, [counted.again.as_ref(), counted.own.as_ref()]);
        self.count_bytes += endpoint.bytes().saturating_sub(before);
        Wanted(wanted)
    }

    /// Keeps a pair as a sample of the fields that want one.
    pub(super) fn sample(&mut self, name: &str, wanted: &Wanted, finding: &Arc<Finding>) {
        let Some(endpoint) = self.endpoints.get_mut(name) else { return };
        for at in &wanted.0 {
            let Some(field) = endpoint.fields.get_mut(*at as usize) else { continue };
            if Arc::strong_count(finding) == 1 {
                self.sample_bytes += finding.size();
            }
            if let Some(gone) = field.samples.offer(number(&finding.id), finding)
                && Arc::strong_count(&gone) == 1
            {
                self.sample_bytes -= gone.size().min(self.sample_bytes);
            }
        }
    }
}

/// Counts the pair, and how its sides answered.
fn count_answers(endpoint: &mut Endpoint, pair: &Pair<'_>, pairs: u64) {
    endpoint.total += pairs;
    endpoint.judged += 1;
    if let Answer::Failed(failure) = pair.candidate {
        *endpoint.failures.entry(failure).or_default() += pairs;
    }
    let times = [
        Some(&pair.production),
        response(&pair.candidate),
        pair.control.as_ref().and_then(response),
    ];
    for (times, response) in endpoint.times.iter_mut().zip(times) {
        if let Some(micros) = response.and_then(|response| response.latency_us) {
            times.record(micros, pairs);
        }
    }
}

/// Counts where the control differs, and where it alone does.
fn count_control(endpoint: &mut Endpoint, noise: &[Key<'_>], raw: &[&Difference], pairs: u64) {
    endpoint.control += pairs;
    endpoint.control_differing += pairs * u64::from(!noise.is_empty());
    for key in noise {
        if let Some((_, field)) = endpoint.field(key.0, key.1) {
            field.noise += pairs;
            let is_alone = raw.binary_search_by_key(key, |one| one.key()).is_err();
            field.only_noise += pairs * u64::from(is_alone);
        }
    }
}

/// Counts where two answers to one request differ: the candidate's, and production's.
fn count_repeated(endpoint: &mut Endpoint, repeated: [Option<&Found>; 2]) {
    for (which, found) in repeated.into_iter().enumerate() {
        let Some(found) = found else { continue };
        let keys = keys(found);
        if which == 1 && keys.iter().any(|(path, class)| !noise::may_be(path, *class)) {
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

/// The fields that count, each once, in their order.
fn keys(found: &Found) -> Vec<Key<'_>> {
    let mut keys: Vec<Key<'_>> = by_field(found).into_iter().map(Difference::key).collect();
    keys.dedup();
    keys
}

/// The differences that count, by field.
fn by_field(found: &Found) -> Vec<&Difference> {
    let mut counted: Vec<&Difference> =
        found.differences.iter().filter(|difference| difference.counts()).collect();
    counted.sort_by(|a, b| a.key().cmp(&b.key()));
    counted
}

fn is_same(a: &&Difference, b: &&Difference) -> bool {
    a.key() == b.key()
}

/// The same number for pairs in which the same fields differ, whatever forgave them, with the candidate and the control.
pub(super) fn kind(found: &Found, control: Option<&Found>) -> u64 {
    FixedState::with_seed(0x4b49_4e44).hash_one((places(found), control.map(places)))
}

fn places(found: &Found) -> Vec<(&str, Class)> {
    let each = found.differences.iter().map(|one| (&*one.path, one.class));
    let mut places: Vec<(&str, Class)> = each.collect();
    places.sort_unstable();
    places.dedup();
    places
}
