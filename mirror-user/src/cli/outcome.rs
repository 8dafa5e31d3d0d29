//! Arguments for the report of a replay, and for when it counts as failed.

use std::path::PathBuf;

use clap::Args;

use crate::sink::replay::FailOn;

/// How a replay is reported and judged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutcomeArgs {
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the summary with all latencies to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write one line of JSON per request: when it was sent, how long it took, how it ended
    #[arg(long, value_name = "FILE")]
    pub log_requests: Option<PathBuf>,
    /// Exit with code 1 if this holds at the end, such as `errors>1%`, `p99>200ms` or `dropped>0`; repeat for
    /// more
    #[arg(long, value_name = "BOUND")]
    pub fail_on: Vec<FailOn>,
}
