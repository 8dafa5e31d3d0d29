//! Which connections are outbound: decided by addresses, ports and sides that somebody knows, never by how traffic looks.

use std::net::IpAddr;

use hashbrown::HashSet;
use ipnet::IpNet;

use crate::filter::Ports;
use crate::tcp::event::Peers;

/// Addresses that are found to be the service's own. Beyond, what is called from others is not listed.
const MAX_LOCAL: usize = 1_000;

/// What is known of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its addresses: what it calls from them at other addresses is outbound.
    Addresses(Vec<IpNet>),
    /// The ports at which it is called itself: whoever is called there is the service, and what that calls at other ports is
    /// outbound.
    Ports(Ports),
    /// Only its calls are captured.
    Side,
}

/// What a connection is to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It calls.
    Outbound,
    /// It calls, if this address turns out to be its own.
    OutboundIf(IpAddr),
    /// It is called, or has no part in it.
    Other,
}

/// Decides, and remembers which addresses are the service's own.
#[derive(Debug)]
pub(super) struct Outbound {
    known: Known,
    /// Addresses of shadow targets, which are never the service's own.
    targets: Vec<IpNet>,
    local: HashSet<IpAddr>,
}

impl Outbound {
    pub(super) fn new(known: Known, targets: Vec<IpNet>) -> Self {
        Self { known, targets, local: HashSet::new() }
    }

    /// What this connection is.
    pub(super) fn way(&mut self, peers: &Peers) -> Way {
        let (client, server) = (peers.client.ip(), peers.server);
        match &self.known {
            _ if self.is_target(client) => Way::Other,
            Known::Side => Way::Outbound,
            Known::Addresses(own) => match (is_of(own, client), is_of(own, server.ip())) {
                (true, false) => Way::Outbound,
                _ => Way::Other,
            },
            Known::Ports(ports) if ports.contains(server.port()) => {
                if !self.is_target(server.ip()) && self.local.len() < MAX_LOCAL {
                    self.local.insert(server.ip());
                }
                Way::Other
            }
            Known::Ports(_) => Way::OutboundIf(client),
        }
    }

    /// True for the address of a shadow target.
    pub(super) fn is_target(&self, ip: IpAddr) -> bool {
        is_of(&self.targets, ip)
    }

    /// True if this address is the service's own, as far as it was seen by now.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        self.local.contains(&ip)
    }

    /// The networks of the service, in order; none where its side alone is known.
    pub(super) fn networks(&self) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> = match &self.known {
            Known::Addresses(own) => own.clone(),
            Known::Ports(_) => self.local.iter().copied().map(IpNet::from).collect(),
            Known::Side => Vec::new(),
        };
        networks.sort_unstable();
        networks
    }
}

fn is_of(networks: &[IpNet], ip: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::InterfaceId;

    fn way(outbound: &mut Outbound, client: &str, server: &str) -> Way {
        let [client, server] = [client, server].map(|end| end.parse().unwrap());
        outbound.way(&Peers { client, server, interface: InterfaceId(0) })
    }

    #[test]
    fn the_pod_calls_others_and_not_itself() {
        let pod = vec!["10.0.0.5/32".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
        let mut outbound = Outbound::new(Known::Addresses(pod.clone()), Vec::new());
        assert_eq!(way(&mut outbound, "10.0.0.5:40000", "10.0.0.9:8080"), Way::Outbound);
        assert_eq!(way(&mut outbound, "10.0.0.7:40000", "10.0.0.5:8080"), Way::Other);
        assert_eq!(way(&mut outbound, "127.0.0.1:40000", "127.0.0.1:15001"), Way::Other);
        assert_eq!(outbound.networks(), pod);
    }

    #[test]
    fn who_is_called_at_an_inbound_port_is_the_service() {
        let targets = vec!["10.0.0.66/32".parse().unwrap()];
        let mut outbound = Outbound::new(Known::Ports(Ports::new(vec![8080])), targets);
        let client = "10.0.0.5".parse().unwrap();
        assert_eq!(way(&mut outbound, "10.0.0.5:40000", "10.0.0.9:9000"), Way::OutboundIf(client));
        assert!(!outbound.is_local(client));
        assert_eq!(way(&mut outbound, "10.0.0.7:40000", "10.0.0.5:8080"), Way::Other);
        assert!(outbound.is_local(client));
        // The shadow listens at the same port, and is another service.
        assert_eq!(way(&mut outbound, "10.0.0.7:40000", "10.0.0.66:8080"), Way::Other);
        assert_eq!(way(&mut outbound, "10.0.0.66:40000", "10.0.0.9:9000"), Way::Other);
        assert_eq!(outbound.networks(), ["10.0.0.5/32".parse().unwrap()]);
    }
}
