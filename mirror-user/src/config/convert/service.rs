//! Where a service of the mesh is reached: from the Kubernetes Services, ServiceEntries and
//! DestinationRules that stand in the same file.

use std::net::Ipv6Addr;

use super::finding::Findings;
use crate::config::yaml::Node;

/// Documents that say how services are reached.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    entries: Vec<&'a Node>,
    rules: Vec<Named<'a>>,
    services: Vec<Named<'a>>,
}

/// A document and the full name of the service that it speaks of.
#[derive(Debug)]
struct Named<'a> {
    host: String,
    document: &'a Node,
}

/// A service, as a route names it.
pub(super) struct Wanted<'a> {
    /// The full name.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) subset: Option<&'a str>,
    /// Where it is named.
    pub(super) line: usize,
    pub(super) field: &'a str,
}

impl<'a> Services<'a> {
    pub(super) fn new(documents: &'a [Node]) -> Self {
        let mut services = Self::default();
        for document in documents {
            let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
            let api = document.field("apiVersion").and_then(Node::text).unwrap_or_default();
            let namespace = namespace(document);
            match kind {
                "ServiceEntry" => services.entries.push(document),
                "DestinationRule" => {
                    if let Some(host) = document.at(&["spec", "host"]).and_then(Node::text) {
                        let host = full_name(host, namespace);
                        services.rules.push(Named { host, document });
                    }
                }
                "Service" if api == "v1" => {
                    if let Some(name) = document.at(&["metadata", "name"]).and_then(Node::text) {
                        let host = full_name(name, namespace);
                        services.services.push(Named { host, document });
                    }
                }
                _ => {}
            }
        }
        services
    }

    /// The URL of a service, if mirror can send to it.
    pub(super) fn url(&self, wanted: &Wanted<'_>, findings: &mut Findings) -> Option<String> {
        let Wanted { host, line, field, .. } = *wanted;
        if !is_plain(host) {
            findings.refused(line, field, "not the name of one host; give a URL by hand");
            return None;
        }
        if let Some(subset) = wanted.subset {
            let why = format!(
                "subset {subset}: labels cannot be followed, so the whole service is the target; \
                 give the URL of one that selects them"
            );
            findings.approximated(line, field, &why);
        }
        if !self.takes_plain_http(wanted, findings) {
            return None;
        }
        match self.entries.iter().find(|entry| names(entry, host)) {
            Some(entry) => self.external(entry, wanted, findings),
            None => Some(self.internal(wanted, findings)),
        }
    }

    fn takes_plain_http(&self, wanted: &Wanted<'_>, findings: &mut Findings) -> bool {
        let rules = self.rules.iter().filter(|rule| rule.host == wanted.host);
        let mut modes = rules.flat_map(|rule| {
            let policy = rule.document.at(&["spec", "trafficPolicy"]);
            let of = |node: &'a Node| node.at(&["tls", "mode"]).and_then(Node::text);
            let ports = policy.and_then(|policy| policy.field("portLevelSettings"));
            let ports = ports.map(Node::items).unwrap_or_default();
            policy.into_iter().chain(ports).filter_map(of)
        });
        if modes.any(|mode| !matches!(mode, "DISABLE")) {
            let why = "its DestinationRule asks for TLS, whose certificates the mesh would give; \
                       write an https:// target by hand";
            findings.refused(wanted.line, wanted.field, why);
            return false;
        }
        true
    }

    /// The URL of what a ServiceEntry describes.
    fn external(
        &self,
        entry: &Node,
        wanted: &Wanted<'_>,
        findings: &mut Findings,
    ) -> Option<String> {
        let Wanted { host, line, field, .. } = *wanted;
        let ports = entry.at(&["spec", "ports"]).map(Node::items).unwrap_or_default();
        let is_wanted = |port: &&Node| wanted.port.is_none() || number(port) == wanted.port;
        let Some(port) = ports.iter().find(is_wanted) else {
            findings.refused(line, field, "its ServiceEntry has no such port");
            return None;
        };
        if wanted.port.is_none() && ports.len() > 1 {
            findings.refused(line, field, "its ServiceEntry has several ports; say which");
            return None;
        }
        let protocol = port.field("protocol").and_then(Node::text).unwrap_or("TCP");
        if matches!(protocol.to_ascii_uppercase().as_str(), "HTTPS" | "TLS" | "GRPC" | "HTTP2") {
            let why = format!(
                "its ServiceEntry says {protocol}, and mirror speaks plain HTTP/1.1 to targets; put \
                 a proxy before it and give that one's URL"
            );
            findings.refused(line, field, &why);
            return None;
        }
        let endpoints = entry.at(&["spec", "endpoints"]).map(Node::items).unwrap_or_default();
        let target_port =
            port.field("targetPort").and_then(Node::text).and_then(|n| n.parse().ok());
        match endpoints {
            [] => Some(url(host, target_port.or(number(port)))),
            [endpoint] => {
                let name = port.field("name").and_then(Node::text).unwrap_or_default();
                let own = endpoint.at(&["ports", name]).and_then(Node::text);
                let own = own.and_then(|n| n.parse().ok());
                let address = endpoint.field("address").and_then(Node::text).unwrap_or(host);
                if !is_plain(address) && address.parse::<Ipv6Addr>().is_err() {
                    findings.refused(line, field, "its ServiceEntry's endpoint is no host");
                    return None;
                }
                Some(url(address, own.or(target_port).or(number(port))))
            }
            _ => {
                let why = "its ServiceEntry has several endpoints; give the URL of one";
                findings.refused(line, field, why);
                None
            }
        }
    }

    /// The URL of a service of the cluster, or of a host that nothing in the file speaks of.
    fn internal(&self, wanted: &Wanted<'_>, findings: &mut Findings) -> String {
        let Wanted { host, line, field, .. } = *wanted;
        let service = self.services.iter().find(|service| service.host == host);
        let ports = service.and_then(|service| service.document.at(&["spec", "ports"]));
        let only = match ports.map(Node::items) {
            Some([port]) => number(port),
            _ => None,
        };
        let port = wanted.port.or(only).unwrap_or_else(|| {
            findings.approximated(
                line,
                field,
                "no port is named and no Service in the file has one alone: 80",
            );
            80
        });
        url(host, Some(port))
    }
}

fn url(host: &str, port: Option<u16>) -> String {
    let port = port.unwrap_or(80);
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("http://[{address}]:{port}"),
        Err(_) => format!("http://{host}:{port}"),
    }
}

fn is_plain(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !host.is_empty() && host.chars().all(plain)
}

fn names(entry: &Node, host: &str) -> bool {
    let hosts = entry.at(&["spec", "hosts"]).map(Node::items).unwrap_or_default();
    hosts.iter().filter_map(Node::text).any(|name| name == host)
}

fn number(port: &Node) -> Option<u16> {
    let number = port.field("number").or_else(|| port.field("port"))?;
    number.text()?.parse().ok()
}

/// The namespace of a document.
pub(super) fn namespace(document: &Node) -> &str {
    document.at(&["metadata", "namespace"]).and_then(Node::text).unwrap_or("default")
}

/// The full name of a service: a name with a dot is one already, as Istio has it.
pub(super) fn full_name(host: &str, namespace: &str) -> String {
    if host.contains('.') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}
