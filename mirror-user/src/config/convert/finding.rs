//! Findings of an importer about single fields.

use std::fmt;

/// How a field without an exact equivalent was converted: it was …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Left out, without effect on what is captured.
    Dropped,
    /// Replaced by something similar that captures no more.
    Approximated,
    /// Not converted, because the result would capture more than the original, or because there is no
    /// equivalent.
    Refused,
}

/// A field without an exact native equivalent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its line in the file, from 1.
    pub line: usize,
    /// How it was converted.
    pub outcome: Outcome,
    /// Its path in the document, such as `http[0].match[1].sourceLabels`.
    pub field: String,
    /// Why, and what to do.
    pub why: String,
}

/// `12: dropped http[0].route: production's own routing`, to be printed after a file name.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Dropped => "dropped",
            Outcome::Approximated => "approximated",
            Outcome::Refused => "refused",
        };
        write!(f, "{}: {outcome} {}: {}", self.line, self.field, self.why)
    }
}

/// The findings of a conversion, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn any_refused(&self) -> bool {
        self.0.iter().any(|finding| finding.outcome == Outcome::Refused)
    }

    /// All findings without duplicates, by line.
    pub(super) fn by_line(self) -> Vec<Finding> {
        let Self(mut findings) = self;
        findings.sort_by_key(|finding| finding.line);
        findings.dedup();
        findings
    }

    pub(super) fn dropped(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Outcome::Dropped, line, field, why);
    }

    pub(super) fn approximated(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Outcome::Approximated, line, field, why);
    }

    pub(super) fn refused(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Outcome::Refused, line, field, why);
    }

    fn push(&mut self, outcome: Outcome, line: usize, field: impl fmt::Display, why: &str) {
        self.0.push(Finding { line, outcome, field: field.to_string(), why: why.to_owned() });
    }
}
