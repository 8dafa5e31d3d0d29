//! Flags for how shadow requests are marked, and for requests that no customer sent.

use clap::{Args, ValueEnum};

/// What marks a shadow request besides its host, its mode and `X-Shadow-Request`, which a shadow
/// always bears, so that it is never shadowed again.
#[derive(Debug, Args)]
pub struct MarkArgs {
    /// The W3C trace that the shadow belongs to
    #[arg(
        long,
        value_enum,
        value_name = "TRACE",
        default_value_t = TraceArg::New,
        help_heading = "Marking"
    )]
    pub trace: TraceArg,
    /// Whether `baggage: synthetic_request=true` is added
    #[arg(
        long,
        value_enum,
        value_name = "BAGGAGE",
        default_value_t = BaggageArg::Add,
        help_heading = "Marking"
    )]
    pub baggage: BaggageArg,
}

/// What becomes of `traceparent` and `tracestate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TraceArg {
    /// A trace of its own; the captured one is named in `X-Shadow-Traceparent`
    #[default]
    New,
    /// Production's trace, byte for byte
    Keep,
    /// None
    Off,
}

/// What becomes of `baggage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BaggageArg {
    /// Our member is added
    #[default]
    Add,
    /// As captured
    Keep,
}

/// What becomes of requests that no customer sent.
#[derive(Debug, Args)]
pub struct NoiseArgs {
    /// Whether health probes of kubelets, load balancers and proxies are sent [default: drop]
    #[arg(long, value_enum, value_name = "PROBES", help_heading = "Rules")]
    pub probes: Option<NoiseArg>,
    /// Whether a proxy's further attempts at a request that was let out are sent [default: drop]
    #[arg(long, value_enum, value_name = "RETRIES", help_heading = "Rules")]
    pub retries: Option<NoiseArg>,
}

/// What becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NoiseArg {
    /// Count them
    #[default]
    Drop,
    /// Send them
    Keep,
}
