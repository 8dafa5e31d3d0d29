//! Where packets come from, as typed.

use std::path::PathBuf;

use clap::Args;

use crate::settings::SourceSettings;

/// Where packets come from, and the file that says what flags do not.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct SourceArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub settings: SourceSettings,
    /// A configuration file that says what flags do not: source, rules, redaction, targets; flags that are given win
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    pub config: Option<PathBuf>,
}
