//! `mirror replay`, as typed.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::marks::{MarkArgs, NoiseArgs};
use super::values::{parse_bytes, parse_duration};
use super::{OutcomeArgs, PaceArgs, RedactArgs, SourceArgs, TargetArgs};

/// The longest request body that is replayed unless asked. A body of 4 GiB is to pass, and its chunk
/// framing counts; twice that leaves room, and still bounds what one request takes of the disk.
const MAX_BODY: &str = "8GiB";

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where requests go.
    #[command(flatten)]
    pub target: TargetArgs,
    /// When, how often, over which connections.
    #[command(flatten)]
    pub pace: PaceArgs,
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
    /// What else marks a request.
    #[command(flatten)]
    pub marks: MarkArgs,
    /// Whether requests that can be read in two ways are sent, byte for byte
    #[arg(long, value_enum, default_value_t = AmbiguousArg::Drop, help_heading = "Rules")]
    pub ambiguous: AmbiguousArg,
    /// What becomes of requests that no customer sent.
    #[command(flatten)]
    pub noise: NoiseArgs,
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
    /// Bytes of all request bodies that wait in temporary files, at most
    #[arg(long, value_name = "SIZE", default_value = "16GiB", value_parser = parse_bytes, help_heading = "Replay")]
    pub max_spool: u64,
    /// How long a connection to the target may take to be made
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration, help_heading = "Replay")]
    pub connect_timeout: Duration,
    /// How long the target may take none of a request, and how long it may take to begin its answer; it
    /// has three times that to end it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration, help_heading = "Replay")]
    pub answer_timeout: Duration,
    /// What is told, and when it counts as failed.
    #[command(flatten)]
    pub outcome: OutcomeArgs,
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
