//! Outputs for the terminal: a table, findings, or only counts.

use std::io;

use super::{Messages, Opened, OutputPlan, keep};
use crate::http::HttpOptions;
use crate::rules::redact::MAX_BODY_BYTES;
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
    let http = HttpOptions { heads: false, ..HttpOptions::default() };
    let plan = OutputPlan::new(http, |_| Ok(Opened::default()));
    OutputPlan { messages: Messages::Untouched, ..plan }
}

/// Where secrets and personal data occur, as text or JSON.
pub(crate) fn findings(json: bool) -> OutputPlan {
    // Redaction reads no more of a body.
    let keep = keep(MAX_BODY_BYTES as u64);
    let http = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let plan = OutputPlan::new(http, move |opening| {
        let Some(redactor) = opening.redactor.clone() else { return Ok(Opened::default()) };
        Ok(Opened::of(Findings::new(redactor, json, Box::new(io::stdout()))))
    });
    OutputPlan { messages: Messages::Searched, ..plan }
}
