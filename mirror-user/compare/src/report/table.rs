//! A report for people at a terminal: what fails, what is open, and what was forgiven, in a few lines.

use std::fmt::{self, Display, Write};

use super::{EndpointReport, FieldReport, Report, sentence};
use crate::verdict::Verdict;

/// Fields of one kind that are shown of an endpoint; the others are counted.
const SHOWN: usize = 20;

/// A report as text.
pub struct Table<'r>(pub &'r Report);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let (low, high) = report.failing_rate_95;
        writeln!(
            f,
            "{} pairs compared at {} endpoints; {} failing (95 % interval {} to {})",
            report.pairs,
            report.endpoints.len(),
            percent(report.failing_rate),
            percent(low),
            percent(high)
        )?;
        if let Some(basis) = &report.basis {
            writeln!(f, "{}", sentence::basis(basis))?;
        }
        for endpoint in &report.endpoints {
            writeln!(f)?;
            write_endpoint(f, endpoint)?;
        }
        for rule in report.idle_rules() {
            writeln!(
                f,
                "\nA rule decided nothing; it is misspelled or not needed any more: {rule}"
            )?;
        }
        Ok(())
    }
}

fn write_endpoint(f: &mut fmt::Formatter<'_>, endpoint: &EndpointReport) -> fmt::Result {
    write!(
        f,
        "{}  {} requests, {} failing",
        safe(&endpoint.name),
        endpoint.total,
        percent(endpoint.failing_rate())
    )?;
    if endpoint.judged < endpoint.total {
        write!(f, ", {} of them stored", endpoint.judged)?;
    }
    if endpoint.control > 0 {
        let noise = endpoint.control_differing as f64 / endpoint.control as f64;
        write!(f, ", {} noise", percent(noise))?;
    }
    let (p, c, s) =
        (endpoint.latency.production, endpoint.latency.candidate, endpoint.latency.control);
    if p.count > 0 && c.count > 0 {
        write!(f, ", p95 {} / {}", millis(p.p95_us), millis(c.p95_us))?;
    }
    if s.count > 0 {
        write!(f, " / control {}", millis(s.p95_us))?;
    }
    writeln!(f)?;
    if let Some(slower) = endpoint.slower.filter(|_| endpoint.is_slower) {
        writeln!(
            f,
            "  SLOWER            {:.2} times at the median, p = {:.2e}",
            slower.median_ratio, slower.p
        )?;
    }
    let (told, quiet): (Vec<&FieldReport>, Vec<&FieldReport>) = endpoint
        .fields
        .iter()
        .partition(|field| matches!(field.verdict, Verdict::Regression | Verdict::Insufficient));
    for field in told.iter().take(SHOWN) {
        writeln!(
            f,
            "  {:<16}  {}  {} of {}: {}",
            sentence::verdict(field.verdict),
            safe(&field.path),
            field.raw,
            endpoint.total,
            field.cause
        )?;
        if let Some(sample) = field.samples.first() {
            let side = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), safe);
            let (a, b) = (side(&sample.production), side(&sample.candidate));
            writeln!(f, "  {:16}    {a} → {b}  ({})", "", safe(&sample.request))?;
        }
    }
    if told.len() > SHOWN {
        writeln!(f, "  and {} more fields", told.len() - SHOWN)?;
    }
    let mut by: std::collections::BTreeMap<&str, Vec<String>> = std::collections::BTreeMap::new();
    for field in &quiet {
        by.entry(sentence::verdict(field.verdict)).or_default().push(safe(&field.path));
    }
    for (why, mut fields) in by {
        let more = fields.len().saturating_sub(8);
        fields.truncate(8);
        write!(f, "  {why}: {}", fields.join(", "))?;
        writeln!(f, "{}", if more > 0 { format!(" and {more} more") } else { String::new() })?;
    }
    Ok(())
}

fn percent(rate: f64) -> String {
    format!("{:.2} %", rate * 100.0)
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1_000.0)
}

/// A captured byte must not control the terminal.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
        {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
