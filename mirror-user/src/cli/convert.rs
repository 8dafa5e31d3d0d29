//! `mirror config convert`, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::rules::select::PortRange;

/// `mirror config convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Whose file it is
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub from: OriginArg,
    /// The interface that the native file captures on
    #[arg(long, value_name = "NAME", default_value = "any")]
    pub interface: String,
    /// The TCP port that production listens on, as the server sees it (repeat it for more)
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<PortRange>,
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
