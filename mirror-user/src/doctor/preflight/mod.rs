//! `mirror doctor --target`: what could harm production when shadows are sent to a target.
//!
//! Four questions: is the target production itself (`address`), does production use the shadow's database, does
//! replication write to it beside the shadows (`database`), and does the target roll back what it is asked to (`probe`).
//! Each finding says what was looked at. What could not be looked at is said, and is no warning.

mod address;
mod database;
mod probe;
mod sockets;

use std::fmt;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::finding::Mark;
use crate::config::Preflight;

/// For each thing that is asked to say something.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    target: String,
    /// No finding is a warning.
    well: bool,
    findings: Vec<Finding>,
}

/// The answer to one question.
type Finding = super::finding::Finding<Verdict>;

/// What it means for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// It could not be looked at, or not be decided.
    NotKnown,
    Warning,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into(), verdict: Verdict::Good, advice: None }
    }

    fn not_known(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { what, found: found.into(), verdict: Verdict::NotKnown, advice }
    }

    fn warning(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        let advice = Some(advice.into());
        Self { what, found: found.into(), verdict: Verdict::Warning, advice }
    }
}

/// Looks at everything and writes the findings to `out`; true if nothing warns.
///
/// # Errors
/// If it cannot be written.
pub fn run(preflight: &Preflight, json: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut findings = vec![address::look(preflight)];
    findings.extend(database::look(preflight));
    findings.push(probe::look(preflight));
    let well = findings.iter().all(|finding| finding.verdict != Verdict::Warning);
    let report = Report { target: preflight.name.clone(), well, findings };
    match json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => write!(out, "{report}")?,
    }
    Ok(well)
}

impl Mark for Verdict {
    fn mark(&self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::NotKnown => "note",
            Self::Warning => "WARNING",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.target)?;
        for finding in &self.findings {
            finding.write(f, 12)?;
        }
        Ok(())
    }
}
