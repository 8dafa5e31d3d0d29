//! Arguments of `mirror compare`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use mirror_compare::gate::Gate;

use super::SourceArgs;
use crate::settings::{
    AdminSettings, CompareSettings, DashboardSettings, RedactSettings, StoreSettings,
};

/// `mirror compare`.
#[derive(Debug, Args)]
#[command(mut_arg("from", |from| from.required_unless_present_any(["report"])))]
pub struct CompareArgs {
    /// Where production's packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The candidate's recording: a capture file, or a directory of them; repeat for more. Requests are matched with production's by method, target and body; nothing is sent
    #[arg(long = "with", value_name = "FILE|DIR", required_unless_present_any = ["to", "report"], conflicts_with_all = ["to", "control", "double-send"], help_heading = "Candidate")]
    pub with: Vec<String>,
    /// URL of the candidate, which gets a shadow of every request; --with compares without sending
    #[arg(long, value_name = "URL", help_heading = "Candidate")]
    pub to: Option<String>,
    /// Compared pairs, redacted, that this run keeps or --report judges.
    #[command(flatten)]
    pub store: StoreArgs,
    /// How they are compared.
    #[command(flatten)]
    pub how: CompareSettings,
    /// Exit with code 1 unless all of these hold, and with code 3 if there is not enough data to say; replaces the gate of --rules
    #[arg(long, value_name = "CONDITION,…", help_heading = "Judgement")]
    pub gate: Option<Gate>,
    /// Print the report as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write the report as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub junit: Option<PathBuf>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// The dashboard.
    #[command(flatten)]
    pub dashboard: DashboardSettings,
    /// Metrics and health.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
}

/// Where compared pairs are kept.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// The file.
    #[command(flatten)]
    pub kept: StoreSettings,
    /// Judge what --store holds: by other rules, with another gate, of another time; nothing is captured or sent
    #[arg(long, requires = "store", conflicts_with_all = ["from", "with", "to", "control", "double-send", "store-size", "store-age"])]
    pub report: bool,
    /// Judge pairs from this time on: when production responded (2026-01-02T03:04:05Z), to the minute
    #[arg(long, value_name = "TIME", requires = "report")]
    pub since: Option<Timestamp>,
    /// Judge pairs before this time, to the minute
    #[arg(long, value_name = "TIME", requires = "report")]
    pub until: Option<Timestamp>,
}
