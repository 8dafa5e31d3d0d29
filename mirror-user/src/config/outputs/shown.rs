//! Outputs for the terminal: a table, findings, or only counts.

use std::io;

use super::{Messages, Opened, OutputPlan, for_counts, for_redaction};
use crate::http::HttpOptions;
use crate::sink::findings::Findings;
use crate::sink::lines::Lines;
use crate::sink::table::Table;

/// One line per exchange.
pub(crate) fn table() -> OutputPlan {
    OutputPlan::new(HttpOptions::default(), |_| {
        let lines = Lines::new(Box::new(Table), Box::new(io::stdout()));
        Ok(Opened { prints: true, ..Opened::of(lines) })
    })
}

/// Only the summary.
pub(crate) fn counts() -> OutputPlan {
    let plan = OutputPlan::new(for_counts(), |_| Ok(Opened::default()));
    OutputPlan { messages: Messages::Untouched, ..plan }
}

/// Where secrets and personal data occur, as text or JSON.
pub(crate) fn findings(json: bool) -> OutputPlan {
    let plan = OutputPlan::new(for_redaction(), move |opening| {
        let Some(redactor) = opening.redactor.clone() else { return Ok(Opened::default()) };
        Ok(Opened::of(Findings::new(redactor, json, Box::new(io::stdout()))))
    });
    OutputPlan { messages: Messages::Searched, ..plan }
}
