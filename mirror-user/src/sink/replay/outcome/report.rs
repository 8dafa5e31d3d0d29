//! The report at the end of a replay.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::groups::RuleReport;
use super::progress::ReplayProgress;
use super::times::Quantiles;
use super::verdict::Verdict;
use crate::stats::grouped;

/// The outcomes of one target's requests.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayReport {
    /// Its host and port.
    pub target: String,
    /// The counters at the end.
    #[serde(flatten)]
    pub end: ReplayProgress,
    /// The same by rule; empty if no rules are given.
    pub rules: Vec<RuleReport>,
    /// The results of the `--fail-on` conditions.
    pub verdicts: Vec<Verdict>,
}

impl ReplayReport {
    /// True if the replay has failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.failed)
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, end, rules, verdicts } = self;
        write!(
            f,
            "target {target}: {} of {} answered",
            grouped(end.answered),
            grouped(end.offered)
        )?;
        for (class, count) in (1..).zip(end.classes).filter(|(_, count)| *count > 0) {
            write!(f, ", {class}xx {}", grouped(count))?;
        }
        writeln!(f, ", over {} connections", grouped(end.connected))?;
        if end.sent > 0 {
            writeln!(
                f,
                "  {:14}{:>10}{:>10}{:>10}{:>10}{:>10}",
                "", "p50", "p90", "p99", "p99.9", "max"
            )?;
            let rows = [
                ("sent late by", end.late),
                ("service time", end.service),
                ("response time", end.response),
            ];
            for (name, Quantiles { p50, p90, p99, p999, max }) in rows {
                write!(f, "  {name:14}")?;
                for time in [p50, p90, p99, p999, max] {
                    write!(f, "{:>10}", short(time))?;
                }
                writeln!(f)?;
            }
        }
        // A single rule's row would repeat the totals above.
        if rules.len() > 1 {
            write_rules(f, rules)?;
        }
        verdicts.iter().try_for_each(|verdict| writeln!(f, "  {verdict}"))
    }
}

/// A row for each rule.
fn write_rules(f: &mut fmt::Formatter<'_>, rules: &[RuleReport]) -> fmt::Result {
    let width = rules.iter().map(|one| one.rule.chars().count()).max().unwrap_or_default().max(14);
    write!(f, "  {:width$}", "by rule")?;
    for column in ["requests", "answered", "2xx", "3xx", "4xx", "5xx", "dropped"] {
        write!(f, "{column:>10}")?;
    }
    writeln!(f)?;
    for RuleReport { rule, offered, answered, classes, dropped } in rules {
        let [_, ok, elsewhere, refused, failed] = *classes;
        write!(f, "  {rule:width$}")?;
        for count in [*offered, *answered, ok, elsewhere, refused, failed, *dropped] {
            write!(f, "{:>10}", grouped(count))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// A time with three digits: `52us`, `1.95ms`, `12.3s`.
pub(crate) fn short(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    let (value, unit) = match micros {
        _ if micros < 1e3 => (micros, "us"),
        _ if micros < 1e6 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let digits = if unit == "us" || value >= 100.0 { 0 } else { 2 - usize::from(value >= 10.0) };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::Attribution;

    #[test]
    fn times_have_three_digits() {
        for (micros, text) in [
            (0, "0us"),
            (52, "52us"),
            (1_951, "1.95ms"),
            (19_512, "19.5ms"),
            (195_123, "195ms"),
            (12_345_678, "12.3s"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn report_shows_classes_times_and_verdicts() {
        let late = Quantiles { p50: Duration::from_micros(52), ..Quantiles::default() };
        let end = ReplayProgress {
            offered: 1_003,
            sent: 1_001,
            answered: 1_001,
            classes: [0, 1_000, 0, 1, 0],
            connected: 4,
            late,
            attribution: enum_map::enum_map! { Attribution::Capture => 2, _ => 0 },
            ..ReplayProgress::default()
        };
        let verdicts =
            vec!["dropped>0".parse::<crate::sink::replay::FailOn>().unwrap().judge(&end)];
        let checkout = RuleReport {
            rule: "checkout".into(),
            offered: 1_003,
            answered: 1_001,
            classes: [0, 1_000, 0, 1, 0],
            dropped: 2,
        };
        let rules = vec![RuleReport { rule: "rest".into(), ..checkout.clone() }, checkout];
        let report = ReplayReport { target: "a:1".into(), end, rules, verdicts };
        assert!(report.failed());
        let wanted = "\
target a:1: 1,001 of 1,003 answered, 2xx 1,000, 4xx 1, over 4 connections
                       p50       p90       p99     p99.9       max
  sent late by        52us       0us       0us       0us       0us
  service time         0us       0us       0us       0us       0us
  response time        0us       0us       0us       0us       0us
  by rule         requests  answered       2xx       3xx       4xx       5xx   dropped
  rest               1,003     1,001     1,000         0         1         0         2
  checkout           1,003     1,001     1,000         0         1         0         2
  --fail-on dropped>0: failed, it was 2
";
        assert_eq!(report.to_string(), wanted);
    }
}
