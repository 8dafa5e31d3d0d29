//! `failing_fields=0,failing_rate<0.5%,min_requests=50,p95_ratio<1.2`: whether a report is good enough to go on.

use std::str::FromStr;

use crate::report::Report;
use crate::verdict::Verdict;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    failing_fields: Option<Bound>,
    failing_rate: Option<Bound>,
    p95_ratio: Option<Bound>,
    min_requests: Option<u64>,
    min_requests_per_endpoint: Option<u64>,
}

/// A value must be below, or at most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    at: f64,
    inclusive: bool,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        if self.inclusive { value <= self.at } else { value < self.at }
    }
}

/// What became of a gate, with a sentence for each reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All conditions hold.
    Passed,
    /// These do not.
    Failed(Vec<String>),
    /// None fails, but there is not enough data to say that all hold.
    NotEnough(Vec<String>),
}

impl Outcome {
    /// The exit code of a command: 0, 1 or 3.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed(_) => 1,
            Self::NotEnough(_) => 3,
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut gate = Self::default();
        for condition in text.split(',').map(str::trim) {
            let wrong = || {
                format!(
                    "{condition:?} is no condition; there are failing_fields=0, failing_rate<0.5%, p95_ratio<1.2, \
                     min_requests=50 and min_requests_per_endpoint=50"
                )
            };
            let at = condition.find(['<', '=']).ok_or_else(wrong)?;
            let (name, rest) = condition.split_at_checked(at).ok_or_else(wrong)?;
            let (operator, value) = match rest.strip_prefix("<=") {
                Some(value) => ("<=", value),
                None => rest.split_at_checked(1).ok_or_else(wrong)?,
            };
            let value = value.trim();
            let number = match value.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
                None => value.parse(),
            };
            let number = number
                .ok()
                .filter(|number| number.is_finite() && *number >= 0.0)
                .ok_or_else(wrong)?;
            let bound = Some(Bound { at: number, inclusive: operator != "<" });
            let least = || (operator == "=").then_some(number as u64).ok_or_else(wrong).map(Some);
            match name.trim() {
                "failing_fields" => gate.failing_fields = bound,
                "failing_rate" => gate.failing_rate = bound,
                "p95_ratio" => gate.p95_ratio = bound,
                "min_requests" => gate.min_requests = least()?,
                "min_requests_per_endpoint" => gate.min_requests_per_endpoint = least()?,
                _ => return Err(wrong()),
            }
        }
        Ok(gate)
    }
}

impl Gate {
    /// Judges a report.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Outcome {
        let (mut failed, mut missing) = (Vec::new(), Vec::new());
        if let Some(bound) = self.failing_fields {
            let fields =
                |verdict| report.fields().filter(|(_, field)| field.verdict == verdict).count();
            let failing = fields(Verdict::Regression);
            if !bound.holds(failing as f64) {
                failed.push(format!("{failing} fields fail"));
            }
            let open = fields(Verdict::Insufficient);
            if open > 0 && !bound.holds((failing + open) as f64) {
                missing.push(format!("{open} fields differ too seldom to tell them from chance"));
            }
        }
        if let Some(bound) = self.failing_rate
            && !bound.holds(report.failing_rate)
        {
            failed.push(format!("{:.2} % of requests fail", report.failing_rate * 100.0));
        }
        if let Some(bound) = self.p95_ratio {
            for endpoint in &report.endpoints {
                match &endpoint.slower {
                    Some(slower) if slower.is_certain() && !bound.holds(slower.p95_ratio) => failed
                        .push(format!(
                            "{}: the 95th percentile is {:.2} times as long",
                            endpoint.name, slower.p95_ratio
                        )),
                    _ => {}
                }
            }
            if report
                .endpoints
                .iter()
                .all(|endpoint| endpoint.slower.is_none_or(|slower| !slower.enough))
            {
                missing.push(
                    "no endpoint has enough times of both sides to judge p95_ratio".to_owned(),
                );
            }
        }
        if let Some(least) = self.min_requests
            && report.pairs < least
        {
            missing.push(format!("{} of at least {least} requests were compared", report.pairs));
        }
        if let Some(least) = self.min_requests_per_endpoint {
            let few = report.endpoints.iter().filter(|endpoint| endpoint.total < least);
            missing.extend(
                few.map(|one| format!("{}: {} of at least {least} requests", one.name, one.total)),
            );
        }
        match (failed.is_empty(), missing.is_empty()) {
            (false, _) => Outcome::Failed(failed),
            (true, false) => Outcome::NotEnough(missing),
            (true, true) => Outcome::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_read_and_what_is_none_is_refused() {
        let gate: Gate =
            "failing_fields=0,failing_rate<0.5%,min_requests=50,p95_ratio<1.2".parse().unwrap();
        assert_eq!(gate.failing_rate, Some(Bound { at: 0.005, inclusive: false }));
        assert_eq!(gate.failing_fields, Some(Bound { at: 0.0, inclusive: true }));
        assert_eq!(gate.min_requests, Some(50));
        for bad in [
            "",
            "failing_fields",
            "failing_fields=x",
            "speed<1",
            "min_requests<5",
            "failing_rate<-1",
            "a=1,",
        ] {
            assert!(bad.parse::<Gate>().is_err(), "{bad}");
        }
    }
}
