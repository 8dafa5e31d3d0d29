//! Decides whether a replay has failed: `--fail-on 'errors>1%'`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::not_delivered::Attribution;
use super::progress::ReplayProgress;
use super::report::short;

/// A measure and a bound; the replay fails if the comparison is true.
#[derive(Clone, Debug, PartialEq)]
pub struct FailOn {
    text: String,
    measure: Measure,
    comparison: Comparison,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    /// Requests without a response because of the target, and 5xx responses.
    Errors,
    /// Requests without a response, except those that the operator excluded.
    Dropped,
    Answered,
    /// Responses of one class, by the first digit of their status.
    Class(usize),
    /// A quantile of the time from when a request was due to the end of its response.
    Response(Quantile),
    /// The 99th percentile of how late requests were sent.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

const MEASURES: [(&str, Measure); 13] = [
    ("errors", Measure::Errors),
    ("dropped", Measure::Dropped),
    ("answered", Measure::Answered),
    ("2xx", Measure::Class(2)),
    ("3xx", Measure::Class(3)),
    ("4xx", Measure::Class(4)),
    ("5xx", Measure::Class(5)),
    ("p50", Measure::Response(Quantile::P50)),
    ("p90", Measure::Response(Quantile::P90)),
    ("p99", Measure::Response(Quantile::P99)),
    ("p99.9", Measure::Response(Quantile::P999)),
    ("max", Measure::Response(Quantile::Max)),
    ("late", Measure::Late),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Longer signs first, because the others are prefixes of them.
const COMPARISONS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// The value that a measure is compared with. Its kind decides how the measure is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Count(u64),
    Percent(f64),
    Time(Duration),
}

/// The result of a [`FailOn`].
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The condition as the user wrote it.
    pub fail_on: String,
    /// The measured value.
    pub measured: String,
    /// True if the replay has failed.
    pub failed: bool,
}

impl FailOn {
    /// Evaluates the condition at the end of a replay.
    pub(in crate::sink::replay) fn judge(&self, end: &ReplayProgress) -> Verdict {
        let (measured, failed) = match self.bound {
            Bound::Time(bound) => {
                let time = self.measure.time(end);
                (short(time), self.comparison.holds(&time, &bound))
            }
            Bound::Count(bound) => {
                let count = self.measure.count(end);
                (count.to_string(), self.comparison.holds(&count, &bound))
            }
            Bound::Percent(bound) => {
                // A share of the requests that were to be sent. If there were none, the share is 0.
                let all = end.offered.saturating_sub(end.attribution[Attribution::Operator]);
                let share = 100.0 * self.measure.count(end) as f64 / all.max(1) as f64;
                (format!("{share:.3}%"), self.comparison.holds(&share, &bound))
            }
        };
        Verdict { fail_on: self.text.clone(), measured, failed }
    }
}

impl Measure {
    fn count(self, end: &ReplayProgress) -> u64 {
        let class = |class: usize| {
            class.checked_sub(1).and_then(|place| end.classes.get(place)).copied().unwrap_or(0)
        };
        match self {
            Self::Errors => end.attribution[Attribution::Target].saturating_add(class(5)),
            Self::Dropped => {
                let dropped = [Attribution::Target, Attribution::Capture, Attribution::Replay];
                dropped.map(|attribution| end.attribution[attribution]).iter().sum()
            }
            Self::Answered => end.answered,
            Self::Class(n) => class(n),
            Self::Response(_) | Self::Late => 0,
        }
    }

    fn time(self, end: &ReplayProgress) -> Duration {
        match self {
            Self::Response(Quantile::P50) => end.response.p50,
            Self::Response(Quantile::P90) => end.response.p90,
            Self::Response(Quantile::P99) => end.response.p99,
            Self::Response(Quantile::P999) => end.response.p999,
            Self::Response(Quantile::Max) => end.response.max,
            Self::Late => end.late.p99,
            Self::Errors | Self::Dropped | Self::Answered | Self::Class(_) => Duration::ZERO,
        }
    }

    fn is_time(self) -> bool {
        matches!(self, Self::Response(_) | Self::Late)
    }
}

impl Comparison {
    fn holds<T: PartialOrd>(self, measured: &T, bound: &T) -> bool {
        match self {
            Self::Above => measured > bound,
            Self::AtLeast => measured >= bound,
            Self::Below => measured < bound,
            Self::AtMost => measured <= bound,
        }
    }
}

/// A measure, `>`, `>=`, `<` or `<=`, and a number, a percentage or a time.
impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let names: Vec<_> = MEASURES.iter().map(|(name, _)| *name).collect();
            format!(
                "a measure, a comparison and a bound, such as errors>1%, p99>200ms or dropped>0 \
                 (measures: {})",
                names.join(", ")
            )
        };
        let (sign, comparison) =
            COMPARISONS.iter().find(|(sign, _)| text.contains(sign)).ok_or_else(wrong)?;
        let (name, bound) = text.split_once(sign).ok_or_else(wrong)?;
        let named = MEASURES.iter().find(|(known, _)| *known == name.trim());
        let (_, measure) = named.ok_or_else(wrong)?;
        let bound = bound.trim();
        let bound = if measure.is_time() {
            crate::units::parse_duration(bound).ok().map(Bound::Time)
        } else if let Some(percent) = bound.strip_suffix('%') {
            let percent = percent.trim().parse::<f64>().ok();
            percent.filter(|n| (0.0..=100.0).contains(n)).map(Bound::Percent)
        } else {
            bound.parse().ok().map(Bound::Count)
        };
        let bound = bound.ok_or_else(wrong)?;
        Ok(Self { text: text.trim().to_owned(), measure: *measure, comparison: *comparison, bound })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = if self.failed { "failed" } else { "held" };
        write!(f, "--fail-on {}: {failed}, it was {}", self.fail_on, self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::outcome::times::Quantiles;

    fn end() -> ReplayProgress {
        ReplayProgress {
            offered: 1_010,
            answered: 990,
            classes: [0, 900, 50, 30, 10],
            attribution: enum_map::enum_map! {
                Attribution::Operator => 10, Attribution::Target => 5, Attribution::Replay => 4, Attribution::Capture => 1,
            },
            response: Quantiles { p99: Duration::from_millis(150), ..Quantiles::default() },
            ..ReplayProgress::default()
        }
    }

    #[test]
    fn bounds_are_held_against_what_was_measured() {
        for (text, failed, measured) in [
            ("errors>1%", true, "1.500%"),
            ("errors > 1.5%", false, "1.500%"),
            ("errors>=15", true, "15"),
            ("dropped>0", true, "10"),
            ("dropped>10", false, "10"),
            ("answered<991", true, "990"),
            ("5xx>1%", false, "1.000%"),
            ("4xx<=30", true, "30"),
            ("p99>200ms", false, "150ms"),
            ("p99>149ms", true, "150ms"),
            ("late>0s", false, "0us"),
        ] {
            let verdict = text.parse::<FailOn>().unwrap().judge(&end());
            assert_eq!((verdict.failed, verdict.measured.as_str()), (failed, measured), "{text}");
        }
    }

    #[test]
    fn nothing_replayed_has_no_share_of_errors() {
        let verdict = "errors>0%".parse::<FailOn>().unwrap().judge(&ReplayProgress::default());
        assert!(!verdict.failed);
        assert!("answered<1".parse::<FailOn>().unwrap().judge(&ReplayProgress::default()).failed);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "errors", "errors>", ">1", "x>1", "errors>1ms", "p99>1", "errors>101%"] {
            let why = text.parse::<FailOn>().unwrap_err();
            assert!(why.contains("errors>1%"), "{text}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in "[a-z0-9.<>=% ]{0,20}") {
            let _ = text.parse::<FailOn>();
        }
    }
}
