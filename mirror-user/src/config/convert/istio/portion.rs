//! Percentages and times, as Istio reads them.

use std::time::Duration;

use super::super::finding::Findings;
use crate::rules::sample::Portion;
use crate::yaml::Node;

/// The portion of a `Percent` message; a missing number is 0, as always in proto3.
pub(super) fn value(node: &Node, path: &str, findings: &mut Findings) -> Portion {
    node.field("value").map_or(Portion::NONE, |value| percent(value, path, findings))
}

pub(super) fn percent(node: &Node, path: &str, findings: &mut Findings) -> Portion {
    let percent = node.text().and_then(|text| text.parse::<f64>().ok());
    let Some(percent) = percent.filter(|percent| (0.0..=100.0).contains(percent)) else {
        findings.refused(node.at.line, path, "the percentage must be a number from 0 to 100");
        return Portion::NONE;
    };
    // As Istio computes it: `uint32(value * 10000)`, which truncates.
    let exact = percent * 10_000.0;
    let millionths = exact as u32;
    if exact - f64::from(millionths) > 0.0 {
        let why = format!("{percent} % is truncated to {millionths} per million, as in Istio");
        findings.approximated(node.at.line, path, &why);
    }
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    Portion::percent(&text).unwrap_or(Portion::NONE)
}

/// A duration such as `1m30s` or `0.5s`; 0 means no timeout.
pub(in super::super) fn timeout(
    node: &Node,
    path: &str,
    findings: &mut Findings,
) -> Option<Duration> {
    let field = format!("{path}.timeout");
    let Some(time) = node.text().and_then(go_duration) else {
        findings.refused(node.at.line, field, "not a duration such as 1.5s or 1m30s");
        return None;
    };
    if time < Duration::from_millis(1) {
        findings.dropped(
            node.at.line,
            field,
            "0 means no timeout, but a shadow request always has one",
        );
        return None;
    }
    Some(time)
}

/// Parses what Go's `time.ParseDuration` accepts, without a sign.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let length = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(length)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}
