//! Which VirtualServices apply at the capture point: those of the mesh at the server's pods, those of a
//! gateway at its pods, with the hosts and ports of the Gateway in the file.

use super::super::View;
use super::super::finding::Findings;
use super::super::hosts::intersection;
use super::super::service::{namespace, number, texts};
use crate::rules::select::PortRange;
use crate::yaml::Node;

/// The capture point that routes must be bound to.
pub(super) struct Binding {
    /// The gateway's name, with its namespace if given; `None`: the mesh.
    gateway: Option<String>,
    /// Its HTTP servers; `None` if it is not in the file.
    servers: Option<Vec<Server>>,
    given_ports: bool,
}

/// A server of the Gateway.
#[derive(Debug)]
struct Server {
    /// Pairs of namespace and host of the accepted routes.
    hosts: Vec<(String, String)>,
    /// The port on which its pods listen.
    port: PortRange,
}

impl Binding {
    pub(super) fn new(documents: &[Node], view: View<'_>, findings: &mut Findings) -> Self {
        let View::Gateway { name, given_ports } = view else {
            return Self { gateway: None, servers: None, given_ports: true };
        };
        let mut found = documents.iter().filter(|one| is_gateway(one) && is_called(one, name));
        let gateway = found.next();
        if let Some(second) = found.next() {
            let why = format!("several Gateways are named {name}; use NAMESPACE/NAME");
            findings.refused(second.at.line, "kind", &why);
        }
        if gateway.is_none() {
            let why = format!(
                "Gateway {name} is not in the file, so its hosts and ports are not known: the routes' \
                 own hosts are used, on every captured port"
            );
            findings.approximated(1, "file", &why);
        }
        let servers = gateway.map(|gateway| servers(gateway, documents, given_ports, findings));
        Self { gateway: Some(name.to_owned()), servers, given_ports }
    }

    /// True if a list of gateways contains the capture point.
    pub(super) fn is_bound(
        &self,
        node: &Node,
        namespace: &str,
        field: &str,
        findings: &mut Findings,
    ) -> bool {
        let names = texts(node);
        let Some(gateway) = &self.gateway else {
            if names.contains(&"mesh") {
                if names.len() > 1 {
                    let why = "requests through the other gateways are captured here as well";
                    findings.approximated(node.at.line, field, why);
                }
                return true;
            }
            let example = names.first().copied().unwrap_or("NAME");
            let why = format!(
                "its routes belong to a gateway, and requests match them only at its pods; capture \
                 there with --gateway {example}"
            );
            findings.refused(node.at.line, field, &why);
            return false;
        };
        let is_it = |name: &&str| match name.split_once('/') {
            Some((of, name)) => *gateway == name || *gateway == format!("{of}/{name}"),
            None => *gateway == *name || *gateway == format!("{namespace}/{name}"),
        };
        let bound = names.iter().any(|name| *name != "mesh" && is_it(name));
        if !bound {
            let why = format!("not a route of gateway {gateway}");
            findings.dropped(node.at.line, field, &why);
        }
        bound
    }

    /// True if the routes of the mesh apply.
    pub(super) const fn is_mesh(&self) -> bool {
        self.gateway.is_none()
    }

    /// True if routes without a gateway, those of the mesh, apply.
    pub(super) fn has_mesh(&self, line: usize, findings: &mut Findings) -> bool {
        if let Some(gateway) = &self.gateway {
            let why = format!(
                "missing: these are routes of the mesh, which gateway {gateway} does not use"
            );
            findings.dropped(line, "gateways", &why);
        }
        self.gateway.is_none()
    }

    /// The hosts of a VirtualService that the Gateway accepts, with the ports of each; no ports: all
    /// captured ones. `None` if no host is left.
    pub(super) fn hosts(
        &self,
        hosts: Vec<String>,
        namespace: &str,
    ) -> Option<Vec<(String, Vec<PortRange>)>> {
        let Some(servers) = &self.servers else {
            return Some(hosts.into_iter().map(|host| (host, Vec::new())).collect());
        };
        let mut accepted: Vec<(String, Vec<PortRange>)> = Vec::new();
        for server in servers {
            let own = server.hosts.iter().filter(|(of, _)| of == "*" || of == namespace);
            for (_, pattern) in own {
                for host in hosts.iter().filter_map(|host| intersection(pattern, host)) {
                    match accepted.iter_mut().find(|(known, _)| *known == host) {
                        Some((_, ports)) if ports.contains(&server.port) => {}
                        Some((_, ports)) => ports.push(server.port),
                        None => accepted.push((host, vec![server.port])),
                    }
                }
            }
        }
        let ports = distinct(servers);
        if ports.len() > 1 && self.given_ports {
            // It is not known which of them the given ports are.
            accepted.retain(|(_, own)| own.len() == ports.len());
        }
        if ports.len() <= 1 || self.given_ports {
            accepted.iter_mut().for_each(|(_, ports)| ports.clear());
        }
        (!accepted.is_empty()).then_some(accepted)
    }

    /// The ports on which the gateway's pods listen.
    pub(super) fn into_ports(self) -> Vec<PortRange> {
        distinct(&self.servers.unwrap_or_default())
    }
}

fn distinct(servers: &[Server]) -> Vec<PortRange> {
    let mut ports: Vec<PortRange> = Vec::new();
    for server in servers {
        if !ports.contains(&server.port) {
            ports.push(server.port);
        }
    }
    ports
}

/// The Gateway API has a kind of the same name.
fn is_gateway(document: &Node) -> bool {
    let text = |name| document.field(name).and_then(Node::text).unwrap_or_default();
    text("kind") == "Gateway" && !text("apiVersion").starts_with("gateway.networking.k8s.io")
}

/// True for NAME and for NAMESPACE/NAME.
fn is_called(document: &Node, wanted: &str) -> bool {
    let name = document.at(&["metadata", "name"]).and_then(Node::text).unwrap_or_default();
    let of = document.at(&["metadata", "namespace"]).and_then(Node::text);
    match wanted.split_once('/') {
        Some((wanted, wanted_name)) => {
            wanted_name == name && of.is_none_or(|namespace| namespace == wanted)
        }
        None => wanted == name,
    }
}

/// The servers whose ports carry plain HTTP.
fn servers(
    gateway: &Node,
    documents: &[Node],
    given_ports: bool,
    findings: &mut Findings,
) -> Vec<Server> {
    let nodes = gateway.at(&["spec", "servers"]).map(Node::items).unwrap_or_default();
    let mut servers = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("servers[{index}]");
        let line = node.at.line;
        let protocol = node.at(&["port", "protocol"]).and_then(Node::text).unwrap_or_default();
        if !matches!(protocol, "HTTP" | "HTTP2" | "GRPC" | "GRPC-Web") {
            let why = format!("{protocol}: its traffic is not plain HTTP on the gateway's wire");
            findings.approximated(line, &path, &why);
            continue;
        }
        if node.at(&["tls", "httpsRedirect"]).and_then(Node::text) == Some("true") {
            let why = "it redirects all requests (httpsRedirect), so nothing is mirrored";
            findings.dropped(line, &path, why);
            continue;
        }
        let Some(port) = node.field("port").and_then(number) else {
            findings.refused(line, &path, "a port number is required");
            continue;
        };
        let at = target_port(gateway, port, documents);
        if at.is_none() && !given_ports {
            let why = format!(
                "port {port} is the port of the gateway's Service; if its pods listen on another one \
                 (targetPort), give it with --port"
            );
            findings.approximated(line, &path, &why);
        }
        let port = at.unwrap_or(port);
        let own = namespace(gateway);
        let hosts = node.field("hosts").map(texts).unwrap_or_default();
        let hosts = hosts.into_iter().map(|host| match host.split_once('/') {
            Some((".", host)) => (own.to_owned(), host.to_owned()),
            Some((of, host)) => (of.to_owned(), host.to_owned()),
            None => ("*".to_owned(), host.to_owned()),
        });
        servers
            .push(Server { hosts: hosts.collect(), port: PortRange { first: port, last: port } });
    }
    servers
}

/// The port of the gateway's pods for this port of their Service, if the Service is in the file.
fn target_port(gateway: &Node, port: u16, documents: &[Node]) -> Option<u16> {
    let labels = gateway.at(&["spec", "selector"])?.fields();
    let services = documents.iter().filter(|one| {
        let kind = one.field("kind").and_then(Node::text);
        let own = one.at(&["spec", "selector"]);
        let has = |key: &str, value: &Node| {
            own.and_then(|own| own.field(key)).and_then(Node::text) == value.text()
        };
        kind == Some("Service")
            && !labels.is_empty()
            && labels.iter().all(|(key, value)| has(&key.text, value))
    });
    let mut ports = services.filter_map(|one| one.at(&["spec", "ports"])).flat_map(Node::items);
    let found = ports.find(|one| number(one) == Some(port))?;
    match found.field("targetPort").and_then(Node::text) {
        Some(target) => target.parse().ok(),
        None => Some(port),
    }
}
