//! When requests of a file are sent, how often, and over which connections, as typed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::sink::replay::{Connections, Point, Rate};
use crate::units::parse_duration;

/// Time and load.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Time and load")]
pub struct PaceArgs {
    /// When requests of a file are sent: as recorded (1), N times faster, or as fast as the target
    /// takes them [default: 1]
    #[arg(long, value_name = "N|max")]
    pub speed: Option<Speed>,
    /// So many requests a second instead of the recorded gaps: `500/s`, or a ramp, `100..2000/10m`. Of
    /// interfaces, at most so many: connections beyond that are left out
    #[arg(long, value_name = "RATE", conflicts_with = "speed")]
    pub rate: Option<Rate>,
    /// Cut pauses between two requests that are longer than this
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "rate")]
    pub max_gap: Option<Duration>,
    /// Leave out what was captured before: a time (2026-01-02T03:04:05Z), or one from the first
    /// request on (10m)
    #[arg(long, value_name = "TIME")]
    pub from_time: Option<Point>,
    /// Leave out what was captured then or later
    #[arg(long, value_name = "TIME")]
    pub to_time: Option<Point>,
    /// Replay the capture so many times, one after the other [default: 1]
    #[arg(long = "loop", value_name = "N", value_parser = parse_passes)]
    pub passes: Option<u32>,
    /// Replay each session so many times, each request with an X-Shadow-Id of its own [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_copies)]
    pub copies: Option<u32>,
    /// The time over which the copies of a session are spread [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub copies_over: Option<Duration>,
    /// Which connection a request goes over: one for each captured connection (`faithful`), or a free
    /// one of N, in the order of each captured connection (`pooled:N`), or in none, each when it is due
    /// (`independent:N`), for a proxy's connections [default: faithful]
    #[arg(long, value_name = "HOW")]
    pub connections: Option<Connections>,
    /// How long after its time a request of a file may still find room in the queue; later ones are dropped,
    /// so that a slow target does not bend the schedule [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub max_late: Option<Duration>,
}

impl PaceArgs {
    /// True when the times of a capture are those of its replay.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.rate.is_none() && self.speed != Some(Speed::Max)
    }

    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // Of a rate and a speed there is one.
        let timed = self.speed.is_some() || self.rate.is_some();
        Self {
            speed: if timed { self.speed } else { other.speed },
            rate: if timed { self.rate } else { other.rate },
            max_gap: self.max_gap.or(other.max_gap),
            from_time: self.from_time.or(other.from_time),
            to_time: self.to_time.or(other.to_time),
            passes: self.passes.or(other.passes),
            copies: self.copies.or(other.copies),
            copies_over: self.copies_over.or(other.copies_over),
            connections: self.connections.or(other.connections),
            max_late: self.max_late.or(other.max_late),
        }
    }
}

/// A thousand times production is more than a file can be read for.
const MAX_COPIES: u32 = 1_000;

/// When requests of a file are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than they were recorded.
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

pub(crate) fn parse_passes(text: &str) -> Result<u32, String> {
    let times = text.parse().ok().filter(|times| *times > 0);
    times.ok_or_else(|| "how many times, 1 or more".into())
}

pub(crate) fn parse_copies(text: &str) -> Result<u32, String> {
    let copies = text.parse().ok().filter(|copies| (1..=MAX_COPIES).contains(copies));
    copies.ok_or_else(|| format!("how many copies, from 1 to {MAX_COPIES}"))
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
