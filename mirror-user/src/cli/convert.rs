//! Arguments of `mirror config convert`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::rules::select::PortRange;

/// `mirror config convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The system that the file is for
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub from: Origin,
    /// The interface that the converted file captures on
    #[arg(long, value_name = "NAME", default_value = "any")]
    pub interface: String,
    /// The TCP port that production listens on, as the server sees it; repeat for more
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<PortRange>,
    /// Convert for capturing at the pods of this gateway, where requests are seen before rewrites
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub gateway: Option<String>,
    /// URL to send requests to that are mirrored to this subset; HOST/NAME=URL if several hosts have a
    /// subset of that name; repeat for more
    #[arg(long = "subset", value_name = "NAME=URL")]
    pub subsets: Vec<SubsetUrl>,
    /// The file, which may hold several YAML documents, or `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// The system that a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// VirtualService, with Gateway, ServiceEntry, DestinationRule and Service
    Istio,
    /// HTTPRoute, with Gateway, ReferenceGrant, BackendTLSPolicy and Service
    GatewayApi,
}

/// The URL of a subset of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsetUrl {
    /// The host of its service, as full name or first label; `None`: any host with such a subset.
    pub host: Option<String>,
    /// Name of the subset in DestinationRules.
    pub name: String,
    /// URL, in the syntax of `--to`.
    pub url: String,
}

impl FromStr for SubsetUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("{text:?} names no subset; write NAME=http://HOST:PORT");
        let (name, url) = text.split_once('=').ok_or_else(wanted)?;
        let (host, name) = match name.split_once('/') {
            Some((host, name)) => (Some(host), name),
            None => (None, name),
        };
        let is_url = ["http://", "https://", "unix:/"].iter().any(|start| url.starts_with(start));
        if name.is_empty() || host == Some("") || !is_url {
            return Err(wanted());
        }
        Ok(Self { host: host.map(str::to_owned), name: name.to_owned(), url: url.to_owned() })
    }
}
