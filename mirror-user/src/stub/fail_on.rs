//! When serving stubs counts as failed: `--fail-on 'misses>0'`.

use std::str::FromStr;

use super::counts::Counts;

/// A bound on misses; the run fails if there are more.
#[derive(Clone, Debug, PartialEq)]
pub struct FailOn {
    text: String,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Count(u64),
    Percent(f64),
}

impl FailOn {
    /// What was measured, if it is above the bound.
    #[must_use]
    pub fn crossed(&self, counts: &Counts) -> Option<String> {
        let (misses, all) = counts.misses();
        let share = 100.0 * misses as f64 / all.max(1) as f64;
        let crossed = match self.bound {
            Bound::Count(bound) => misses > bound,
            Bound::Percent(bound) => share > bound,
        };
        crossed.then(|| format!("{}: {misses} of {all} requests ({share:.3}%)", self.text))
    }
}

impl FromStr for FailOn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a bound such as `misses>0` or `misses>1%`";
        let bound =
            text.trim().strip_prefix("misses").and_then(|rest| rest.trim().strip_prefix('>'));
        let bound = bound.ok_or(WHAT)?.trim();
        let bound = match bound.strip_suffix('%') {
            Some(percent) => {
                percent.parse().ok().filter(|p| (0.0..=100.0).contains(p)).map(Bound::Percent)
            }
            None => bound.parse().ok().map(Bound::Count),
        };
        Ok(Self { text: text.to_owned(), bound: bound.ok_or(WHAT)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::counts::NotServed;

    #[test]
    fn misses_above_the_bound_fail() {
        let counts = Counts::default();
        for _ in 0..4 {
            counts.saw();
        }
        counts.served(2);
        counts.missed(NotServed::Missed, b"GET", b"/a");
        counts.not_served(NotServed::Malformed, 1);
        let crossed = |text: &str| text.parse::<FailOn>().unwrap().crossed(&counts);
        assert_eq!(crossed("misses>0").unwrap(), "misses>0: 1 of 4 requests (25.000%)");
        assert_eq!(crossed("misses > 1"), None);
        assert!(crossed("misses>24.9%").is_some() && crossed("misses>25%").is_none());
        for bad in ["misses", "misses>", "misses<1", "misses>-1", "misses>101%", "served>0"] {
            assert!(bad.parse::<FailOn>().is_err(), "{bad}");
        }
    }
}
