//! Arguments of `mirror compare`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use mirror_compare::gate::Gate;

use super::SourceArgs;
use crate::settings::RedactSettings;

/// `mirror compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Where production's packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The candidate's recording: a capture file, or a directory of them; repeat for more. Requests are matched with production's by method, target and body; nothing is sent
    #[arg(long = "with", value_name = "FILE|DIR", required_unless_present = "to", conflicts_with_all = ["to", "control"], help_heading = "Candidate")]
    pub with: Vec<String>,
    /// URL of the candidate, which gets a shadow of every request; --with compares without sending
    #[arg(long, value_name = "URL", help_heading = "Candidate")]
    pub to: Option<String>,
    /// URL of a second instance of production's version. What differs there, too, is noise
    #[arg(long, value_name = "URL", requires = "to", help_heading = "Candidate")]
    pub control: Option<String>,
    /// Rules about endpoints, fields and noise, as YAML
    #[arg(long, value_name = "FILE", help_heading = "Judgement")]
    pub rules: Option<PathBuf>,
    /// Exit with code 1 unless all of these hold, and with code 3 if there is not enough data to say; replaces the gate of --rules
    #[arg(long, value_name = "CONDITION,…", help_heading = "Judgement")]
    pub gate: Option<Gate>,
    /// URL of the candidate in the curl commands of findings [default: that of --to, or http://localhost:8080]
    #[arg(long, value_name = "URL", help_heading = "Output")]
    pub curl_url: Option<String>,
    /// Print the report as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write one line of JSON for each pair that differs
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub findings: Option<PathBuf>,
    /// Write the report as JUnit XML, for CI systems
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub junit: Option<PathBuf>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// The dashboard.
    #[command(flatten)]
    pub dashboard: DashboardArgs,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
}

/// A page in a browser that shows a comparison.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dashboard")]
pub struct DashboardArgs {
    /// Show the comparison in a browser, at this address; port 0 takes a free one. After the end of recordings it stays until Ctrl-C
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub dashboard: Option<SocketAddr>,
    /// File with the token that a browser must show; needed where others than this host reach the address. A new one takes effect at once
    #[arg(long, value_name = "FILE", requires = "dashboard")]
    pub dashboard_token_file: Option<PathBuf>,
}
