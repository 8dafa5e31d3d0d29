//! The flags of `mirror inspect --collaborators`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use crate::rules::select::PortRange;

/// Which services the captured one calls.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Collaborators")]
pub struct CollaboratorArgs {
    /// List the services that the captured one calls: names, addresses, requests, methods, statuses, TLS or not
    #[arg(long, conflicts_with_all = ["summary", "no_bodies", "find_personal_data"])]
    pub collaborators: bool,
    /// The captured service's own address or network: what it calls from there is outbound; repeat for more
    #[arg(long, value_name = "IP|CIDR", value_parser = network, requires = "collaborators")]
    pub pod_address: Vec<IpNet>,
    /// Port at which the captured service is called itself: who is called there is the service, and what that calls at other ports is outbound; repeat for more
    #[arg(long, value_name = "PORT", requires = "collaborators", conflicts_with = "pod_address")]
    pub inbound_port: Vec<PortRange>,
    /// Address of a shadow target: warn if it calls what production calls; targets of --config that are given by address count, too; repeat for more
    #[arg(long, value_name = "IP|CIDR", value_parser = network, requires = "collaborators")]
    pub target_address: Vec<IpNet>,
    /// Write a configuration for `mirror stub --config` that answers in place of these services
    #[arg(long, value_name = "FILE", requires = "collaborators")]
    pub stub_config: Option<PathBuf>,
    /// Write a ConfigMap with that configuration and the hostAliases of a test pod, and a Service, for Kubernetes
    #[arg(long, value_name = "FILE", requires_all = ["collaborators", "stub_address"])]
    pub kubernetes: Option<PathBuf>,
    /// The address at which pods will reach `mirror stub`, for --kubernetes
    #[arg(long, value_name = "IP", requires = "kubernetes")]
    pub stub_address: Option<IpAddr>,
    /// Another name under which a service is called where the stub stands, such as test.prod.com=live.prod.com; repeat for more
    #[arg(long, value_name = "NAME=HOST", requires = "collaborators")]
    pub alias: Vec<String>,
}

/// An address or a network.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>());
    network.map_err(|_| "an address or a network, such as 10.0.0.5 or 10.0.0.0/24".to_owned())
}
