//! The parents of a route (`parentRefs`): listeners of Gateways, whose hosts restrict its own, and
//! Services of the mesh.

use crate::config::convert::View;
use crate::config::convert::finding::Findings;
use crate::config::convert::hosts::{intersection, spellings};
use crate::config::convert::service::{number, texts};
use crate::rules::select::{HostPattern, PortRange};
use crate::yaml::Node;

/// The Gateways of a file.
pub(super) struct Parents<'a> {
    documents: &'a [Node],
    gateways: Vec<&'a Node>,
    view: View<'a>,
    ports: Vec<PortRange>,
}

/// How a route is attached to one of its parents.
enum Attachment<'a> {
    /// To listeners of a Gateway.
    Listeners(Vec<&'a Node>),
    /// To a Gateway that is not in the file.
    Missing(String),
    /// To a Service of the mesh, which has these names.
    Service(Vec<String>),
    /// Not to the point where the native file captures.
    Elsewhere,
}

impl<'a> Parents<'a> {
    pub(super) fn new(documents: &'a [Node], view: View<'a>, findings: &mut Findings) -> Self {
        // Istio has a kind of the same name.
        let is_gateway = |one: &&Node| {
            text(one, "kind") == Some("Gateway")
                && !text(one, "apiVersion").unwrap_or_default().starts_with("networking.istio.io")
        };
        let gateways: Vec<&Node> = documents.iter().filter(is_gateway).collect();
        let mut ports = Vec::new();
        if let View::Gateway { name, given_ports } = view {
            let own: Vec<&Node> =
                gateways.iter().copied().filter(|one| is_called(one, name)).collect();
            if own.is_empty() {
                let why = format!(
                    "Gateway {name} is not in the file, so its hosts and ports are not known: the routes' \
                     own hosts are used, on every captured port"
                );
                findings.approximated(1, "file", &why);
            }
            for listener in own.iter().flat_map(|one| listeners(one)) {
                let line = listener.at.line;
                match (text(listener, "protocol"), number(listener)) {
                    (Some("HTTP"), Some(port)) => {
                        let port = PortRange { first: port, last: port };
                        if !ports.contains(&port) {
                            ports.push(port);
                        }
                        if !given_ports {
                            let why = "this is the port of the gateway's Service; if its pods listen \
                                       on another one, give it with --port";
                            findings.approximated(line, "listeners", why);
                        }
                    }
                    (Some(protocol), _) => {
                        let why = format!("{protocol}: its traffic is not plain HTTP on the wire");
                        findings.approximated(line, "listeners", &why);
                    }
                    (None, _) => findings.refused(line, "listeners", "a protocol is required"),
                }
            }
        }
        Self { documents, gateways, view, ports }
    }

    pub(super) fn into_ports(self) -> Vec<PortRange> {
        self.ports
    }

    /// The hosts of a route's requests; `[None]` means any. `None` if it has no requests, or if its hosts
    /// are unknown; a finding says why.
    pub(super) fn hosts(
        &self,
        route: &Node,
        findings: &mut Findings,
    ) -> Option<Vec<Option<HostPattern>>> {
        let own = route.at(&["spec", "hostnames"]);
        let own: Vec<&str> = own.map(texts).unwrap_or_default();
        let line = route.at(&["spec", "hostnames"]).map_or(route.at.line, |node| node.at.line);
        let parents = route.at(&["spec", "parentRefs"]).map(Node::items).unwrap_or_default();
        let mut attached: Vec<Option<String>> = Vec::new();
        let unbound = parents.is_empty() && self.view.is_server();
        if unbound {
            attached = any_or(&own);
        }
        for parent in parents {
            match self.attachment(route, parent, findings) {
                Attachment::Listeners(listeners) => {
                    attached.extend(listeners.into_iter().flat_map(|one| accepted(&own, one)));
                }
                Attachment::Missing(_) if !own.is_empty() => {
                    let why = "its Gateway is not in the file; if its listeners have fewer hosts than \
                               this route, add it (kubectl get gateway -o yaml)";
                    findings.dropped(parent.at.line, "parentRefs", why);
                    attached.extend(any_or(&own));
                }
                Attachment::Missing(name) => {
                    let why = format!(
                        "missing, and Gateway {name}, whose listeners may have hosts, is not in the \
                         file; add it (kubectl get gateway -o yaml), or add hostnames here"
                    );
                    findings.refused(line, "hostnames", &why);
                    return None;
                }
                Attachment::Service(names) => attached.extend(names.into_iter().map(Some)),
                Attachment::Elsewhere => {}
            }
        }
        if attached.is_empty() {
            let why = match self.view {
                View::Server => {
                    "no listener of its Gateways accepts this route and its hosts, so it gets no requests"
                }
                View::Gateway { .. } => {
                    "not a route of the captured gateway, or none of its HTTP listeners accepts it, so it \
                     gets no requests there"
                }
            };
            findings.dropped(line, "parentRefs", why);
            return None;
        }
        let mut hosts = Vec::new();
        for host in attached {
            let host = match host.as_deref().map(str::parse::<HostPattern>) {
                None => None,
                Some(Ok(host)) => Some(host),
                Some(Err(why)) => {
                    findings.refused(line, "hostnames", &why);
                    return None;
                }
            };
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Some(hosts)
    }

    fn attachment(&self, route: &Node, parent: &Node, findings: &mut Findings) -> Attachment<'a> {
        let own = metadata(route, "namespace");
        let name = text(parent, "name").unwrap_or_default();
        let of = text(parent, "namespace").or(own);
        match text(parent, "kind").unwrap_or("Gateway") {
            "Gateway" => {}
            "Service" if self.view.is_server() => {
                let of = of.unwrap_or("default");
                let names = spellings(&format!("{name}.{of}.svc.cluster.local"), of);
                let why = "converted to the Service's names; requests that use another name or an \
                           address are not mirrored";
                findings.approximated(parent.at.line, "parentRefs", why);
                let port = text(parent, "port");
                let named = |host| match port {
                    Some(port) => format!("{host}:{port}"),
                    None => host,
                };
                return Attachment::Service(names.into_iter().map(named).collect());
            }
            "Service" => return Attachment::Elsewhere,
            _ => return Attachment::Missing(name.to_owned()),
        }
        if let View::Gateway { name: wanted, .. } = self.view {
            let is_it = match wanted.split_once('/') {
                Some((wanted_of, wanted)) => wanted == name && of.is_none_or(|of| of == wanted_of),
                None => wanted == name,
            };
            if !is_it {
                return Attachment::Elsewhere;
            }
        }
        let found = self.gateways.iter().copied().find(|one| {
            // A manifest without a namespace is applied to the current one.
            let at = metadata(one, "namespace");
            metadata(one, "name") == Some(name) && (at.is_none() || of.is_none() || at == of)
        });
        let Some(gateway) = found else { return Attachment::Missing(name.to_owned()) };
        let listeners = listeners(gateway).iter().filter(|one| {
            text(parent, "sectionName").is_none_or(|section| text(one, "name") == Some(section))
                && text(parent, "port").is_none_or(|port| text(one, "port") == Some(port))
                && match (text(one, "protocol"), self.view) {
                    (None | Some("HTTP"), _) | (Some("HTTPS"), View::Server) => true,
                    // With TLS terminated at the listener, this is HTTPS under another name.
                    _ => false,
                }
                && self.allows(gateway, one, route, findings)
        });
        Attachment::Listeners(listeners.collect())
    }

    /// True if a listener accepts routes of this namespace (`allowedRoutes`).
    fn allows(
        &self,
        gateway: &Node,
        listener: &Node,
        route: &Node,
        findings: &mut Findings,
    ) -> bool {
        let allowed = listener.field("allowedRoutes");
        let kinds = allowed.and_then(|allowed| allowed.field("kinds")).map(Node::items);
        let kinds = kinds.unwrap_or_default();
        if !kinds.is_empty() && !kinds.iter().any(|one| text(one, "kind") == Some("HTTPRoute")) {
            return false;
        }
        let from = allowed.and_then(|allowed| allowed.field("namespaces"));
        let (own, of) = (metadata(gateway, "namespace"), metadata(route, "namespace"));
        match from.and_then(|from| text(from, "from")).unwrap_or("Same") {
            "All" => true,
            "Same" => own.is_none() || of.is_none() || own == of,
            "Selector" => {
                let selector = from.and_then(|from| from.at(&["selector", "matchLabels"]));
                let plain = from.and_then(|from| from.field("selector")).map(Node::fields);
                let namespace = self.documents.iter().find(|one| {
                    text(one, "kind") == Some("Namespace")
                        && metadata(one, "name") == Some(of.unwrap_or("default"))
                });
                match (selector, namespace) {
                    (Some(labels), Some(namespace)) if plain.is_some_and(|all| all.len() == 1) => {
                        let own = namespace.at(&["metadata", "labels"]);
                        labels.fields().iter().all(|(key, value)| {
                            // Every namespace has this label.
                            let name = key.text == "kubernetes.io/metadata.name";
                            let own = own.and_then(|own| text(own, &key.text));
                            let own = own.or(of.filter(|_| name));
                            own.is_some() && own == value.text()
                        })
                    }
                    _ => {
                        let why = "it accepts routes from namespaces that match a selector, but the \
                                   route's Namespace is not in the file; add it (kubectl get namespace \
                                   -o yaml)";
                        findings.refused(listener.at.line, "listeners", why);
                        false
                    }
                }
            }
            _ => false,
        }
    }
}

/// The route's hosts that the listener accepts.
fn accepted(own: &[&str], listener: &Node) -> Vec<Option<String>> {
    match text(listener, "hostname").filter(|host| !host.is_empty()) {
        None => any_or(own),
        Some(host) if own.is_empty() => vec![Some(host.to_owned())],
        Some(host) => own.iter().filter_map(|own| intersection(host, own)).map(Some).collect(),
    }
}

fn any_or(hosts: &[&str]) -> Vec<Option<String>> {
    match hosts {
        [] => vec![None],
        hosts => hosts.iter().map(|host| Some((*host).to_owned())).collect(),
    }
}

fn listeners(gateway: &Node) -> &[Node] {
    gateway.at(&["spec", "listeners"]).map(Node::items).unwrap_or_default()
}

/// True for NAME and for NAMESPACE/NAME.
fn is_called(document: &Node, wanted: &str) -> bool {
    let name = metadata(document, "name").unwrap_or_default();
    match wanted.split_once('/') {
        Some((of, wanted)) => {
            wanted == name && metadata(document, "namespace").is_none_or(|own| own == of)
        }
        None => wanted == name,
    }
}

fn text<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.field(name).and_then(Node::text)
}

fn metadata<'a>(document: &'a Node, name: &str) -> Option<&'a str> {
    document.at(&["metadata", name]).and_then(Node::text)
}
