//! Which rule a request meets, and to which targets it goes. The first rule that matches decides;
//! one without targets shields those behind it.

use std::fmt;
use std::sync::Arc;

use enum_map::Enum;
use strum::IntoStaticStr;

use super::sample::{Portion, Sample, Stickiness};
use super::select::{Facts, Match, Signature};
use crate::http::message::ExchangeId;
use crate::stats::{Note, Topic};

/// Targets of one run, at most: the set that each request carries is one word.
pub const MAX_TARGETS: usize = 64;

/// Rules of one run, at most: a request that none matches asks each of them.
pub const MAX_RULES: usize = 1024;

/// The place of a target among those of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(u8);

impl TargetId {
    /// The target at this place; `None` beyond [`MAX_TARGETS`].
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

    /// True when `target` is one of them.
    #[must_use]
    pub const fn contains(self, target: TargetId) -> bool {
        self.0 & (1 << target.0) != 0
    }

    /// True when there is none.
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

/// Which requests stay when there is room for some alone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// The first to be dropped.
    Low,
    /// As most are.
    #[default]
    Normal,
    /// The last to be dropped.
    High,
}

/// A rule: what becomes of the requests that it matches.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Its name in summaries.
    pub name: Arc<str>,
    /// One of these must hold; empty: every request matches.
    pub matches: Vec<Match>,
    /// Which of them go on.
    pub sample: Sample,
    /// Which stay when there is room for some alone.
    pub priority: Priority,
    /// Where they go; empty: nowhere, which shields them from the rules behind.
    pub targets: Vec<(TargetId, Portion)>,
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The place of the rule that decided, from 0.
    pub rule: u16,
    /// What that rule is called.
    pub name: Arc<str>,
    /// The class of that rule.
    pub priority: Priority,
    /// Where it goes; never empty.
    pub targets: TargetSet,
}

/// Why a request goes nowhere: "it was …". With the place of the rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stayed {
    /// Matched by no rule.
    NotMatched,
    /// Matched by a rule without targets.
    Shielded(u16),
    /// Matched, and not in the sample.
    SampledOut(u16),
}

/// The rules of a run in their order, and what they did.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    rules: Vec<Compiled>,
    /// What every match cannot do without, by the places of its rule and of itself in the rule: all
    /// side by side, as they are asked for every request.
    needed: Vec<(Signature, u16, u32)>,
    /// What any rule asks for.
    asked: Signature,
    seed: u64,
    not_matched: u64,
    /// What rules did that are in force no more.
    former: Vec<(Arc<str>, Counts)>,
}

/// A rule with the thresholds of its targets.
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
    /// The rules in their order, [`MAX_RULES`] at most; `seed` is that of the run's random draws.
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

    /// What becomes of a request: the same at every moment of its exchange.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn decide(&self, facts: &Facts<'_>, id: ExchangeId) -> Result<Route, Stayed> {
        let had = Signature::of(facts, self.asked);
        let matches = |place: u16, one: u32| -> Option<&Compiled> {
            let compiled = self.rules.get(usize::from(place))?;
            let one = compiled.rule.matches.get(one as usize);
            one.is_none_or(|one| one.holds(facts)).then_some(compiled)
        };
        let mut near = self.needed.iter().filter(|(needed, ..)| needed.may_match(had));
        let first = near.find_map(|(_, place, one)| Some((*place, matches(*place, *one)?)));
        let Some((place, Compiled { rule, thresholds, .. })) = first else {
            return Err(Stayed::NotMatched);
        };
        if thresholds.is_empty() {
            return Err(Stayed::Shielded(place));
        }
        let draw = rule.sample.by.draw(facts, id, self.seed);
        let mut targets = TargetSet::default();
        for (target, threshold) in thresholds {
            if draw < *threshold {
                targets.insert(*target);
            }
        }
        if targets.is_empty() {
            return Err(Stayed::SampledOut(place));
        }
        Ok(Route { rule: place, name: Arc::clone(&rule.name), priority: rule.priority, targets })
    }

    /// Counts what became of one request.
    pub fn count(&mut self, decided: Result<&Route, Stayed>) {
        let (place, counter): (_, fn(&mut Counts) -> &mut u64) = match decided {
            Ok(route) => (route.rule, |counts| &mut counts.sent),
            Err(Stayed::Shielded(place)) => (place, |counts| &mut counts.shielded),
            Err(Stayed::SampledOut(place)) => (place, |counts| &mut counts.sampled_out),
            Err(Stayed::NotMatched) => {
                self.not_matched = self.not_matched.saturating_add(1);
                return;
            }
        };
        if let Some(Compiled { counts, .. }) = self.rules.get_mut(usize::from(place)) {
            let n = counter(counts);
            *n = n.saturating_add(1);
        }
    }

    /// Puts `next` in force from the next request on; what was counted so far stays counted. The
    /// run's seed stays, so that what is drawn alike stays drawn alike.
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

    /// The largest part of all connections that any rule wants, out of 2³², where every rule's
    /// choice depends on the connection alone: the kernel program need not copy the others.
    #[must_use]
    pub fn connection_threshold(&self) -> Option<u64> {
        let sends = || self.rules.iter().filter(|one| !one.thresholds.is_empty());
        let sticks = sends().all(|one| one.rule.sample.by == Stickiness::Connection);
        let thresholds = sends().flat_map(|one| one.thresholds.iter().map(|(_, n)| *n));
        thresholds.max().filter(|_| sticks)
    }

    /// What each rule did.
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
