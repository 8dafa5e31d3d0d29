//! What was found in one pair, added to the counts of its endpoint.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::{Comparison, Pair, SAMPLE_BYTES, response};
use crate::diff::Found;
use crate::difference::Class;
use crate::noise::OwnNoise;
use crate::pair::Failure;
use crate::report::Finding;
use crate::samples::number;

/// What was found in one pair.
pub(super) struct Counted {
    pub(super) found: Found,
    pub(super) control: Option<Found>,
    pub(super) again: Option<Found>,
    pub(super) own: Option<Found>,
    /// Pairs that it stands for.
    pub(super) pairs: u64,
}

impl Comparison {
    pub(super) fn count(
        &mut self,
        name: &str,
        pair: &Pair<'_>,
        failure: Option<Failure>,
        counted: &Counted,
        finding: &Arc<Finding>,
    ) {
        let pairs = counted.pairs;
        let endpoint = self.endpoints.entry(name.to_owned()).or_default();
        endpoint.total += pairs;
        endpoint.judged += 1;
        if let Some(failure) = failure {
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
        let raw = keys(&counted.found);
        let noise = counted.control.as_ref().map(keys);
        endpoint.differing += pairs * u64::from(!raw.is_empty());
        let number = number(&pair.id);
        let mut combination = Vec::with_capacity(raw.len());
        for (path, class) in &raw {
            let Some((at, field)) = endpoint.field(path, *class) else { continue };
            combination.push(at);
            field.raw += pairs;
            field.weight += pairs * raw.len() as u64;
            field.only_raw += pairs
                * u64::from(noise.as_ref().is_some_and(|noise| !noise.contains(&(*path, *class))));
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
        endpoint.combination(combination, pair.production.at, pairs);
        for difference in &counted.found.differences {
            match (difference.forgiven, difference.hint) {
                (Some(forgiven), _) => {
                    endpoint.forgive(&difference.path, difference.class, forgiven, pairs);
                }
                (None, Some(hint)) => {
                    if let Some((_, field)) = endpoint.field(&difference.path, difference.class) {
                        *field.hints.entry(hint).or_default() += pairs;
                    }
                }
                (None, None) => {}
            }
        }
        if let Some(noise) = &noise {
            endpoint.control += pairs;
            endpoint.control_differing += pairs * u64::from(!noise.is_empty());
            for (path, class) in noise {
                if let Some((_, field)) = endpoint.field(path, *class) {
                    field.noise += pairs;
                    field.only_noise += pairs * u64::from(!raw.contains(&(*path, *class)));
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
}

/// The fields that count, each once.
pub(super) fn keys(found: &Found) -> Vec<(&str, Class)> {
    let counted = found.differences.iter().filter(|difference| difference.counts());
    let mut keys: Vec<(&str, Class)> = counted.map(|one| (&*one.path, one.class)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
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
