//! `mirror replay`, as typed.

use clap::Args;

use super::marks::NoiseArgs;
use super::{OutcomeArgs, PaceArgs, RedactArgs, SourceArgs, TargetArgs};
use crate::units::parse_bytes;

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The test endpoint: http://HOST:PORT, https://HOST:PORT or unix:/PATH; repeat for more, each with a queue and connections of its own. Those of --config otherwise
    #[arg(long, value_name = "URL", required_unless_present = "config", help_heading = "Target")]
    pub to: Vec<String>,
    /// How targets are reached, and what they get.
    #[command(flatten)]
    pub target: TargetArgs,
    /// When, how often, over which connections.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// What becomes of requests that no customer sent.
    #[command(flatten)]
    pub noise: NoiseArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactArgs,
    /// How much is kept of what waits.
    #[command(flatten)]
    pub room: RoomArgs,
    /// What is told, and when it counts as failed.
    #[command(flatten)]
    pub outcome: OutcomeArgs,
}

/// How much is kept of requests that wait.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Replay")]
pub struct RoomArgs {
    /// Bytes of one request body, at most; longer than 1 MiB it waits in an unlinked temporary file [default: 8GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub max_body: Option<u64>,
    /// Bytes of all request bodies that wait in temporary files, at most [default: 16GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub max_spool: Option<u64>,
}

impl RoomArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            max_body: self.max_body.or(other.max_body),
            max_spool: self.max_spool.or(other.max_spool),
        }
    }
}
