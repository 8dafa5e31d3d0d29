//! What a running replay has counted, in the form in which it is added up: over targets, and over a
//! target that was removed and added again.

use super::buckets::Distribution;
use crate::origin::Names;
use crate::sink::replay::load::breaker::BreakerState;
use crate::sink::replay::load::health::TargetHealth;
use crate::stats::Account;

/// The counters of one target, at one moment.
#[derive(Clone, Debug)]
pub struct ReplayFigures {
    /// What became of its requests. Every reason is there.
    pub account: Account,
    /// False once it has ended.
    pub is_running: bool,
    /// Requests without a response for a reason that lies with the target.
    pub failed: u64,
    /// Requests of which at least a part was written to it.
    pub sent: u64,
    /// Its responses by the first digit of their status, from 1xx to 5xx.
    pub classes: [u64; 5],
    /// Open connections to it.
    pub connections: u64,
    /// Connections made so far.
    pub connected: u64,
    /// Attempts beyond the first one: nothing of the request had been sent, or its connection was
    /// closing.
    pub retried: u64,
    /// How often its circuit breaker opened.
    pub breaker_opened: u64,
    /// The state of its circuit breaker; closed, too, where it has none.
    pub breaker: BreakerState,
    /// The share of connections that its ramp admits, from 0 to 1; 1 where it has none.
    pub ramp: f64,
    /// How it does, if it is held to a limit.
    pub health: Option<TargetHealth>,
    /// How late requests were sent.
    pub late: Distribution,
    /// From sending a request to the end of its response.
    pub service: Distribution,
    /// From when a request was due to the end of its response.
    pub response: Distribution,
    /// The counts by rule and origin.
    pub groups: Vec<GroupFigures>,
}

impl ReplayFigures {
    /// Nothing but this account.
    #[must_use]
    pub fn new(account: Account) -> Self {
        Self {
            account,
            is_running: true,
            failed: 0,
            sent: 0,
            classes: [0; 5],
            connections: 0,
            connected: 0,
            retried: 0,
            breaker_opened: 0,
            breaker: BreakerState::Closed,
            ramp: 1.0,
            health: None,
            late: Distribution::default(),
            service: Distribution::default(),
            response: Distribution::default(),
            groups: Vec::new(),
        }
    }

    /// Adds what another replay to the same target counted, before or after this one. The states are
    /// those of `other`, which is the later one.
    pub fn add(&mut self, other: Self) {
        self.account.add(other.account);
        for (own, more) in [
            (&mut self.failed, other.failed),
            (&mut self.sent, other.sent),
            (&mut self.connections, other.connections),
            (&mut self.connected, other.connected),
            (&mut self.retried, other.retried),
            (&mut self.breaker_opened, other.breaker_opened),
        ] {
            *own = own.saturating_add(more);
        }
        add_classes(&mut self.classes, other.classes);
        self.is_running = other.is_running;
        self.breaker = other.breaker;
        self.ramp = other.ramp;
        self.health = other.health;
        self.late.add(&other.late);
        self.service.add(&other.service);
        self.response.add(&other.response);
        for group in other.groups {
            let same = |known: &&mut GroupFigures| {
                (&known.rule, &known.origin) == (&group.rule, &group.origin)
            };
            match self.groups.iter_mut().find(same) {
                Some(known) => known.add(&group),
                None => self.groups.push(group),
            }
        }
    }
}

/// The counters of the requests of one rule that come from one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFigures {
    /// The name of the rule; empty if no rules are given.
    pub rule: String,
    /// Where they come from.
    pub origin: Names,
    /// Requests that were to be sent to the target.
    pub offered: u64,
    /// Responses by the first digit of their status, from 1xx to 5xx.
    pub classes: [u64; 5],
    /// Requests without a response, for any reason.
    pub dropped: u64,
    /// From when a request was due to the end of its response.
    pub response: Distribution,
}

impl GroupFigures {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.offered = self.offered.saturating_add(other.offered);
        self.dropped = self.dropped.saturating_add(other.dropped);
        add_classes(&mut self.classes, other.classes);
        self.response.add(&other.response);
    }
}

fn add_classes(classes: &mut [u64; 5], more: [u64; 5]) {
    for (class, more) in classes.iter_mut().zip(more) {
        *class = class.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Seam;

    fn figures(seen: u64, breaker: BreakerState, rule: &str) -> ReplayFigures {
        let account = Account { seen, delivered: seen, ..Account::new(Seam::ShadowRequests) };
        ReplayFigures {
            sent: seen,
            classes: [0, seen, 0, 0, 0],
            connected: 1,
            breaker,
            groups: vec![GroupFigures {
                rule: rule.to_owned(),
                origin: Names::default(),
                offered: seen,
                classes: [0, seen, 0, 0, 0],
                dropped: 0,
                response: Distribution::default(),
            }],
            ..ReplayFigures::new(account)
        }
    }

    #[test]
    fn a_target_that_comes_back_goes_on_counting_where_it_was() {
        let mut target = figures(3, BreakerState::Open, "a");
        target.add(figures(2, BreakerState::Closed, "a"));
        target.add(figures(1, BreakerState::Closed, "b"));
        assert_eq!((target.account.seen, target.sent, target.connected), (6, 6, 3));
        assert!(target.account.balances());
        assert_eq!((target.breaker, target.classes), (BreakerState::Closed, [0, 6, 0, 0, 0]));
        let rules: Vec<_> = target.groups.iter().map(|rule| (&*rule.rule, rule.offered)).collect();
        assert_eq!(rules, [("a", 5), ("b", 1)]);
    }
}
