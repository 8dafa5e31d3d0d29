//! What was counted of one endpoint: pairs, failures, times, and each field's differences.

mod field;

use std::collections::BTreeMap;

use hashbrown::HashMap;

pub use self::field::{Field, ForgivenBy, Key};
use crate::difference::{Class, Forgiven};
use crate::noise;
use crate::pair::Failure;
use crate::trend::{Point, Trend};
use crate::verdict::latency::Times;
use crate::verdict::{Evidence, Repeated, Thresholds, Verdict};

/// Fields of one endpoint; differences of others are counted together.
pub const MAX_FIELDS: usize = 2_000;
/// Combinations of fields of one endpoint in one pair, by which failing pairs are counted exactly.
const MAX_COMBINATIONS: usize = 4_096;
/// Bytes of one beside its list of fields.
const COMBINATION_BYTES: usize = 32;
/// Bytes that the fields and combinations of all endpoints take together, about: 130,000 fields with short names. Those
/// that are new then are counted as beyond.
pub const COUNT_BYTES: usize = 48 << 20;

/// One endpoint.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Pairs.
    pub total: u64,
    /// Pairs that were compared here: fewer than [`total`](Self::total) if some stand for others that are not stored.
    pub judged: u64,
    /// Pairs with a difference that nothing forgave.
    pub differing: u64,
    /// Requests that the candidate did not respond to, by reason.
    pub failures: BTreeMap<Failure, u64>,
    /// Pairs with a response of the control.
    pub control: u64,
    /// Those of them where production and control differ.
    pub control_differing: u64,
    /// Repeated requests: at the candidate, at production.
    pub repeated: [u64; 2],
    /// Repeated requests at production that showed a state, and therefore no noise.
    pub stateful: u64,
    /// Times of production, candidate and control.
    pub times: [Times; 3],
    /// The fields with differences.
    pub fields: Vec<Field>,
    /// Differences in fields beyond [`MAX_FIELDS`] or [`COUNT_BYTES`].
    pub beyond: u64,
    /// Bytes that fields and combinations take, and may take.
    bytes: usize,
    limit: usize,
    index: HashMap<Key, u32>,
    /// Their numbers.
    combinations: HashMap<Box<[u32]>, u32>,
    /// The pairs of each.
    combined: Vec<u64>,
    trend: Trend,
}

impl Endpoint {
    /// Lets it grow by so many bytes; those that it takes already.
    pub(crate) fn allow(&mut self, more: usize) -> usize {
        self.limit = self.bytes.saturating_add(more);
        self.bytes
    }

    /// Bytes that its fields and combinations take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, bytes: usize) -> bool {
        let taken = self.bytes.saturating_add(bytes);
        let has_room = taken <= self.limit;
        if has_room {
            self.bytes = taken;
        }
        has_room
    }

    /// The field for a difference; `None` if there are too many.
    pub(crate) fn field(&mut self, path: &str, class: Class) -> Option<(u32, &mut Field)> {
        let known = self.index.get(&(path, class)).copied();
        let at = match known {
            Some(at) => at,
            None if self.fields.len() >= MAX_FIELDS || !self.take(Field::size(path)) => {
                self.beyond += 1;
                return None;
            }
            None => {
                let at = self.fields.len() as u32;
                let key = Key { path: path.into(), class };
                self.fields.push(Field::new(key.clone()));
                self.index.insert(key, at);
                at
            }
        };
        self.fields.get_mut(at as usize).map(|field| (at, field))
    }

    pub(crate) fn forgive(&mut self, path: &str, class: Class, forgiven: Forgiven, pairs: u64) {
        if let Some((_, field)) = self.field(path, class) {
            field.forgiven.add(forgiven, pairs);
        }
    }

    /// Counts which fields of so many pairs differ, and when that was, in nanoseconds since 1970.
    pub(crate) fn combination(&mut self, fields: Vec<u32>, at: Option<i64>, pairs: u64) {
        let combination = self.number(fields);
        if let Some(count) = combination.and_then(|one| self.combined.get_mut(one as usize)) {
            *count += pairs;
        }
        if let Some(at) = at {
            self.trend.count(at, combination, pairs);
        }
    }

    /// The number of a combination; `None` for none, and if there are too many.
    fn number(&mut self, mut fields: Vec<u32>) -> Option<u32> {
        if fields.is_empty() {
            return None;
        }
        fields.sort_unstable();
        fields.dedup();
        if let Some(known) = self.combinations.get(&*fields) {
            return Some(*known);
        }
        let number = u32::try_from(self.combined.len()).ok()?;
        let bytes = size_of_val(&*fields) + COMBINATION_BYTES;
        if self.combined.len() >= MAX_COMBINATIONS || !self.take(bytes) {
            return None;
        }
        self.combined.push(0);
        self.combinations.insert(fields.into(), number);
        Some(number)
    }

    /// What is known of a field.
    #[must_use]
    pub fn evidence(&self, field: &Field) -> Evidence {
        let [candidate, production] = self.repeated;
        let [of_candidate, of_production] = field.repeated;
        Evidence {
            total: self.total,
            raw: field.raw,
            control: self.control,
            noise: field.noise,
            only_raw: field.only_raw,
            only_noise: field.only_noise,
            repeated: [
                Repeated { trials: candidate, differing: of_candidate },
                Repeated { trials: production, differing: of_production },
            ],
            may_be_noise: noise::may_be(&field.key.path, field.key.class),
            followed: field.systematic.followed(),
        }
    }

    /// Pairs that differ in a field which is a regression. With very many combinations of fields it may be too low, but
    /// never lower than the pairs of any one field.
    #[must_use]
    pub fn failing(&self, thresholds: &Thresholds) -> u64 {
        let fails = self.failing_fields(thresholds);
        let failing = self.failing_combinations(&fails);
        let counts = self.combined.iter().zip(&failing);
        let exact: u64 = counts.filter(|(_, fails)| **fails).map(|(count, _)| *count).sum();
        let most =
            self.fields.iter().zip(&fails).filter(|(_, fails)| **fails).map(|(field, _)| field.raw);
        most.max().unwrap_or_default().max(exact)
    }

    /// The same over time, of pairs whose time is known.
    #[must_use]
    pub fn trend(&self, thresholds: &Thresholds) -> Vec<Point> {
        let failing = self.failing_combinations(&self.failing_fields(thresholds));
        self.trend.points(|one| failing.get(one as usize).copied().unwrap_or(false))
    }

    /// Which fields are regressions, by place.
    fn failing_fields(&self, thresholds: &Thresholds) -> Vec<bool> {
        let fails = |field: &Field| self.evidence(field).verdict(thresholds) == Verdict::Regression;
        self.fields.iter().map(fails).collect()
    }

    /// Which combinations have one of them, by number.
    fn failing_combinations(&self, fields: &[bool]) -> Vec<bool> {
        let is_failing = |field: &u32| fields.get(*field as usize).copied().unwrap_or(false);
        let mut failing = vec![false; self.combined.len()];
        for (combination, number) in &self.combinations {
            if let Some(one) = failing.get_mut(*number as usize) {
                *one = combination.iter().any(is_failing);
            }
        }
        failing
    }

    /// Adds what was counted under an earlier name.
    pub(crate) fn merge(&mut self, other: Self) {
        // It had them before.
        self.allow(other.bytes);
        self.total += other.total;
        self.judged += other.judged;
        self.differing += other.differing;
        self.control += other.control;
        self.control_differing += other.control_differing;
        self.stateful += other.stateful;
        self.beyond += other.beyond;
        self.repeated.iter_mut().zip(other.repeated).for_each(|(mine, more)| *mine += more);
        other
            .failures
            .into_iter()
            .for_each(|(why, count)| *self.failures.entry(why).or_default() += count);
        self.times.iter_mut().zip(&other.times).for_each(|(mine, more)| mine.add(more));
        let mut places = Vec::new();
        for field in other.fields {
            let Key { path, class } = field.key.clone();
            places.push(self.field(&path, class).map(|(at, mine)| {
                mine.merge(field);
                at
            }));
        }
        let mut numbers = vec![None; other.combined.len()];
        for (fields, number) in other.combinations {
            let place = |at: &u32| places.get(*at as usize).copied().flatten();
            let here = self.number(fields.iter().filter_map(place).collect());
            let count = other.combined.get(number as usize).copied().unwrap_or_default();
            if let Some(mine) = here.and_then(|here| self.combined.get_mut(here as usize)) {
                *mine += count;
            }
            if let Some(slot) = numbers.get_mut(number as usize) {
                *slot = here;
            }
        }
        self.trend.merge(other.trend, |one| numbers.get(one as usize).copied().flatten());
    }
}
