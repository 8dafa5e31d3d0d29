//! `mirror replay`, as typed.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{parse_bytes, parse_duration};
use super::{RedactArgs, ReportArgs, SourceArgs};

/// The longest request body that is replayed unless asked. A body of 4 GiB is to pass, and its chunk
/// framing counts; twice that leaves room, and still bounds what one request takes of the disk.
const MAX_BODY: &str = "8GiB";

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The test endpoint
    #[arg(long, value_name = "URL", help_heading = "Replay")]
    pub to: String,
    /// When requests of a file are sent: as recorded (1), N times faster, or as fast as the target
    /// takes them [default: 1]
    #[arg(long, value_name = "N|max", value_parser = parse_speed, help_heading = "Replay")]
    pub speed: Option<Speed>,
    /// The Host that the target sees: as recorded, with `-shadow` before its port, the target's own, or NAME
    #[arg(
        long,
        value_name = "keep|suffix|target|NAME",
        default_value = "suffix",
        help_heading = "Marking"
    )]
    pub host: String,
    /// Append the suffix to IP addresses, too
    #[arg(long, help_heading = "Marking")]
    pub suffix_addresses: bool,
    /// Ask the target to roll back what the request changes (adds `X-Shadow-Mode: rollback`)
    #[arg(long, value_enum, value_name = "MODE", help_heading = "Marking")]
    pub mode: Option<ModeArg>,
    /// Whether requests that can be read in two ways are sent, byte for byte
    #[arg(long, value_enum, default_value_t = AmbiguousArg::Drop, help_heading = "Rules")]
    pub ambiguous: AmbiguousArg,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// Connections to the target at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Replay")]
    pub max_connections: usize,
    /// Bytes of requests that may wait for the target, at most
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = parse_bytes, help_heading = "Replay")]
    pub max_queue: u64,
    /// Bytes of one request body, at most; longer than 1 MiB it waits in an unlinked temporary file
    #[arg(long, value_name = "SIZE", default_value = MAX_BODY, value_parser = parse_bytes, help_heading = "Replay")]
    pub max_body: u64,
    /// How long a connection to the target may take to be made
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration, help_heading = "Replay")]
    pub connect_timeout: Duration,
    /// How long the target may take to begin its answer, and how long it may pause inside it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, help_heading = "Replay")]
    pub answer_timeout: Duration,
    /// How the end is told.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// What a shadow request asks of the services that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Do the work, then roll it back
    Rollback,
}

/// What becomes of requests that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AmbiguousArg {
    /// Count them
    Drop,
    /// Send them byte for byte
    Send,
}

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
