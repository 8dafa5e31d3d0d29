//! Arguments of `mirror compare`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use mirror_compare::gate::Gate;

use super::SourceArgs;
use crate::settings::RedactSettings;
use crate::units::{Bytes, parse_duration};

/// `mirror compare`.
#[derive(Debug, Args)]
#[command(mut_arg("from", |from| from.required_unless_present_any(["report"])))]
pub struct CompareArgs {
    /// Where production's packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The candidate's recording: a capture file, or a directory of them; repeat for more. Requests are matched with production's by method, target and body; nothing is sent
    #[arg(long = "with", value_name = "FILE|DIR", required_unless_present_any = ["to", "report"], conflicts_with_all = ["to", "control"], help_heading = "Candidate")]
    pub with: Vec<String>,
    /// URL of the candidate, which gets a shadow of every request; --with compares without sending
    #[arg(long, value_name = "URL", help_heading = "Candidate")]
    pub to: Option<String>,
    /// URL of a second instance of production's version. What differs there, too, is noise
    #[arg(long, value_name = "URL", requires = "to", help_heading = "Candidate")]
    pub control: Option<String>,
    /// Compared pairs, redacted, that this run keeps or --report judges
    #[command(flatten)]
    pub store: StoreArgs,
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

/// Where compared pairs are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// Keep compared pairs in this file, redacted, to judge them again; a file of earlier runs gets more
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Judge what --store holds: by other rules, with another gate, of another time; nothing is captured or sent
    #[arg(long, requires = "store", conflicts_with_all = ["from", "with", "to", "control"])]
    pub report: bool,
    /// Size of the file [default: 1GiB]. When it is full, pairs of which there are many alike go first, and those that stay stand for them
    #[arg(long, value_name = "SIZE", requires = "store", conflicts_with = "report")]
    pub store_size: Option<Bytes>,
    /// Delete pairs so long after they were stored [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "store", conflicts_with = "report")]
    pub store_age: Option<Duration>,
    /// Judge pairs from this time on: when production responded (2026-01-02T03:04:05Z), to the minute
    #[arg(long, value_name = "TIME", requires = "report")]
    pub since: Option<Timestamp>,
    /// Judge pairs before this time, to the minute
    #[arg(long, value_name = "TIME", requires = "report")]
    pub until: Option<Timestamp>,
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
    /// Count as Diffy does, too, and answer its JSON API at the dashboard's address: /api/1/overview, /endpoints and so on
    #[arg(long, requires = "dashboard")]
    pub diffy_compatible: bool,
}
