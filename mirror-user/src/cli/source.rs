//! Arguments for where packets come from.

use std::path::PathBuf;

use clap::Args;

use crate::settings::SourceSettings;

/// Where packets come from, and an optional configuration file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct SourceArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub settings: SourceSettings,
    /// Configuration file for source, rules, redaction and targets; flags override it
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub config: Option<PathBuf>,
}
