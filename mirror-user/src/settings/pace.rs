//! When requests of a file are sent, how often, over which connections, and how much of them is kept.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::define::settings;
use crate::sink::replay::{Connections, Point, Rate};
use crate::units::Bytes;

settings! {
    /// When requests of a capture are sent, how often, over which connections.
    pub struct PaceSettings under "Time and load", changed AtNextStart {
        /// When requests of a file are sent: as recorded (1), N times faster, or as fast as the target takes them
        setting speed: Option<Speed> { key: "speed", default: "1" }
        /// Requests a second instead of the recorded gaps: `500/s`, or a ramp, `100..2000/10m`. Of interfaces, at most so many: connections beyond that are left out
        setting rate: Option<Rate> { key: "rate", conflicts: &["speed"] }
        /// Cut pauses between two requests that are longer than this
        setting max_gap: Option<Duration> { key: "max-gap", conflicts: &["rate"] }
        /// Leave out what was captured before: a time (2026-01-02T03:04:05Z), or one from the first request on (10m)
        setting from_time: Option<Point> { key: "from-time" }
        /// Leave out what was captured then or later
        setting to_time: Option<Point> { key: "to-time" }
        /// Replay the capture so many times, one after the other
        setting passes: Option<NonZeroU32> { key: "loop", default: "1" }
        /// Replay each session so many times, each request with an X-Shadow-Id of its own
        setting copies: Option<CopyCount> { key: "copies", default: "1" }
        /// The time over which the copies of a session are spread
        setting copies_over: Option<Duration> { key: "copies-over", default: "1s" }
        /// Which connection a request goes over: one for each captured connection (`faithful`), or a free one of N, in the order of each captured connection (`pooled:N`), or in none, each when it is due (`independent:N`), for a proxy's connections
        setting connections: Option<Connections> { key: "connections", default: "faithful" }
        /// How long after its time a request of a file may still find space in the queue; later ones are dropped, so that a slow target does not bend the schedule
        setting max_late: Option<Duration> { key: "max-late", default: "1s" }
    }
}

settings! {
    /// How much is kept of requests that wait.
    pub struct BodySettings under "Replay", changed AtNextStart {
        /// Bytes of one request body, at most; longer than 1 MiB it waits in an unlinked temporary file
        setting max_body: Option<Bytes> { key: "max-body", default: "8GiB" }
        /// Bytes of all request bodies that wait in temporary files, at most
        setting max_spool: Option<Bytes> { key: "max-spool", default: "16GiB" }
    }
}

impl PaceSettings {
    /// True when the times of a capture are those of its replay.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.rate.is_none() && self.speed != Some(Speed::Max)
    }
}

/// When requests of a file are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Times faster than they were recorded.
    Times(f64),
    /// As fast as the target takes them.
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

/// How often each session is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyCount(pub u32);

/// A thousand times production is more than a file can be read for.
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
