//! When requests are sent, how often, over which connections, and limits on what is kept in memory.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::define::settings;
use crate::sink::replay::{Connections, Point, Rate};
use crate::units::Bytes;

settings! {
    /// When requests are sent, how often, and over which connections.
    pub struct PaceSettings under "Time and load", changed AtNextStart {
        /// Speed at which a file is replayed: as recorded (1), N times faster, or as fast as the target accepts (max)
        setting speed: Option<Speed> { key: "speed", default: "1" }
        /// Send at this rate instead of with the recorded gaps: `500/s`, or a ramp such as `100..2000/10m`. For interfaces it is an upper limit: connections above it are left out
        setting rate: Option<Rate> { key: "rate", conflicts: &["speed"] }
        /// Shorten longer pauses between two requests to this
        setting max_gap: Option<Duration> { key: "max-gap", conflicts: &["rate"] }
        /// Leave out what was captured before this time: absolute (2026-01-02T03:04:05Z), or relative to the first request (10m)
        setting from_time: Option<Point> { key: "from-time" }
        /// Leave out what was captured at or after this time
        setting to_time: Option<Point> { key: "to-time" }
        /// Replay the capture this many times, one after the other
        setting passes: Option<NonZeroU32> { key: "loop", default: "1" }
        /// Replay each session this many times in parallel, each request with its own X-Shadow-Id
        setting copies: Option<CopyCount> { key: "copies", default: "1" }
        /// Spread the copies of a session over this time
        setting copies_over: Option<Duration> { key: "copies-over", default: "1s" }
        /// How captured connections map to connections to the target: one to one (`faithful`), a pool of N that keeps the order within each captured connection (`pooled:N`), or a pool of N in which each request is sent when due, in no order (`independent:N`; for connections of a proxy)
        setting connections: Option<Connections> { key: "connections", default: "faithful" }
        /// Drop a request of a file that cannot be queued within this time after it was due, so that a slow target does not distort the schedule
        setting max_late: Option<Duration> { key: "max-late", default: "1s" }
    }
}

settings! {
    /// Limits on the bodies of waiting requests.
    pub struct BodySettings under "Replay", changed AtNextStart {
        /// Maximum size of one request body; above 1 MiB it is spooled to an unlinked temporary file
        setting max_body: Option<Bytes> { key: "max-body", default: "8GiB" }
        /// Maximum size of all spooled request bodies together
        setting max_spool: Option<Bytes> { key: "max-spool", default: "16GiB" }
    }
}

impl PaceSettings {
    /// True if a speed or a rate was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.rate.is_some() || self.speed.is_some()
    }

    /// True if the replay follows the recorded times.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.rate.is_none() && self.speed != Some(Speed::Max)
    }
}

/// How fast a file is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times faster than recorded.
    Times(f64),
    /// As fast as the target accepts requests.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.trim_end_matches('x').parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            _ => Err("a number above 0, such as 1, 0.5 or 10, or `max`".into()),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times}"),
            Self::Max => f.write_str("max"),
        }
    }
}

/// Number of parallel copies of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCount(pub u32);

/// A file cannot be read fast enough for more than a thousand times production.
const MAX_COPIES: u32 = 1_000;

impl FromStr for CopyCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let copies = text.parse().ok().filter(|copies| (1..=MAX_COPIES).contains(copies));
        copies.map(Self).ok_or_else(|| format!("a number of copies from 1 to {MAX_COPIES}"))
    }
}

impl fmt::Display for CopyCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("2.5".parse(), Ok(Speed::Times(2.5)));
        assert_eq!("10x".parse(), Ok(Speed::Times(10.0)));
        for bad in ["0", "-1", "nan", "inf", "fast"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }
}
