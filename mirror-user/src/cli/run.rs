//! `mirror run` and `mirror config`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ConvertArgs, ReportArgs};

/// `mirror run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to do, as YAML; `mirror config check FILE` says what is wrong with it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the last valid configuration is kept, for a start whose FILE is not valid
    /// [default: mirror.yaml in $STATE_DIRECTORY, where systemd sets that]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// How the result is reported.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// `mirror config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `mirror config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with a file, with line and column; needs no privileges
    Check {
        /// The file, or `-` for standard input
        file: PathBuf,
    },
    /// Print the file as it was understood, every default left out
    Show {
        /// The file, or `-` for standard input
        file: PathBuf,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Print every setting with its key, flag, value and default, and when a change takes effect
    Settings,
    /// Turn another system's mirroring into a native file
    #[command(after_help = "Examples:\n  \
        mirror config convert --from istio reviews.yaml > mirror.yaml\n  \
        kubectl get httproute,gateway,service -o yaml | mirror config convert --from gateway-api -\n\n\
        Every field that was dropped, approximated or refused is reported on standard error with its \
        line. Nothing is printed when something was refused: the result would capture more than \
        the original.")]
    Convert(ConvertArgs),
}
