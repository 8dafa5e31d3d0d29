//! The outcomes of one target's requests, by rule and by where they come from.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use serde::Serialize;

use super::buckets::Buckets;
use super::figures::GroupFigures;
use super::not_delivered::NotDelivered;
use super::progress::StatusClasses;
use crate::origin::{Origin, Origins};
use crate::packet::InterfaceId;

/// The outcomes of one rule's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// The name of the rule.
    pub rule: String,
    /// Requests that it sent to this target.
    pub offered: u64,
    /// Those whose response was read to its end.
    pub answered: u64,
    /// Responses by the first digit of their status, from 1xx to 5xx.
    pub classes: [u64; 5],
    /// Requests without a response, for any reason.
    pub dropped: u64,
}

/// One group's counters. Requests are offered on one thread and settled on another.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct GroupCounts {
    offered: AtomicU64,
    dropped: AtomicU64,
    classes: StatusClasses,
    response: Buckets,
}

impl GroupCounts {
    /// Counts the outcome of one request.
    pub(in crate::sink::replay) fn settle(&self, outcome: Result<u16, NotDelivered>) {
        match outcome {
            Ok(status) => self.classes.count(status),
            Err(_) => {
                self.dropped.fetch_add(1, Release);
            }
        }
    }

    /// Counts how long a response took, from when its request was due.
    pub(in crate::sink::replay) fn completed(&self, response: Duration) {
        self.response.record(response);
    }

    /// Adds what was counted elsewhere, where nobody counts any more.
    fn add(&self, ended: &Self) {
        self.offered.fetch_add(ended.offered.load(Relaxed), Relaxed);
        self.dropped.fetch_add(ended.dropped.load(Relaxed), Relaxed);
        self.classes.add(&ended.classes);
        self.response.add(&ended.response);
    }
}

/// The requests of one rule, or of none, that come from one origin.
#[derive(Debug)]
struct Group {
    rule: Option<Arc<str>>,
    origin: Arc<Origin>,
    counts: Arc<GroupCounts>,
}

impl Group {
    /// The outcomes are read before what was offered, so that none is of a request that is not among those.
    fn figures(&self) -> GroupFigures {
        let (response, classes) = (self.counts.response.now(), self.counts.classes.now());
        let dropped = self.counts.dropped.load(Acquire);
        GroupFigures {
            rule: self.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
            origin: self.origin.names.clone(),
            offered: self.counts.offered.load(Acquire),
            classes,
            dropped,
            response,
        }
    }
}

/// The counters of all groups that had a request. Only the pipeline's thread looks them up.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct ByGroup {
    origins: Origins,
    /// How many origins had been folded when the groups were last looked through.
    folds: u64,
    counts: HashMap<(Option<Arc<str>>, u64), Arc<GroupCounts>>,
    groups: Groups,
}

impl ByGroup {
    /// None yet; requests are told apart by these origins.
    pub(in crate::sink::replay) fn new(origins: Origins) -> Self {
        Self { origins, ..Self::default() }
    }

    /// Counts another request of this rule that was seen at this interface, and returns the counters of its group.
    pub(in crate::sink::replay) fn offered(
        &mut self,
        rule: Option<&Arc<str>>,
        interface: InterfaceId,
    ) -> Arc<GroupCounts> {
        let folds = self.origins.folds();
        if folds != self.folds {
            self.folds = folds;
            self.fold();
        }
        let origin = self.origins.of(interface);
        let key = (rule.cloned(), origin.id);
        let counts = self.counts.entry(key).or_insert_with(|| {
            let counts = Arc::<GroupCounts>::default();
            let group = Group { rule: rule.cloned(), origin, counts: Arc::clone(&counts) };
            self.groups.list().push(group);
            counts
        });
        // After the count of all: who reads this one finds the request there, too.
        counts.offered.fetch_add(1, Release);
        Arc::clone(counts)
    }

    /// The groups of origins that were given up become part of the rule's group `other`. Where requests are on
    /// their way they stay beside it, under the same name, until the next time.
    fn fold(&mut self) {
        let other = self.origins.other();
        let mut groups = self.groups.list();
        for group in groups.iter_mut().filter(|group| group.origin.is_folded()) {
            self.counts.remove(&(group.rule.clone(), group.origin.id));
            group.origin = Arc::clone(&other);
        }
        let is_own = |counts: &HashMap<_, _>, group: &Group| {
            let own = counts.get(&(group.rule.clone(), other.id));
            own.is_some_and(|own| Arc::ptr_eq(own, &group.counts))
        };
        let mut kept: Vec<Group> = Vec::with_capacity(groups.len());
        for mut group in groups.drain(..) {
            let folded = group.origin.id == other.id && !is_own(&self.counts, &group);
            if !folded || Arc::get_mut(&mut group.counts).is_none() {
                kept.push(group);
                continue;
            }
            let key = (group.rule.clone(), other.id);
            match self.counts.get(&key) {
                Some(own) => own.add(&group.counts),
                None => {
                    self.counts.insert(key, Arc::clone(&group.counts));
                    kept.push(group);
                }
            }
        }
        *groups = kept;
    }

    /// The same counters, for other threads.
    pub(in crate::sink::replay) fn groups(&self) -> Groups {
        self.groups.clone()
    }
}

/// The counters of each group. A cheap handle; the list is locked for a new group only, so that nobody
/// waits for those who read it.
#[derive(Clone, Debug, Default)]
pub(in crate::sink::replay) struct Groups(Arc<Mutex<Vec<Group>>>);

impl Groups {
    /// The counts so far of each rule, for the report, in the order of their first request.
    pub(in crate::sink::replay) fn report(&self) -> Vec<RuleReport> {
        let mut rules: Vec<GroupFigures> = Vec::new();
        for group in self.figures().into_iter().filter(|group| !group.rule.is_empty()) {
            match rules.iter_mut().find(|known| known.rule == group.rule) {
                Some(known) => known.add(&group),
                None => rules.push(group),
            }
        }
        let report = |GroupFigures { rule, offered, classes, dropped, .. }| {
            let answered = classes.iter().sum();
            RuleReport { rule, offered, answered, classes, dropped }
        };
        rules.into_iter().map(report).collect()
    }

    /// The counts so far.
    pub(in crate::sink::replay) fn figures(&self) -> Vec<GroupFigures> {
        self.list().iter().map(Group::figures).collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Label, Labels, MAX_ORIGINS, Names};

    const NOWHERE: InterfaceId = InterfaceId(0);

    #[test]
    fn each_rule_has_counters_of_its_own() {
        let mut groups = ByGroup::default();
        let (checkout, rest): (Arc<str>, Arc<str>) = ("checkout".into(), "rest".into());
        groups.offered(Some(&checkout), NOWHERE).settle(Ok(200));
        groups.offered(Some(&rest), NOWHERE).settle(Err(NotDelivered::Reset));
        groups.offered(Some(&checkout), NOWHERE).settle(Ok(503));
        groups.offered(Some(&checkout), NOWHERE);
        groups.offered(None, NOWHERE);
        let reports = groups.groups().report();
        let wanted = |rule: &str, offered, answered, classes, dropped| RuleReport {
            rule: rule.to_owned(),
            offered,
            answered,
            classes,
            dropped,
        };
        assert_eq!(
            reports,
            [wanted("checkout", 3, 2, [0, 1, 0, 0, 1], 0), wanted("rest", 1, 0, [0; 5], 1)]
        );
    }

    fn pod(number: u32) -> Names {
        Names { pod: format!("p{number}"), ..Names::default() }
    }

    /// Pods come and go, some requests outlive theirs, and more pods live at the same time than have names.
    #[test]
    fn no_count_is_lost_as_origins_are_given_up() {
        let origins = Origins::new(Labels::of(&[Label::Rule, Label::Pod]));
        let mut groups = ByGroup::new(origins.clone());
        let limit = u32::try_from(MAX_ORIGINS).unwrap();
        let rules: [Arc<str>; 2] = ["a".into(), "b".into()];
        let mut on_their_way = Vec::new();
        let (mut sent, mut settled) = (0_u64, 0_u64);
        for number in 1..=4 * limit {
            let at = InterfaceId(number);
            origins.begin(at, pod(number));
            for rule in &rules {
                let counts = groups.offered(Some(rule), at);
                sent += 1;
                if number % 3 == 0 {
                    on_their_way.push(counts);
                } else {
                    counts.settle(Ok(200));
                    counts.completed(Duration::from_millis(1));
                    settled += 1;
                }
            }
            // Every fourth one stays.
            if number % 4 != 0 {
                origins.end(at);
            }
        }
        for counts in on_their_way.drain(..) {
            counts.settle(Ok(200));
            counts.completed(Duration::from_millis(1));
            settled += 1;
        }
        let check = |figures: &[GroupFigures]| {
            let sum = |of: &dyn Fn(&GroupFigures) -> u64| figures.iter().map(of).sum::<u64>();
            assert_eq!(sum(&|group| group.offered), sent);
            assert_eq!(sum(&|group| group.classes[1]), settled);
            assert_eq!(sum(&|group| group.response.count()), settled);
            assert!(figures.iter().any(|group| group.origin.pod == "other" && group.offered > 0));
        };
        check(&groups.groups().figures());
        // The next fold finds nothing on its way any more.
        groups.fold();
        let figures = groups.groups().figures();
        check(&figures);
        assert!(figures.len() <= rules.len() * (MAX_ORIGINS + 1), "{} groups", figures.len());
        assert_eq!(groups.counts.len(), figures.len());
    }
}
