//! Conditions that have no native equivalent.

use super::finding::Findings;

/// How the conditions of a rule or route are treated if they cannot be converted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConditionPolicy {
    /// What has the conditions, for findings: "rule" or "route".
    pub(super) owner: &'static str,
    /// True if it mirrors: leaving out a condition would capture more, so it is refused. Otherwise the
    /// condition is left out, because a wider exclusion captures less.
    pub(super) mirrors: bool,
}

impl ConditionPolicy {
    /// Reports a condition that cannot be converted.
    pub(super) fn unconvertible(
        self,
        line: usize,
        field: &str,
        why: &str,
        findings: &mut Findings,
    ) {
        if self.mirrors {
            findings.refused(line, field, why);
        } else {
            let why = format!(
                "{why}; without it this {}, which mirrors nothing, excludes more requests",
                self.owner
            );
            findings.approximated(line, field, &why);
        }
    }
}
