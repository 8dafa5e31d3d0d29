//! The pace of a replay: how recorded times become times of the replay.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How the recorded times become the times of the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// At once: traffic is replayed while it is captured.
    Live,
    /// With the recorded gaps, divided by `speed`.
    Recorded {
        /// 2.0 is twice as fast. Finite and above 0.
        speed: f64,
    },
    /// At a rate, whatever the recorded gaps are.
    Rate(Rate),
    /// As fast as the target responds. Only the order within a connection is kept.
    Max,
}

impl Pace {
    /// True if requests have absolute deadlines, which do not shift when the replay waits.
    #[must_use]
    pub fn has_deadlines(self) -> bool {
        matches!(self, Self::Recorded { .. } | Self::Rate(_))
    }
}

/// Requests per second: a constant rate, or a linear ramp from one rate to another that then stays
/// constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    from: f64,
    to: f64,
    /// Duration of the ramp in seconds.
    over: f64,
}

/// More requests per second than any machine sends, and few enough for a float to count requests
/// exactly.
const MAX_RATE: f64 = 1e9;

impl Rate {
    /// The rate at this time after the start, in requests per second.
    pub(in crate::sink::replay) fn per_second(&self, since: Duration) -> f64 {
        let Self { from, to, over } = *self;
        let since = since.as_secs_f64();
        if since >= over { to } else { from + (to - from) * since / over }
    }

    /// How long after the start the `n`th request is due, counted from 0: where the area under the
    /// rate is `n`. It does not drift, because no time is a sum of earlier ones.
    pub(in crate::sink::replay) fn offset(&self, n: u64) -> Duration {
        let Self { from, to, over } = *self;
        let n = n as f64;
        let in_ramp = (from + to) / 2.0 * over;
        let seconds = if n >= in_ramp {
            over + (n - in_ramp) / to
        } else {
            // n = from t + slope t²/2, solved for t in the form that stays exact where the slope is
            // small.
            let slope = (to - from) / over;
            let root = (from * from + 2.0 * slope * n).max(0.0).sqrt();
            2.0 * n / (from + root)
        };
        // NaN if both are 0: the first request of a ramp from 0 is due now.
        Duration::try_from_secs_f64(if seconds.is_nan() { 0.0 } else { seconds })
            .unwrap_or(Duration::MAX)
    }
}

/// `500`, `500/s`, `100..2000/10m`.
impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "requests per second, such as 500/s, or a ramp, such as 100..2000/10m";
        let number = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            number.filter(|number| (0.0..=MAX_RATE).contains(number)).ok_or_else(wrong)
        };
        let rate = match text.split_once("..") {
            None => {
                let rate = number(text.strip_suffix("/s").unwrap_or(text))?;
                Self { from: rate, to: rate, over: 0.0 }
            }
            Some((from, rest)) => {
                let (to, over) = rest.split_once('/').ok_or_else(wrong)?;
                let over = crate::units::parse_duration(over.trim()).map_err(|_| wrong())?;
                Self { from: number(from)?, to: number(to)?, over: over.as_secs_f64() }
            }
        };
        if rate.to <= 0.0 {
            return Err("a rate that ends above 0: nothing would be sent at 0".into());
        }
        Ok(rate)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, over } = self;
        if *over == 0.0 {
            return write!(f, "{to}/s");
        }
        let over = Duration::try_from_secs_f64(*over).unwrap_or(Duration::MAX);
        write!(f, "{from}..{to}/{}", humantime::format_duration(over))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rate;

    fn offset(rate: &str, n: u64) -> Duration {
        rate.parse::<Rate>().unwrap().offset(n)
    }

    fn near(is: Duration, wanted: f64) {
        assert!((is.as_secs_f64() - wanted).abs() < 1e-6, "{is:?}, not {wanted} s");
    }

    #[test]
    fn constant_rate_has_equal_gaps() {
        for text in ["500", "500/s"] {
            assert_eq!(offset(text, 0), Duration::ZERO);
            near(offset(text, 1), 0.002);
            near(offset(text, 1_000_000_000), 2e6);
        }
    }

    #[test]
    fn ramp_is_the_area_under_its_line() {
        // (100 + 2000) / 2 · 600 s = 630,000 requests.
        near(offset("100..2000/10m", 630_000), 600.0);
        near(offset("100..2000/10m", 632_000), 601.0);
        // After half the time: 100 · 300 + (950 · 300) / 2.
        near(offset("100..2000/10m", 172_500), 300.0);
        near(offset("2000..100/10m", 630_000), 600.0);
        near(offset("2000..100/10m", 630_100), 601.0);
        near(offset("50..50/1m", 100), 2.0);
        // From nothing: t²/2 · 10.
        near(offset("0..100/10s", 0), 0.0);
        near(offset("0..100/10s", 5), 1.0);
    }

    #[test]
    fn ramp_without_time_is_a_step() {
        near(offset("10..100/0s", 100), 1.0);
    }

    #[test]
    fn rates_that_mean_nothing_are_refused() {
        for text in ["", "0", "-1", "nan", "inf", "fast", "1..2", "1../1s", "1..0/1s", "1..2/3"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn later_requests_are_never_due_earlier(from in 0.0..1e6_f64, to in 0.1..1e6_f64, over in 0_u32..100, n in 0_u64..1_000_000) {
            let rate: Rate = format!("{from}..{to}/{over}s").parse().unwrap();
            // Floats near the end of a ramp may differ in their last digits.
            proptest::prop_assert!(rate.offset(n) <= rate.offset(n + 1) + Duration::from_nanos(1000));
        }

        #[test]
        fn any_text_is_safe(text in ".{0,20}") {
            let _ = text.parse::<Rate>();
        }
    }
}
