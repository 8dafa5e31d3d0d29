//! The problems of a configuration file: all at once, each with its position and what to do.

use super::{Place, Problem};

/// Maximum number of problems reported per file; more would add nothing.
pub(crate) const MAX_PROBLEMS: usize = 100;

/// All problems of one file, in order of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Adds a problem.
    pub fn add(&mut self, at: Place, text: impl Into<String>) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(Problem { at, text: text.into() });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// True if there are no problems.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems, in order of position.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    pub(crate) fn sort(&mut self) {
        self.list.sort_by_key(|problem| problem.at);
    }

    /// One line per problem, prefixed with the file's name, as compilers write them.
    #[must_use]
    pub fn render(&self, file: &str) -> String {
        let lines = self.list.iter().map(|Problem { at, text }| match at.line {
            0 => format!("{file}: {text}"),
            line => format!("{file}:{line}:{}: {text}", at.column),
        });
        let mut lines: Vec<String> = lines.collect();
        if self.more > 0 {
            lines.push(format!("{file}: and {} more", self.more));
        }
        lines.join("\n")
    }
}
