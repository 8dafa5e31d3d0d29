//! What is reported of a replay, and when it counts as failed, as typed.

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
    /// Write the summary with all times to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a line of JSON for each request: when it was sent, how long it took, how it ended
    #[arg(long, value_name = "FILE")]
    pub log_requests: Option<PathBuf>,
    /// Exit with 1 when this holds at the end, such as `errors>1%`, `p99>200ms` or `dropped>0`; repeat for
    /// more
    #[arg(long, value_name = "BOUND")]
    pub fail_on: Vec<FailOn>,
}
