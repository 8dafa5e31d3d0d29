//! The outcomes of one target's requests, by rule.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use serde::Serialize;

use super::buckets::Buckets;
use super::figures::RuleFigures;
use super::not_delivered::NotDelivered;
use super::progress::StatusClasses;

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

/// One rule's counters.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct RuleCounts {
    offered: AtomicU64,
    dropped: AtomicU64,
    classes: StatusClasses,
    response: Buckets,
}

impl RuleCounts {
    /// Counts the outcome of one request.
    pub(in crate::sink::replay) fn settle(&self, outcome: Result<u16, NotDelivered>) {
        match outcome {
            Ok(status) => self.classes.count(status),
            Err(_) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Counts how long a response took, from when its request was due.
    pub(in crate::sink::replay) fn completed(&self, response: Duration) {
        self.response.record(response);
    }
}

/// The counters of all rules that sent a request, in the order of their first request.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct ByRule {
    counts: HashMap<Arc<str>, Arc<RuleCounts>>,
    rules: Rules,
}

impl ByRule {
    /// Counts another request of this rule and returns the rule's counters.
    pub(in crate::sink::replay) fn offered(&mut self, rule: &Arc<str>) -> Arc<RuleCounts> {
        let counts = match self.counts.get(rule) {
            Some(counts) => Arc::clone(counts),
            None => {
                let counts = Arc::<RuleCounts>::default();
                self.counts.insert(Arc::clone(rule), Arc::clone(&counts));
                self.rules.list().push((Arc::clone(rule), Arc::clone(&counts)));
                counts
            }
        };
        counts.offered.fetch_add(1, Relaxed);
        counts
    }

    /// The same counters, for other threads.
    pub(in crate::sink::replay) fn rules(&self) -> Rules {
        self.rules.clone()
    }
}

/// The counters of each rule. A cheap handle; the list is locked for a new rule only, so that nobody
/// waits for those who read it.
#[derive(Clone, Debug, Default)]
pub(in crate::sink::replay) struct Rules(Arc<Mutex<Vec<Rule>>>);

/// The name of a rule and its counters.
type Rule = (Arc<str>, Arc<RuleCounts>);

impl Rules {
    /// The counts so far, for the report.
    pub(in crate::sink::replay) fn report(&self) -> Vec<RuleReport> {
        let report = |RuleFigures { rule, offered, classes, dropped, .. }: RuleFigures| {
            RuleReport { rule, offered, answered: classes.iter().sum(), classes, dropped }
        };
        self.figures().into_iter().map(report).collect()
    }

    /// The counts so far.
    pub(in crate::sink::replay) fn figures(&self) -> Vec<RuleFigures> {
        let figures = |(rule, counts): &Rule| RuleFigures {
            rule: rule.to_string(),
            offered: counts.offered.load(Relaxed),
            classes: counts.classes.now(),
            dropped: counts.dropped.load(Relaxed),
            response: counts.response.now(),
        };
        self.list().iter().map(figures).collect()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_counters_of_its_own() {
        let mut by_rule = ByRule::default();
        let (checkout, rest): (Arc<str>, Arc<str>) = ("checkout".into(), "rest".into());
        by_rule.offered(&checkout).settle(Ok(200));
        by_rule.offered(&rest).settle(Err(NotDelivered::Reset));
        by_rule.offered(&checkout).settle(Ok(503));
        by_rule.offered(&checkout);
        let reports = by_rule.rules().report();
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
}
