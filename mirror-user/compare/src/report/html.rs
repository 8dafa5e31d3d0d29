//! A report as one HTML file: no script, no request to anywhere. What was captured is text, never markup.

use std::fmt::{self, Display, Write};

use super::{EndpointReport, FieldReport, Report, sentence};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("report.css");

/// A report as a page.
pub struct Page<'r>(pub &'r Report);

/// A text without anything that a browser takes for markup.
struct Text<'t>(&'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>mirror compare</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>mirror compare</h1>"
        )?;
        let (low, high) = report.failing_rate_95;
        writeln!(
            f,
            "<p>{} pairs at {} endpoints; {:.2} % failing (95 % interval {:.2} % to {:.2} %).</p>",
            report.pairs,
            report.endpoints.len(),
            report.failing_rate * 100.0,
            low * 100.0,
            high * 100.0
        )?;
        if let Some(basis) = &report.basis {
            writeln!(f, "<p>{}</p>", Text(&sentence::basis(basis)))?;
        }
        report.endpoints.iter().try_for_each(|endpoint| section(f, endpoint))?;
        if !report.rules.is_empty() {
            writeln!(f, "<h2>Rules</h2>\n<table><tr><th>hits</th><th>rule</th></tr>")?;
            for rule in &report.rules {
                writeln!(
                    f,
                    "<tr><td>{}</td><td><code>{}</code></td></tr>",
                    rule.hits,
                    Text(&rule.rule)
                )?;
            }
            writeln!(f, "</table>")?;
        }
        writeln!(f, "</body>\n</html>")
    }
}

fn section(f: &mut fmt::Formatter<'_>, endpoint: &EndpointReport) -> fmt::Result {
    let open = if endpoint.failing > 0 || endpoint.is_slower { " open" } else { "" };
    writeln!(
        f,
        "<details{open}><summary><b>{}</b> {} requests, {:.2} % failing</summary>",
        Text(&endpoint.name),
        endpoint.total,
        endpoint.failing_rate() * 100.0
    )?;
    let latency = &endpoint.latency;
    writeln!(
        f,
        "<table><tr><th>side</th><th>responses</th><th>p50</th><th>p95</th><th>p99</th></tr>"
    )?;
    for (side, times) in [
        ("production", latency.production),
        ("candidate", latency.candidate),
        ("control", latency.control),
    ] {
        if times.count > 0 {
            let millis = |micros: u64| micros as f64 / 1_000.0;
            writeln!(
                f,
                "<tr><td>{side}</td><td>{}</td><td>{:.1} ms</td><td>{:.1} ms</td><td>{:.1} ms</td></tr>",
                times.count,
                millis(times.p50_us),
                millis(times.p95_us),
                millis(times.p99_us)
            )?;
        }
    }
    writeln!(f, "</table>")?;
    if let Some(slower) = endpoint.slower.filter(|_| endpoint.is_slower) {
        writeln!(
            f,
            "<p class=\"bad\">Slower: {:.2} times at the median, p = {:.2e}.</p>",
            slower.median_ratio, slower.p
        )?;
    }
    endpoint.fields.iter().try_for_each(|field| row(f, endpoint, field))?;
    writeln!(f, "</details>")
}

fn row(f: &mut fmt::Formatter<'_>, endpoint: &EndpointReport, field: &FieldReport) -> fmt::Result {
    let class = if field.verdict == Verdict::Regression { "bad" } else { "quiet" };
    writeln!(
        f,
        "<details class=\"{class}\"><summary><code>{}</code> {}: {} of {} requests, {}</summary>",
        Text(&field.path),
        sentence::verdict(field.verdict),
        field.raw,
        endpoint.total,
        Text(&field.cause)
    )?;
    writeln!(
        f,
        "<p>relative {:.1} %, absolute {:.2} %, p = {:.2e}; control differs {} times.</p>",
        field.figures.relative, field.figures.absolute, field.p, field.noise
    )?;
    for (by, count) in &field.forgiven {
        writeln!(f, "<p>{count} forgiven by <code>{}</code></p>", Text(by))?;
    }
    for sample in &field.samples {
        let side = |text: &Option<String>| Text(text.as_deref().unwrap_or("–")).to_string();
        writeln!(
            f,
            "<p>{} <code>{}</code></p>\n<table><tr><th>production</th><th>candidate</th></tr><tr><td><pre>{}</pre></td>\
             <td><pre>{}</pre></td></tr></table>\n<pre>{}</pre>",
            Text(&sample.request),
            Text(&sample.pointer),
            side(&sample.production),
            side(&sample.candidate),
            Text(&sample.curl)
        )?;
    }
    writeln!(f, "</details>")
}
