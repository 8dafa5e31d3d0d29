//! `mirror fleet`.

use clap::{Args, Subcommand};

use super::ReportArgs;
use crate::settings::StreamSourceSettings;

/// `mirror fleet`.
#[derive(Debug, Args)]
pub struct FleetArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FleetCommand,
}

/// The subcommands of `mirror fleet`.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Join what publishers counted with what became of it in a group, run by run
    #[command(after_help = "Examples:\n  \
        mirror fleet report --from nats://nats:4222/prod\n  \
        mirror fleet report --from nats://nats:4222/prod --group compare --json\n\n\
        seen = published + dropped, and published = delivered + not delivered + parked + pending.")]
    Report(FleetReportArgs),
}

/// `mirror fleet report`.
#[derive(Debug, Args)]
pub struct FleetReportArgs {
    /// The stream: nats://HOST:4222/STREAM
    #[arg(long, value_name = "URL", help_heading = "Source")]
    pub from: String,
    /// How the broker is reached, and which group is asked about.
    #[command(flatten)]
    pub stream: StreamSourceSettings,
    /// How the result is reported.
    #[command(flatten)]
    pub report: ReportArgs,
}
