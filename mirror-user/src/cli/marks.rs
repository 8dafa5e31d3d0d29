//! Flags for how shadow requests are marked, and for requests that no customer sent.

use clap::{Args, ValueEnum};

use crate::rules::tag::HostPolicy;

/// What marks a shadow request besides `X-Shadow-Request`, which it always bears, so that it is
/// never shadowed again.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Marking")]
pub struct MarkArgs {
    /// The Host that the target sees: as recorded, with `-shadow` before its port, the target's own, or NAME [default: suffix]
    #[arg(long, value_name = "keep|suffix|target|NAME", value_parser = HostPolicy::parse)]
    pub host: Option<HostPolicy>,
    /// Append the suffix to IP addresses, too
    #[arg(long)]
    pub suffix_addresses: bool,
    /// What the target is asked to do with a request (rollback adds `X-Shadow-Mode: rollback`) [default: replay]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeArg>,
    /// The W3C trace that the shadow belongs to [default: new]
    #[arg(long, value_enum, value_name = "TRACE")]
    pub trace: Option<TraceArg>,
    /// Whether `baggage: synthetic_request=true` is added [default: add]
    #[arg(long, value_enum, value_name = "BAGGAGE")]
    pub baggage: Option<BaggageArg>,
    /// Whether requests that can be read in two ways are sent, byte for byte [default: drop]
    #[arg(long, value_enum, value_name = "AMBIGUOUS", help_heading = "Rules")]
    pub ambiguous: Option<AmbiguousArg>,
}

impl MarkArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            suffix_addresses: self.suffix_addresses || other.suffix_addresses,
            mode: self.mode.or(other.mode),
            trace: self.trace.or(other.trace),
            baggage: self.baggage.or(other.baggage),
            ambiguous: self.ambiguous.or(other.ambiguous),
        }
    }
}

/// What a shadow request asks of the services that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Do the work, and keep what it changes
    Replay,
    /// Do the work, then roll it back
    Rollback,
}

/// What becomes of requests that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AmbiguousArg {
    /// Count them
    Drop,
    /// Send them byte for byte
    Send,
}

/// What becomes of `traceparent` and `tracestate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceArg {
    /// A trace of its own; the captured one is named in `X-Shadow-Traceparent`
    New,
    /// Production's trace, byte for byte
    Keep,
    /// None
    Off,
}

/// What becomes of `baggage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BaggageArg {
    /// Our member is added
    Add,
    /// As captured
    Keep,
}

/// What becomes of requests that no customer sent.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct NoiseArgs {
    /// Whether health probes of kubelets, load balancers and proxies are sent [default: drop]
    #[arg(long, value_enum, value_name = "PROBES", help_heading = "Rules")]
    pub probes: Option<NoiseArg>,
    /// Whether a proxy's further attempts at a request that was let out are sent [default: drop]
    #[arg(long, value_enum, value_name = "RETRIES", help_heading = "Rules")]
    pub retries: Option<NoiseArg>,
}

impl NoiseArgs {
    /// These, and what they do not say as `other` says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { probes: self.probes.or(other.probes), retries: self.retries.or(other.retries) }
    }
}

/// What becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NoiseArg {
    /// Count them
    Drop,
    /// Send them
    Keep,
}
