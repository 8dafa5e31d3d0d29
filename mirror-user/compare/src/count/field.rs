//! What was counted of one field: its differences, and what forgave them.

use std::collections::BTreeMap;

use hashbrown::Equivalent;

use crate::difference::{Class, Forgiven, Hint};
use crate::samples::Samples;
use crate::systematic::Systematic;

/// A field: a place and a class. A noisy value does not hide that its type changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// As [`Difference::path`](crate::difference::Difference::path).
    pub path: Box<str>,
    /// How it differs.
    pub class: Class,
}

/// A key is looked up without one of its own, by a pair whose hash is the same.
impl Equivalent<Key> for (&str, Class) {
    fn equivalent(&self, key: &Key) -> bool {
        (self.0, self.1) == (&*key.path, key.class)
    }
}

/// What forgave differences of a field, and how often.
#[derive(Clone, Debug, Default)]
pub struct ForgivenBy {
    /// By rule.
    pub rules: BTreeMap<u16, u64>,
    /// By a default.
    pub defaults: u64,
    /// By shape.
    pub shapes: BTreeMap<&'static str, u64>,
}

impl ForgivenBy {
    pub(super) fn add(&mut self, forgiven: Forgiven, pairs: u64) {
        *match forgiven {
            Forgiven::Rule(rule) => self.rules.entry(rule).or_default(),
            Forgiven::Default => &mut self.defaults,
            Forgiven::Shape(shape) => self.shapes.entry(shape.into()).or_default(),
        } += pairs;
    }

    fn merge(&mut self, other: Self) {
        other
            .rules
            .into_iter()
            .for_each(|(rule, count)| *self.rules.entry(rule).or_default() += count);
        other
            .shapes
            .into_iter()
            .for_each(|(shape, count)| *self.shapes.entry(shape).or_default() += count);
        self.defaults += other.defaults;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rules.values().sum::<u64>() + self.shapes.values().sum::<u64>() + self.defaults
    }
}

/// One field's differences.
#[derive(Clone, Debug)]
pub struct Field {
    /// Which.
    pub key: Key,
    /// Pairs that differ here and that nothing forgave.
    pub raw: u64,
    /// What was forgiven.
    pub forgiven: ForgivenBy,
    /// Pairs of production and control that differ here.
    pub noise: u64,
    /// Pairs with a control that differ here with the candidate alone.
    pub only_raw: u64,
    /// And with the control alone.
    pub only_noise: u64,
    /// Fields of the pairs that differ here.
    pub weight: u64,
    /// Repeated requests whose two responses differ here: at the candidate, at production.
    pub repeated: [u64; 2],
    /// What the values suggest.
    pub hints: BTreeMap<Hint, u64>,
    /// Whether the candidate's values follow from production's.
    pub systematic: Systematic,
    /// Sample pairs.
    pub samples: Samples,
}

impl Field {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            raw: 0,
            forgiven: ForgivenBy::default(),
            noise: 0,
            only_raw: 0,
            only_noise: 0,
            weight: 0,
            repeated: [0; 2],
            hints: BTreeMap::new(),
            systematic: Systematic::default(),
            samples: Samples::default(),
        }
    }

    /// Bytes that one takes with its place in an index, about, before values are remembered of it.
    pub(super) fn size(path: &str) -> usize {
        size_of::<Self>() + 2 * (path.len() + size_of::<Key>())
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.raw += other.raw;
        self.noise += other.noise;
        self.only_raw += other.only_raw;
        self.only_noise += other.only_noise;
        self.weight += other.weight;
        self.repeated.iter_mut().zip(other.repeated).for_each(|(mine, more)| *mine += more);
        self.forgiven.merge(other.forgiven);
        other
            .hints
            .into_iter()
            .for_each(|(hint, count)| *self.hints.entry(hint).or_default() += count);
        self.systematic.merge(other.systematic);
        self.samples.merge(other.samples);
    }

    /// True if the candidate never differed here: only noise did.
    #[must_use]
    pub fn is_noise_alone(&self) -> bool {
        self.raw == 0 && self.forgiven.total() == 0
    }
}
