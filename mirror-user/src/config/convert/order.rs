//! Routes in an order in which the first that matches decides, although the server sees their
//! requests changed.
//!
//! Behind a rewrite two routes can look alike. Such a request could have come by either, so that it
//! must not be mirrored unless both would mirror it to the same targets.

use super::finding::Findings;
use super::native::Rule;
use super::wire::Changes;
use crate::rules::select::Match;

/// A rule and the route that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    /// With what the server's wire shows.
    pub(super) rule: Rule,
    /// Where the route stands in its document.
    pub(super) field: String,
    pub(super) changes: Changes,
    /// True when it matches something that the route's own conditions do not match.
    pub(super) moved: bool,
    /// False when no request of it reaches the server: one that is redirected, or has no route.
    pub(super) reaches: bool,
    /// True when its place among the others is not known.
    pub(super) unplaced: bool,
}

impl Routed {
    /// A route, seen behind its changes. Conditions that are lost there are refused for one that
    /// mirrors; one that mirrors nothing shields more.
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
                    let why = format!("behind its rewrite the server does not see {lost}");
                    if rule.targets.is_empty() {
                        let why = format!(
                            "{why}; without that this route, which mirrors nothing, shields more"
                        );
                        findings.approximated(rule.line, &field, &why);
                    } else {
                        let why =
                            format!("{why} any more, so that nothing tells what is to be mirrored");
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

    /// True when both are of one rule, and can be one again.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.rule.name == other.rule.name
            && (self.moved, self.reaches, self.unplaced)
                == (other.moved, other.reaches, other.unplaced)
    }

    /// True when a request that this takes first could have come by `later`.
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

    /// Why its requests could be another's; the other's name follows.
    fn alike(&self, other: &Self) -> &'static str {
        if self.unplaced || other.unplaced {
            "which comes first is the implementation's (a regular expression among them), so that its \
             requests cannot be told from those of"
        } else {
            "behind the rewrites the server cannot tell its requests from those of"
        }
    }

    fn advice(&self, other: &Self) -> &'static str {
        if self.unplaced || other.unplaced {
            "write the path as Exact or PathPrefix"
        } else {
            "capture before the rewrites, where the requests differ (at a gateway: --gateway NAME), or \
             have the route set a header by which they can be told apart"
        }
    }

    /// True when this, which stands first, takes more from a later one than its own conditions do.
    fn shades(&self, later: &Self) -> bool {
        let meet = |a: &Match| later.rule.matches.iter().any(|b| !a.excludes(b));
        self.reaches
            && (self.moved || self.unplaced || later.unplaced)
            && self.rule.matches.iter().any(meet)
    }

    /// Says what this, which mirrors nothing, takes from a route that mirrors.
    fn say_shaded(&self, route: &Self, findings: &mut Findings) {
        let (name, field) = (&self.rule.name, &self.field);
        let alike = route.alike(self);
        if self.covers(route) {
            let advice = route.advice(self);
            let why = format!("{alike} {name} ({field}), which mirrors nothing; {advice}");
            findings.refused(route.rule.line, &route.field, &why);
        } else {
            let why = format!(
                "{alike} {name} ({field}), which mirrors nothing: those that both match are not \
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

/// The rules, shields in front of what could be theirs.
pub(super) fn told_apart(routes: Vec<Routed>, findings: &mut Findings) -> Vec<Rule> {
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
                    "{} {} ({}), which are mirrored otherwise; {}",
                    route.alike(other),
                    other.rule.name,
                    other.field,
                    route.advice(other)
                );
                findings.refused(route.rule.line, &route.field, &why);
            }
            let shields = ordered.iter().filter(|one| !one.mirrors() && one.shades(&route));
            shields.for_each(|shield| shield.say_shaded(&route, findings));
        } else if route.reaches {
            let taken = |one: &&Routed| one.mirrors() && one.takes_from(&route);
            if let Some(first) = ordered.iter().position(|one| taken(&one)) {
                at = first;
            }
            ordered.iter().filter(taken).for_each(|one| route.say_shaded(one, findings));
        }
        ordered.insert(at, route);
    }
    ordered.into_iter().map(|route| route.rule).collect()
}
