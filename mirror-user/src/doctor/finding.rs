//! The answer to one question, as the reports on a host and on a target list it.

use std::fmt;

use serde::Serialize;

/// An answer, with a verdict of its report's own kind.
#[derive(Debug, Serialize)]
pub(super) struct Finding<V> {
    pub(super) what: &'static str,
    pub(super) found: String,
    pub(super) verdict: V,
    /// What to do where the verdict is not good.
    pub(super) advice: Option<String>,
}

/// What a verdict looks like in a report.
pub(super) trait Mark {
    /// Seven characters at most.
    fn mark(&self) -> &'static str;
}

impl<V: Mark> Finding<V> {
    /// Writes it and its advice below it; names have a column of this width.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let Self { what, found, verdict, advice } = self;
        writeln!(f, "{:7}  {what:width$}  {found}", verdict.mark())?;
        match advice {
            Some(advice) => writeln!(f, "         {:width$}  {advice}", ""),
            None => Ok(()),
        }
    }
}
