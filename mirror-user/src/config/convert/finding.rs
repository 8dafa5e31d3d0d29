//! What an importer has to say about a field, and where the field stands.

use std::fmt;

/// What became of a field: it was …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Left out; what is captured stays the same.
    Dropped,
    /// Replaced by something near it, which captures no more.
    Approximated,
    /// Not converted, because the result would capture more than the file says, or could not be
    /// what it says.
    Refused,
}

/// A field that has no exact native form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What became of it.
    pub fate: Fate,
    /// Its place in its document, such as `http[0].match[1].sourceLabels`.
    pub field: String,
    /// Why, and what to do.
    pub why: String,
}

/// `12: dropped http[0].rewrite: the server's wire shows it applied`, to be put behind a file name.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::Dropped => "dropped",
            Fate::Approximated => "approximated",
            Fate::Refused => "refused",
        };
        write!(f, "{}: {fate} {}: {}", self.line, self.field, self.why)
    }
}

/// The findings of a conversion, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn any_refused(&self) -> bool {
        self.0.iter().any(|finding| finding.fate == Fate::Refused)
    }

    /// Each of them once, by its line.
    pub(super) fn by_line(self) -> Vec<Finding> {
        let Self(mut findings) = self;
        findings.sort_by_key(|finding| finding.line);
        findings.dedup();
        findings
    }

    pub(super) fn dropped(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Fate::Dropped, line, field, why);
    }

    pub(super) fn approximated(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Fate::Approximated, line, field, why);
    }

    pub(super) fn refused(&mut self, line: usize, field: impl fmt::Display, why: &str) {
        self.push(Fate::Refused, line, field, why);
    }

    fn push(&mut self, fate: Fate, line: usize, field: impl fmt::Display, why: &str) {
        self.0.push(Finding { line, fate, field: field.to_string(), why: why.to_owned() });
    }
}
