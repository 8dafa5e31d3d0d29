//! Arguments of `mirror run` and `mirror config`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConvertArgs, ReportArgs};
use crate::settings::{AdminSettings, DashboardSettings, MetricsSettings, StoreSettings};
use crate::units::parse_duration;

/// `mirror run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration, as YAML; `mirror config check FILE` validates it
    #[arg(long, value_name = "FILE", env = "MIRROR_CONFIG", hide_env_values = true)]
    pub config: PathBuf,
    /// Where the last valid configuration is kept, used if FILE is invalid at the next start
    /// [default: mirror.yaml in $STATE_DIRECTORY, if systemd sets it]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Metrics and health.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// What metrics tell apart.
    #[command(flatten)]
    pub metrics: MetricsSettings,
    /// The page that shows a comparison.
    #[command(flatten)]
    pub dashboard: DashboardSettings,
    /// Where compared pairs are kept.
    #[command(flatten)]
    pub store: StoreSettings,
    /// What a new file would do.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// How the result is reported.
    #[command(flatten)]
    pub report: ReportArgs,
}

/// `mirror run --plan`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Plan")]
pub struct PlanArgs {
    /// Send nothing; tell what this file would send that --config does not, and what differs between them
    #[arg(long, value_name = "NEW", requires = "requests")]
    pub plan: Option<PathBuf>,
    /// The capture files, or directories of them, whose requests --plan looks at
    #[arg(long, value_name = "FILE|DIR", requires = "plan", num_args = 1.., group = "requests")]
    pub against: Vec<PathBuf>,
    /// In place of captures, --plan looks at what the source of --config sees for this time, such as 2m
    #[arg(long, value_name = "TIME", requires = "plan", group = "requests", value_parser = parse_duration)]
    pub live: Option<Duration>,
}

/// `mirror config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The subcommands of `mirror config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report all problems of a file, with line and column; needs no privileges
    Check {
        /// The file, or `-` for standard input
        file: PathBuf,
    },
    /// Print the file as it was parsed, without defaults
    Show {
        /// The file, or `-` for standard input
        file: PathBuf,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Print every setting with its key, flag, value and default, and when a change takes effect
    Settings,
    /// Convert mirroring rules of Istio or the Gateway API into a configuration file
    #[command(after_help = "Examples:\n  \
        mirror config convert --from istio reviews.yaml > mirror.yaml\n  \
        kubectl get httproute,gateway,service -o yaml | mirror config convert --from gateway-api -\n\n\
        Every field that was dropped, approximated or refused is reported on standard error with its \
        line. If anything was refused, nothing is printed, because the result would capture more than \
        the original.")]
    Convert(ConvertArgs),
}
