//! `mirror replay`, as typed.

use clap::Args;

use super::{OutcomeArgs, SourceArgs};
use crate::settings::{BodySettings, NoiseSettings, PaceSettings, RedactSettings, TargetSettings};

/// `mirror replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where packets come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The test endpoint: http://HOST:PORT, https://HOST:PORT or unix:/PATH; repeat for more, each with a queue and connections of its own. Those of --config otherwise
    #[arg(long, value_name = "URL", required_unless_present = "config", help_heading = "Target")]
    pub to: Vec<String>,
    /// How targets are reached, and what they get.
    #[command(flatten)]
    pub target: TargetSettings,
    /// When, how often, over which connections.
    #[command(flatten)]
    pub pace: PaceSettings,
    /// What becomes of requests that no customer sent.
    #[command(flatten)]
    pub noise: NoiseSettings,
    /// What is redacted.
    #[command(flatten)]
    pub redact: RedactSettings,
    /// How much is kept of requests that wait.
    #[command(flatten)]
    pub bodies: BodySettings,
    /// What is reported, and when the replay counts as failed.
    #[command(flatten)]
    pub outcome: OutcomeArgs,
}
