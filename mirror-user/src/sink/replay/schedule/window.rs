//! The part of a capture that is replayed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::packet::Timestamp;

/// A point in time of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// An absolute time.
    At(Timestamp),
    /// A distance from the first request.
    After(Duration),
}

/// RFC 3339 (`2026-01-02T03:04:05Z`), or a time from the start (`90s`, `10m`).
impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(offset) = crate::units::parse_duration(text) {
            return Ok(Self::After(offset));
        }
        text.parse::<jiff::Timestamp>()
            .ok()
            .and_then(|at| u64::try_from(at.as_nanosecond()).ok())
            .map(|nanos| Self::At(Timestamp::from_nanos(nanos)))
            .ok_or_else(|| {
                "a time with its zone, such as 2026-01-02T03:04:05Z, or one from the start, such as 10m"
                    .into()
            })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => {
                let at = jiff::Timestamp::from_nanosecond(at.as_nanos().into());
                write!(f, "{}", at.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
            }
            Self::After(offset) => write!(f, "{}", humantime::format_duration(*offset)),
        }
    }
}

/// From one point up to another, exclusive; the entire capture by default.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Where it begins.
    pub from: Option<Point>,
    /// Where it ends.
    pub to: Option<Point>,
    /// When the first request of the capture began.
    first: Option<Timestamp>,
}

impl Window {
    /// From one point up to another.
    #[must_use]
    pub fn new(from: Option<Point>, to: Option<Point>) -> Self {
        Self { from, to, first: None }
    }

    /// True if a request that began at `started` is in the window. The first call is taken for the
    /// capture's first request.
    pub(in crate::sink::replay) fn contains(&mut self, started: Timestamp) -> bool {
        let first = *self.first.get_or_insert(started);
        let since = |point| match point {
            Point::At(at) => started >= at,
            Point::After(offset) => started.since(first) >= offset,
        };
        self.from.is_none_or(since) && !self.to.is_some_and(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(from: Option<&str>, to: Option<&str>, requests: &[u64]) -> Vec<u64> {
        let point = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let mut window = Window::new(point(from), point(to));
        let inside = |n: &u64| window.contains(Timestamp::from_nanos(n * 1_000_000_000));
        requests.iter().copied().filter(inside).collect()
    }

    #[test]
    fn ends_are_times_or_distances_from_the_first_request() {
        let requests = [100, 105, 110, 115, 120];
        assert_eq!(seconds(None, None, &requests), requests);
        assert_eq!(seconds(Some("10s"), None, &requests), [110, 115, 120]);
        assert_eq!(seconds(Some("5s"), Some("15s"), &requests), [105, 110]);
        assert_eq!(seconds(Some("1970-01-01T00:01:45Z"), None, &requests), [105, 110, 115, 120]);
        assert_eq!(seconds(None, Some("1970-01-01T01:01:45+01:00"), &requests), [100]);
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in ["", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "1950-01-01T00:00:00Z"] {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
