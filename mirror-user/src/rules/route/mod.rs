//! Which rule a request matches, and to which targets it goes. The first rule that matches decides; a
//! rule without targets excludes its requests.

use std::fmt;
use std::sync::Arc;

use enum_map::Enum;
use strum::IntoStaticStr;

use super::sample::{Portion, Sample, Stickiness};
use super::select::{Match, RequestFacts, Signature};
use crate::http::message::ExchangeId;
use crate::stats::{Note, Topic};

/// Maximum number of targets of a run: the set of targets of a request is one 64-bit word.
pub const MAX_TARGETS: usize = 64;

/// Maximum number of rules of a run: a request that matches none is compared with each of them.
pub const MAX_RULES: usize = 1024;

/// Index of a target of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(u8);

impl TargetId {
    /// The target with this index; `None` from [`MAX_TARGETS`] on.
    #[must_use]
    pub fn new(place: usize) -> Option<Self> {
        u8::try_from(place).ok().filter(|place| usize::from(*place) < MAX_TARGETS).map(Self)
    }
}

/// A set of targets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetSet(u64);

impl TargetSet {
    /// Every target.
    pub const ALL: Self = Self(u64::MAX);

    /// True if `target` is in the set.
    #[must_use]
    pub const fn contains(self, target: TargetId) -> bool {
        self.0 & (1 << target.0) != 0
    }

    /// True if the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn insert(&mut self, target: TargetId) {
        self.0 |= 1 << target.0;
    }
}

impl fmt::Debug for TargetSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetSet({:#b})", self.0)
    }
}

/// Which requests stay when the queue is full.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// The first to be dropped.
    Low,
    /// The default.
    #[default]
    Normal,
    /// The last to be dropped.
    High,
}

/// A rule: where the requests that it matches go.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Its name in summaries.
    pub name: Arc<str>,
    /// Alternatives, of which one must match; empty: every request matches.
    pub matches: Vec<Match>,
    /// Which of the matching requests are sent.
    pub sample: Sample,
    /// Which requests stay when the queue is full.
    pub priority: Priority,
    /// Where they go; empty: nowhere, so that later rules do not get them.
    pub targets: Vec<(TargetId, Portion)>,
}

/// The route of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of the rule that decided, from 0.
    pub rule: u16,
    /// Name of that rule.
    pub name: Arc<str>,
    /// Priority of that rule.
    pub priority: Priority,
    /// Its targets; never empty.
    pub targets: TargetSet,
}

/// Why a request goes nowhere: "it was …". With the index of the rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRouted {
    /// Matched by no rule.
    NotMatched,
    /// Matched by a rule without targets.
    Shielded(u16),
    /// Matched, but not in the sample.
    SampledOut(u16),
}

/// The rules of a run in order, with their counts.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    rules: Vec<Compiled>,
    /// The signature that each match requires, with the index of its rule and its index in the rule.
    /// Stored contiguously, because all are tested for every request.
    needed: Vec<(Signature, u16, u32)>,
    /// Union of all required signatures.
    asked: Signature,
    seed: u64,
    not_matched: u64,
    /// Counts of rules that were replaced.
    former: Vec<(Arc<str>, Counts)>,
}

/// A rule with the sampling thresholds of its targets.
#[derive(Clone, Debug)]
struct Compiled {
    rule: Rule,
    thresholds: Vec<(TargetId, u64)>,
    counts: Counts,
}

/// Requests, each counted once.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    sampled_out: u64,
    shielded: u64,
}

impl Routes {
    /// Compiles the rules in order, at most [`MAX_RULES`]; `seed` is for the run's random draws.
    #[must_use]
    pub fn new(rules: Vec<Rule>, seed: u64) -> Self {
        let rules = rules.into_iter().take(MAX_RULES).map(|rule| Compiled {
            thresholds: rule.targets.iter().map(|(id, part)| (*id, part.threshold())).collect(),
            rule,
            counts: Counts::default(),
        });
        let rules: Vec<Compiled> = rules.collect();
        let mut needed = Vec::new();
        for (place, Compiled { rule, .. }) in (0..).zip(&rules) {
            let ones = rule.matches.iter().map(Signature::needed);
            needed.extend((0..).zip(ones).map(|(one, needed)| (needed, place, one)));
            if rule.matches.is_empty() {
                needed.push((Signature::default(), place, 0));
            }
        }
        let asked = needed.iter().map(|(needed, ..)| *needed).reduce(Signature::or);
        Self { rules, needed, asked: asked.unwrap_or_default(), seed, ..Self::default() }
    }

    /// The route of a request; the same for every event of its exchange.
    ///
    /// # Errors
    /// The reason why it goes nowhere.
    pub fn decide(&self, facts: &RequestFacts<'_>, id: ExchangeId) -> Result<Route, NotRouted> {
        let had = Signature::of(facts, self.asked);
        let matches = |place: u16, one: u32| -> Option<&Compiled> {
            let compiled = self.rules.get(usize::from(place))?;
            let one = compiled.rule.matches.get(one as usize);
            one.is_none_or(|one| one.holds(facts)).then_some(compiled)
        };
        let mut near = self.needed.iter().filter(|(needed, ..)| needed.may_match(had));
        let first = near.find_map(|(_, place, one)| Some((*place, matches(*place, *one)?)));
        let Some((place, Compiled { rule, thresholds, .. })) = first else {
            return Err(NotRouted::NotMatched);
        };
        if thresholds.is_empty() {
            return Err(NotRouted::Shielded(place));
        }
        let draw = rule.sample.by.draw(facts, id, self.seed);
        let mut targets = TargetSet::default();
        for (target, threshold) in thresholds {
            if draw < *threshold {
                targets.insert(*target);
            }
        }
        if targets.is_empty() {
            return Err(NotRouted::SampledOut(place));
        }
        Ok(Route { rule: place, name: Arc::clone(&rule.name), priority: rule.priority, targets })
    }

    /// Counts the decision for one request.
    pub fn count(&mut self, decided: Result<&Route, NotRouted>) {
        let (place, counter): (_, fn(&mut Counts) -> &mut u64) = match decided {
            Ok(route) => (route.rule, |counts| &mut counts.sent),
            Err(NotRouted::Shielded(place)) => (place, |counts| &mut counts.shielded),
            Err(NotRouted::SampledOut(place)) => (place, |counts| &mut counts.sampled_out),
            Err(NotRouted::NotMatched) => {
                self.not_matched = self.not_matched.saturating_add(1);
                return;
            }
        };
        if let Some(Compiled { counts, .. }) = self.rules.get_mut(usize::from(place)) {
            let n = counter(counts);
            *n = n.saturating_add(1);
        }
    }

    /// Applies `next` from the next request on; counts are kept. The run's seed is kept, so that random
    /// draws stay consistent.
    pub fn replace(&mut self, next: Self) {
        let Self { rules, seed, not_matched, former, .. } = std::mem::replace(self, next);
        self.seed = seed;
        self.not_matched = self.not_matched.saturating_add(not_matched);
        self.former.extend(former);
        for Compiled { rule: Rule { name, .. }, counts, .. } in rules {
            if let Some(same) = self.rules.iter_mut().find(|other| other.rule.name == name) {
                same.counts.add(counts);
            } else if let Some((_, same)) = self.former.iter_mut().find(|other| other.0 == name) {
                same.add(counts);
            } else {
                self.former.push((name, counts));
            }
        }
    }

    /// The largest portion of connections that any rule sends, out of 2³², if every rule samples by
    /// connection: then the kernel program need not copy the others.
    #[must_use]
    pub fn connection_threshold(&self) -> Option<u64> {
        let sends = || self.rules.iter().filter(|one| !one.thresholds.is_empty());
        let sticks = sends().all(|one| one.rule.sample.by == Stickiness::Connection);
        let thresholds = sends().flat_map(|one| one.thresholds.iter().map(|(_, n)| *n));
        thresholds.max().filter(|_| sticks)
    }

    /// Counts per rule.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let now = self.rules.iter().map(|one| (&*one.rule.name, one.counts));
        let former = self.former.iter().map(|(name, counts)| (&**name, *counts));
        let counts = now.chain(former).flat_map(|(name, counts)| {
            [
                (name.to_owned(), counts.sent),
                (format!("{name} sampled_out"), counts.sampled_out),
                (format!("{name} shielded"), counts.shielded),
            ]
        });
        Note::new(Topic::Rules, counts.chain([("not_matched".to_owned(), self.not_matched)]))
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.sampled_out = self.sampled_out.saturating_add(other.sampled_out);
        self.shielded = self.shielded.saturating_add(other.shielded);
    }
}

#[cfg(test)]
mod tests;
