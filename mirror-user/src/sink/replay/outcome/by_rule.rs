//! The outcomes of one target's requests, by rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hashbrown::HashMap;
use serde::Serialize;

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
}

/// The counters of all rules that sent a request, in the order of their first request.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct ByRule {
    indexes: HashMap<Arc<str>, usize>,
    counts: Vec<(Arc<str>, Arc<RuleCounts>)>,
}

impl ByRule {
    /// Counts another request of this rule and returns the rule's counters.
    pub(in crate::sink::replay) fn offered(&mut self, rule: &Arc<str>) -> Arc<RuleCounts> {
        let next = self.counts.len();
        let index = *self.indexes.entry(Arc::clone(rule)).or_insert(next);
        if index == next {
            self.counts.push((Arc::clone(rule), Arc::default()));
        }
        let counts =
            self.counts.get(index).map(|(_, counts)| Arc::clone(counts)).unwrap_or_default();
        counts.offered.fetch_add(1, Relaxed);
        counts
    }

    /// The counts so far.
    pub(in crate::sink::replay) fn report(&self) -> Vec<RuleReport> {
        let report = |(rule, counts): &(Arc<str>, Arc<RuleCounts>)| {
            let classes = counts.classes.now();
            RuleReport {
                rule: rule.to_string(),
                offered: counts.offered.load(Relaxed),
                answered: classes.iter().sum(),
                classes,
                dropped: counts.dropped.load(Relaxed),
            }
        };
        self.counts.iter().map(report).collect()
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
        let reports = by_rule.report();
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
