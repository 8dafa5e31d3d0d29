//! `mirror config convert`, as typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::rules::select::PortRange;

/// `mirror config convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Whose file it is
    #[arg(long, value_enum, value_name = "SYSTEM")]
    pub from: Origin,
    /// The interface that the native file captures on
    #[arg(long, value_name = "NAME", default_value = "any")]
    pub interface: String,
    /// The TCP port that production listens on, as the server sees it (repeat it for more)
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<PortRange>,
    /// Convert the routes of this gateway, whose pods you capture at, before they rewrite requests
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub gateway: Option<String>,
    /// Send what is mirrored to a subset to this URL (repeat it for more; HOST/NAME=URL where hosts
    /// have subsets of one name)
    #[arg(long = "subset", value_name = "NAME=URL")]
    pub subsets: Vec<SubsetUrl>,
    /// The file, which may hold many documents, or `-`
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// VirtualService, with Gateway, ServiceEntry, DestinationRule and Service
    Istio,
    /// HTTPRoute, with Gateway, ReferenceGrant, BackendTLSPolicy and Service
    GatewayApi,
}

/// Where a subset of a service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsetUrl {
    /// Its service, by its full name or the first part of it; `None`: whichever has it.
    pub host: Option<String>,
    /// What DestinationRules call it.
    pub name: String,
    /// As `--to` has it.
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
