//! Arguments of `mirror replay`.

use clap::Args;

use super::{OutcomeArgs, SourceArgs};
use crate::settings::{
    AdminSettings, BodySettings, DashboardSettings, MetricsSettings, NoiseSettings, PaceSettings,
    RedactSettings, StoreSettings, TargetSettings,
};

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The test endpoint: http://HOST:PORT, https://HOST:PORT or unix:/PATH; or a stream that others replay from: nats://HOST:4222/STREAM; repeat for more, each with its own queue and connections [default: the targets of --config]
    #[arg(long, value_name = "URL", required_unless_present = "config", help_heading = "Target")]
    pub to: Vec<String>,
    /// How targets are reached, and what they receive.
    #[command(flatten)]
    pub target: TargetSettings,
    /// When and how often requests are sent, over which connections.
    #[command(flatten)]
    pub pace: PaceSettings,
    /// Requests that no customer sent.
    #[command(flatten)]
    pub noise: NoiseSettings,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
    /// Limits on waiting request bodies.
    #[command(flatten)]
    pub bodies: BodySettings,
    /// Metrics and health.
    #[command(flatten)]
    pub admin: AdminSettings,
    /// What metrics tell apart.
    #[command(flatten)]
    pub metrics: MetricsSettings,
    /// The page that shows a comparison, of a target of --config that is compared.
    #[command(flatten)]
    pub dashboard: DashboardSettings,
    /// Where its compared pairs are kept.
    #[command(flatten)]
    pub store: StoreSettings,
    /// The report, and when the replay counts as failed.
    #[command(flatten)]
    pub outcome: OutcomeArgs,
}
