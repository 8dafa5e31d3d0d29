//! Orders rules so that the first match decides, although the server sees requests after rewrites.
//!
//! After rewrites, requests of two routes can look the same. Such a request must not be mirrored unless
//! both routes would mirror it to the same targets.

use super::finding::Findings;
use super::native::Rule;
use super::wire::Changes;
use crate::rules::select::Match;

/// A rule and the route it was converted from.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    /// Its conditions, as seen on the server's wire.
    pub(super) rule: Rule,
    /// Path of the route in its document.
    pub(super) field: String,
    pub(super) changes: Changes,
    /// True if the rule matches requests that the route's own conditions do not match.
    pub(super) moved: bool,
    /// False if its requests never reach the server: redirects, or no route.
    pub(super) reaches: bool,
    /// True if its precedence among the others is not known.
    pub(super) unplaced: bool,
}

impl Routed {
    /// A route, as seen after its changes. If conditions get lost, a route that mirrors is refused, and
    /// one that mirrors nothing excludes more.
    pub(super) fn new(
        mut rule: Rule,
        field: String,
        changes: Changes,
        reaches: bool,
        findings: &mut Findings,
    ) -> Self {
        let mut moved = false;
        if reaches {
            for one in &mut rule.matches {
                let seen = changes.behind(one);
                moved |= seen.moved;
                *one = seen.matched;
                for lost in seen.lost {
                    let why = format!("after its rewrite the server does not see {lost}");
                    if rule.targets.is_empty() {
                        let why = format!(
                            "{why}; without it this route, which mirrors nothing, excludes more requests"
                        );
                        findings.approximated(rule.line, &field, &why);
                    } else {
                        let why = format!(
                            "{why} any more, so the requests to mirror cannot be recognized"
                        );
                        findings.refused(rule.line, &field, &why);
                    }
                }
            }
        }
        Self { rule, field, changes, moved, reaches, unplaced: false }
    }

    fn mirrors(&self) -> bool {
        !self.rule.targets.is_empty()
    }

    /// True if both come from the same rule and can be merged.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.rule.name == other.rule.name
            && (self.moved, self.reaches, self.unplaced)
                == (other.moved, other.reaches, other.unplaced)
    }

    /// True if a request that this matches first could also have come by `later`.
    fn takes_from(&self, later: &Self) -> bool {
        let pairs = |pair: &dyn Fn(&Match, &Match) -> bool| {
            self.rule.matches.iter().any(|a| later.rule.matches.iter().any(|b| pair(a, b)))
        };
        let unplaced = self.unplaced || later.unplaced;
        if self.changes.is_none() && later.changes.is_none() && !unplaced {
            return false;
        }
        pairs(&|a, b| !a.excludes(b) && (unplaced || self.moved || later.changes.touch(a)))
    }

    /// Why its requests cannot be distinguished from another's; the other's name follows.
    fn alike(&self, other: &Self) -> &'static str {
        if self.unplaced || other.unplaced {
            "their precedence is implementation-specific (one has a regular expression), so its requests \
             cannot be distinguished from those of"
        } else {
            "after the rewrites the server cannot distinguish its requests from those of"
        }
    }

    fn advice(&self, other: &Self) -> &'static str {
        if self.unplaced || other.unplaced {
            "write the path as Exact or PathPrefix"
        } else {
            "capture before the rewrites, where the requests differ (at a gateway: --gateway NAME), or \
             let the route set a header that distinguishes them"
        }
    }

    /// True if this earlier rule matches more of a later one's requests than its original conditions do.
    fn overshadows(&self, later: &Self) -> bool {
        let meet = |a: &Match| later.rule.matches.iter().any(|b| !a.excludes(b));
        self.reaches
            && (self.moved || self.unplaced || later.unplaced)
            && self.rule.matches.iter().any(meet)
    }

    /// Reports which requests this route, which mirrors nothing, takes from one that mirrors.
    fn report_overshadowed(&self, route: &Self, findings: &mut Findings) {
        let (name, field) = (&self.rule.name, &self.field);
        let alike = route.alike(self);
        if self.covers(route) {
            let advice = route.advice(self);
            let why = format!("{alike} {name} ({field}), which mirrors nothing; {advice}");
            findings.refused(route.rule.line, &route.field, &why);
        } else {
            let why = format!(
                "{alike} {name} ({field}), which mirrors nothing: requests that match both are not \
                 mirrored"
            );
            findings.approximated(route.rule.line, &route.field, &why);
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let covered = |one: &Match| self.rule.matches.iter().any(|wide| wide.covers(one));
        other.rule.matches.iter().all(covered)
    }
}

/// The ordered rules: routes that mirror nothing come before rules that could match their requests.
pub(super) fn disambiguated(routes: Vec<Routed>, findings: &mut Findings) -> Vec<Rule> {
    if routes.iter().all(|one| one.changes.is_none() && !one.unplaced) {
        return routes.into_iter().map(|route| route.rule).collect();
    }
    let mut ordered: Vec<Routed> = Vec::new();
    for route in routes {
        let mut at = ordered.len();
        if route.mirrors() {
            let other = ordered.iter().find(|earlier| {
                earlier.mirrors()
                    && earlier.rule.targets != route.rule.targets
                    && earlier.takes_from(&route)
            });
            if let Some(other) = other {
                let why = format!(
                    "{} {} ({}), which are mirrored to other targets; {}",
                    route.alike(other),
                    other.rule.name,
                    other.field,
                    route.advice(other)
                );
                findings.refused(route.rule.line, &route.field, &why);
            }
            let shields = ordered.iter().filter(|one| !one.mirrors() && one.overshadows(&route));
            shields.for_each(|shield| shield.report_overshadowed(&route, findings));
        } else if route.reaches {
            let taken = |one: &&Routed| one.mirrors() && one.takes_from(&route);
            if let Some(first) = ordered.iter().position(|one| taken(&one)) {
                at = first;
            }
            ordered.iter().filter(taken).for_each(|one| route.report_overshadowed(one, findings));
        }
        ordered.insert(at, route);
    }
    ordered.into_iter().map(|route| route.rule).collect()
}
