//! Arguments for logging, common to all commands.

use clap::Args;

use crate::logging::{Filter, Format};

/// How the log is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub struct LogArgs {
    /// Log format on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: Format,
    /// Which events are logged: off, error, warn, info, debug, trace, or levels of modules such as warn,guard=info [default: info, or MIRROR_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<Filter>,
}
