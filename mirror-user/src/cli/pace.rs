//! When requests of a file are sent, how often, and over which connections, as typed.

use std::time::Duration;

use clap::Args;

use super::values::parse_duration;
use crate::sink::replay::{Connections, Point, Rate};

/// Time and load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Time and load")]
pub struct PaceArgs {
    /// When requests of a file are sent: as recorded (1), N times faster, or as fast as the target
    /// takes them [default: 1]
    #[arg(long, value_name = "N|max", value_parser = parse_speed)]
    pub speed: Option<Speed>,
    /// So many requests a second instead of the recorded gaps: `500/s`, or a ramp, `100..2000/10m`
    #[arg(long, value_name = "RATE", conflicts_with = "speed")]
    pub rate: Option<Rate>,
    /// Leave out what was captured before: a time (2026-01-02T03:04:05Z), or one from the first
    /// request on (10m)
    #[arg(long, value_name = "TIME")]
    pub from_time: Option<Point>,
    /// Leave out what was captured then or later
    #[arg(long, value_name = "TIME")]
    pub to_time: Option<Point>,
    /// Replay the capture so many times, one after the other
    #[arg(long = "loop", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
    /// Replay each session so many times, each request with an X-Shadow-Id of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_COPIES))]
    pub copies: u32,
    /// The time over which the copies of a session are spread
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub copies_over: Duration,
    /// Which connection a request goes over: one for each captured connection (`faithful`), or a free
    /// one of N (`pooled:N`)
    #[arg(long, value_name = "HOW", default_value = "faithful")]
    pub connections: Connections,
    /// How long after its time a request of a file may still find room in the queue; later ones are dropped,
    /// so that a slow target does not bend the schedule
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub max_late: Duration,
}

/// A thousand times production is more than a file can be read for.
const MAX_COPIES: i64 = 1_000;

/// When requests of a file are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than they were recorded.
    Times(f64),
    /// As fast as the target takes them.
    Max,
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        _ => Err("a number above 0, such as 1, 0.5 or 10, or `max`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("2.5"), Ok(Speed::Times(2.5)));
        assert_eq!(parse_speed("10x"), Ok(Speed::Times(10.0)));
        for bad in ["0", "-1", "nan", "inf", "fast"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }
}
