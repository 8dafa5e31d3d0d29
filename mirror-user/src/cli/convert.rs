//! `mirror config`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `mirror config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The verbs of `mirror config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Turn another system's mirroring into a native file
    #[command(after_help = "Examples:\n  \
        mirror config convert --from istio reviews.yaml > mirror.yaml\n  \
        kubectl get httproute,service -o yaml | mirror config convert --from gateway-api -\n\n\
        Every field that was dropped, approximated or refused is told on standard error with its \
        line. Nothing is printed when something was refused: the result would capture more than \
        the original.")]
    Convert(ConvertArgs),
}

/// `mirror config convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Whose file it is
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub from: OriginArg,
    /// The file, which may hold many documents, or `-`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OriginArg {
    /// VirtualService, with ServiceEntry and DestinationRule
    Istio,
    /// HTTPRoute
    GatewayApi,
}
