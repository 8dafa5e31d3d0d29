//! Resolves the address of a service from the Kubernetes Services, ServiceEntries and DestinationRules in
//! the same file.

use std::net::Ipv6Addr;

use super::finding::Findings;
use super::hosts::{matches, specificity};
use super::native::Endpoint;
use super::policy::{is_exported, rule_host};
use crate::cli::SubsetUrl;
use crate::yaml::Node;

/// Documents that define how services are reached.
#[derive(Debug, Default)]
pub(super) struct Services<'a> {
    pub(super) entries: Vec<&'a Node>,
    pub(super) rules: Vec<Named<'a>>,
    pub(super) services: Vec<Named<'a>>,
    pub(super) backend_policies: Vec<&'a Node>,
    pub(super) authentications: Vec<&'a Node>,
    /// URLs of subsets, given by flags.
    pub(super) subsets: &'a [SubsetUrl],
}

/// A document and the fully qualified name of its service.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) host: String,
    pub(super) document: &'a Node,
}

/// A destination of production's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// The full name.
    pub(super) host: String,
    /// `None`: all of the service.
    pub(super) subset: Option<String>,
}

/// A mirror destination, as named by a route.
pub(super) struct Wanted<'a> {
    /// The full name.
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) subset: Option<&'a str>,
    /// Namespace of the clients whose requests are mirrored.
    pub(super) client: &'a str,
    /// Destinations of the same route or service in production.
    pub(super) production: &'a [Backend],
    /// The line where it is named.
    pub(super) line: usize,
    pub(super) field: &'a str,
}

/// The address of a service.
pub(super) struct Address {
    host: String,
    port: u16,
    /// The service's port, by which port-level settings are found.
    number: u16,
    protocol: String,
}

impl<'a> Services<'a> {
    pub(super) fn new(documents: &'a [Node], subsets: &'a [SubsetUrl]) -> Self {
        let mut services = Self { subsets, ..Self::default() };
        for document in documents {
            let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
            let api = document.field("apiVersion").and_then(Node::text).unwrap_or_default();
            match kind {
                "ServiceEntry" => services.entries.push(document),
                "PeerAuthentication" => services.authentications.push(document),
                "BackendTLSPolicy" => services.backend_policies.push(document),
                "DestinationRule" => {
                    let rule = rule_host(document).map(|host| Named { host, document });
                    services.rules.extend(rule);
                }
                "Service" if api == "v1" => {
                    if let Some(name) = document.at(&["metadata", "name"]).and_then(Node::text) {
                        let host = format!("{name}.{}.svc.cluster.local", namespace(document));
                        services.services.push(Named { host, document });
                    }
                }
                _ => {}
            }
        }
        services
    }

    /// The endpoint of a service; `None` if there is none, and a finding says why.
    pub(super) fn endpoint(
        &self,
        wanted: &Wanted<'_>,
        findings: &mut Findings,
    ) -> Option<Endpoint> {
        let Wanted { host, line, field, .. } = *wanted;
        if !is_plain(host) {
            findings.refused(line, field, "not the name of a single host; write the URL by hand");
            return None;
        }
        if let Some(url) = self.subset_url(wanted, findings)? {
            return Some(Endpoint { url: url.to_owned(), ..Endpoint::default() });
        }
        let address = match wanted.subset {
            Some(subset) => self.subset_address(wanted, subset, findings)?,
            None if wanted.production.iter().any(|one| one.host.eq_ignore_ascii_case(host)) => {
                let why = format!(
                    "production's requests also go to {host}: its pods would get each of them twice; \
                     name a service that production does not use"
                );
                findings.refused(line, field, &why);
                return None;
            }
            None => self.address(wanted, host, findings)?,
        };
        let protocol = address.protocol.to_ascii_uppercase();
        if matches!(protocol.as_str(), "GRPC" | "GRPC-WEB" | "HTTP2" | "H2C") {
            let why = format!(
                "its port speaks {protocol}, but mirror speaks HTTP/1.1 to targets; put a proxy in \
                 front of it and use the proxy's URL"
            );
            findings.refused(line, field, &why);
            return None;
        }
        let url = url(&address.host, address.port);
        let plain = Endpoint { url, ..Endpoint::default() };
        let endpoint = self.secured(wanted, address.number, plain, findings)?;
        if matches!(protocol.as_str(), "HTTPS" | "TLS") && endpoint.url.starts_with("http:") {
            let why = format!(
                "its port speaks {protocol}, but the file does not say which certificate it has; add \
                 a DestinationRule with trafficPolicy.tls.mode SIMPLE for {host}, or write an https:// \
                 target by hand"
            );
            findings.refused(line, field, &why);
            return None;
        }
        Some(endpoint)
    }

    /// The ServiceEntry of a host: the most specific host wins, then the clients' namespace.
    pub(super) fn entry(&self, host: &str, client: &str) -> Option<&'a Node> {
        let names = |entry: &Node| {
            let hosts = entry.at(&["spec", "hosts"]).map(texts).unwrap_or_default();
            let hosts = hosts.into_iter().filter(|name| matches(name, host));
            hosts.map(specificity).max()
        };
        let seen = self.entries.iter().filter(|entry| is_exported(entry, namespace(entry), client));
        let ranked =
            seen.filter_map(|entry| Some(((names(entry)?, namespace(entry) == client), *entry)));
        // Ties go to the first one in the file.
        ranked.rev().max_by_key(|(rank, _)| *rank).map(|(_, entry)| entry)
    }

    fn address(&self, wanted: &Wanted<'_>, host: &str, findings: &mut Findings) -> Option<Address> {
        match self.entry(host, wanted.client) {
            Some(entry) => self.external(entry, wanted, None, findings),
            None => self.internal(wanted, host, findings),
        }
    }

    /// The address of a ServiceEntry; considers only endpoints with these labels.
    pub(super) fn external(
        &self,
        entry: &Node,
        wanted: &Wanted<'_>,
        labels: Option<&Node>,
        findings: &mut Findings,
    ) -> Option<Address> {
        let Wanted { host, line, field, .. } = *wanted;
        let mut refused = |why: &str| {
            findings.refused(line, field, why);
            None
        };
        let ports = entry.at(&["spec", "ports"]).map(Node::items).unwrap_or_default();
        let is_wanted = |port: &&Node| wanted.port.is_none() || number(port) == wanted.port;
        let Some(port) = ports.iter().find(is_wanted) else {
            return refused("its ServiceEntry has no such port");
        };
        let Some(number_) = number(port) else {
            return refused("its ServiceEntry has a port without a number");
        };
        if wanted.port.is_none() && ports.len() > 1 {
            return refused("its ServiceEntry has several ports; name one");
        }
        if entry.at(&["spec", "workloadSelector"]).is_some() {
            return refused(
                "its ServiceEntry selects pods by label, which cannot be resolved from the file; \
                 write the URL by hand",
            );
        }
        let endpoints = entry.at(&["spec", "endpoints"]).map(Node::items).unwrap_or_default();
        let has = |endpoint: &&Node| {
            labels.is_none_or(|labels| selects(endpoint.field("labels"), labels))
        };
        let chosen: Vec<&Node> = endpoints.iter().filter(has).collect();
        let target_port =
            port.field("targetPort").and_then(Node::text).and_then(|n| n.parse().ok());
        let protocol = port.field("protocol").and_then(Node::text).unwrap_or("TCP").to_owned();
        let (host, own) = match chosen.as_slice() {
            [] if endpoints.is_empty() => (host, None),
            [endpoint] => {
                let name = port.field("name").and_then(Node::text).unwrap_or_default();
                let own = endpoint.at(&["ports", name]).and_then(Node::text);
                let address = endpoint.field("address").and_then(Node::text).unwrap_or(host);
                if !is_plain(address) && address.parse::<Ipv6Addr>().is_err() {
                    return refused("the endpoint of its ServiceEntry is not a host");
                }
                (address, own.and_then(|n| n.parse().ok()))
            }
            [] => return refused("its ServiceEntry has no endpoint with the subset's labels"),
            _ => {
                return refused(
                    "its ServiceEntry has several endpoints; write the URL of one by hand",
                );
            }
        };
        Some(Address {
            host: host.to_owned(),
            port: own.or(target_port).unwrap_or(number_),
            number: number_,
            protocol,
        })
    }

    /// The address of a service of the cluster, or of a host that is not defined in the file.
    pub(super) fn internal(
        &self,
        wanted: &Wanted<'_>,
        host: &str,
        findings: &mut Findings,
    ) -> Option<Address> {
        let Wanted { line, field, .. } = *wanted;
        let service = self.services.iter().find(|service| service.host == host);
        let ports = service.and_then(|service| service.document.at(&["spec", "ports"]));
        let ports = ports.map(Node::items).unwrap_or_default();
        let port = match (wanted.port, ports) {
            (Some(wanted), []) => return Some(address(host, wanted)),
            (Some(wanted), ports) => ports.iter().find(|port| number(port) == Some(wanted)),
            (None, [only]) => Some(only),
            (None, _) => {
                let why =
                    "no port is given, and no Service in the file has exactly one: 80 is assumed";
                findings.approximated(line, field, why);
                return Some(address(host, 80));
            }
        };
        let Some((port, number_)) = port.and_then(|port| Some((port, number(port)?))) else {
            findings.refused(line, field, "its Service has no such port");
            return None;
        };
        let target = port.field("targetPort").and_then(Node::text);
        let headless = service.and_then(|one| one.document.at(&["spec", "clusterIP"]));
        // The name of a headless service resolves to its pods.
        let at = match (headless.and_then(Node::text), target) {
            (Some("None"), Some(target)) => match target.parse() {
                Ok(port) => port,
                Err(_) => {
                    let why =
                        "its Service is headless and its targetPort is a name; write the number";
                    findings.refused(line, field, why);
                    return None;
                }
            },
            _ => number_,
        };
        Some(Address { port: at, number: number_, protocol: protocol(port), ..address(host, at) })
    }
}

fn address(host: &str, port: u16) -> Address {
    Address { host: host.to_owned(), port, number: port, protocol: String::new() }
}

/// The protocol of a Service's port: `appProtocol`, otherwise the prefix of its name, as in Istio.
fn protocol(port: &Node) -> String {
    let app = port.field("appProtocol").and_then(Node::text);
    let app = app.map(|app| app.trim_start_matches("kubernetes.io/").to_owned());
    let name = port.field("name").and_then(Node::text).unwrap_or_default();
    app.unwrap_or_else(|| match name.starts_with("grpc-web") {
        true => "grpc-web".to_owned(),
        false => name.split('-').next().unwrap_or_default().to_owned(),
    })
}

/// True if `set` has all of these labels.
pub(super) fn selects(set: Option<&Node>, labels: &Node) -> bool {
    labels.fields().iter().all(|(key, value)| {
        let own = set.and_then(|set| set.field(&key.text)).and_then(Node::text);
        value.text().is_some_and(|value| own == Some(value))
    })
}

fn url(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("http://[{address}]:{port}"),
        Err(_) => format!("http://{host}:{port}"),
    }
}

fn is_plain(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !host.is_empty() && host.chars().all(plain)
}

/// True if the field `name` has this value.
pub(super) fn is_named(node: &Node, name: &str) -> bool {
    node.field("name").and_then(Node::text) == Some(name)
}

/// The texts of a list.
pub(super) fn texts(node: &Node) -> Vec<&str> {
    node.items().iter().filter_map(Node::text).collect()
}

/// The number of a port.
pub(super) fn number(port: &Node) -> Option<u16> {
    let number = port.field("number").or_else(|| port.field("port"))?;
    number.text()?.parse().ok()
}

/// The namespace of a document.
pub(super) fn namespace(document: &Node) -> &str {
    document.at(&["metadata", "namespace"]).and_then(Node::text).unwrap_or("default")
}
