//! Converts VirtualServices (networking.istio.io, v1alpha3 to v1).
//!
//! Envoy first selects the VirtualService by host, the most specific first, and then its first matching
//! route. A request that matches no route of the selected one is not forwarded, so each set of hosts ends
//! with a rule without targets.

mod changes;
mod delegate;
mod gateway;
mod matching;
pub(super) mod portion;
pub(super) mod route;

use std::cmp::Reverse;

use self::delegate::Roots;
use self::gateway::Binding;
use self::route::Reader;
use super::finding::Findings;
use super::hosts::{full_name, spellings};
use super::native::Rule;
use super::order::Routed;
use super::service::{Backend, Services, namespace, texts};
use super::wire::Changes;
use super::{MAX_RULES, Rules, TOO_MANY, View};
use crate::rules::select::{HostPattern, Match, PathKind, PathMatch, PortRange};
use crate::yaml::Node;

/// The rules of every VirtualService among the documents.
pub(super) fn rules(
    documents: &[Node],
    services: &Services<'_>,
    view: View<'_>,
    findings: &mut Findings,
) -> Rules {
    let bound = Binding::new(documents, view, findings);
    let roots = Roots::new(documents);
    let mut groups = Vec::new();
    let mut rules = 0_usize;
    for document in documents {
        let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
        match kind {
            "VirtualService" => {
                if rules > MAX_RULES {
                    continue;
                }
                let context = Context { services, bound: &bound, roots: &roots, view };
                if let Some(service) = VirtualService::read(document, &context, findings) {
                    let own = service.hosts.len().saturating_mul(service.routes.len());
                    rules = rules.saturating_add(own);
                    if rules > MAX_RULES {
                        findings.refused(service.line, "http", TOO_MANY);
                        continue;
                    }
                    groups.extend(service.groups(&bound, findings));
                }
            }
            "ServiceEntry" | "DestinationRule" | "Service" | "Gateway" | "Namespace"
            | "PeerAuthentication" => {}
            "EnvoyFilter" => {
                let why = "it may change routes in ways that cannot be converted; remove it from the \
                           file if it does not";
                findings.refused(document.at.line, "kind", why);
            }
            "HTTPRoute" | "GRPCRoute" => {
                let why = format!("{kind}: not converted here; use --from gateway-api");
                findings.dropped(document.at.line, "kind", &why);
            }
            other => {
                let why = format!("{other:?} does not configure mirroring");
                findings.dropped(document.at.line, "kind", &why);
            }
        }
    }
    // A stable sort: for equal hosts the oldest wins, for equal ages the first in the file.
    groups.sort_by_key(|group| (group.rank(), group.created.clone()));
    let mut routes = Vec::new();
    for equal in groups.chunk_by(|a, b| a.rank() == b.rank()) {
        let groups = equal.iter().flat_map(|group| group.routes(view, findings));
        let mut ranked: Vec<Routed> = groups.collect();
        if !view.is_server() {
            // A gateway merges those of the same host: routes that match everything come last, followed
            // by the rule for requests without a route.
            ranked.sort_by_key(|route| (route.rule.line == 0, is_catch_all(&route.rule)));
        }
        routes.extend(ranked);
    }
    // A route that rewrites the host is seen under the new name, so it comes first.
    routes.sort_by_key(|route: &Routed| route.changes.host.is_none() || !view.is_server());
    Rules { routes, ports: bound.into_ports() }
}

/// True if a rule matches every request of its hosts.
fn is_catch_all(rule: &Rule) -> bool {
    let any = |path: &PathMatch| path.kind == PathKind::Prefix("/".to_owned());
    rule.matches.iter().any(|one| {
        one.path.as_ref().is_none_or(any)
            && one.methods.is_empty()
            && one.headers.is_empty()
            && one.query.is_empty()
    })
}

/// What reading routes needs.
struct Context<'a> {
    services: &'a Services<'a>,
    bound: &'a Binding,
    roots: &'a Roots<'a>,
    view: View<'a>,
}

/// A converted VirtualService.
struct VirtualService {
    name: String,
    namespace: String,
    /// Creation time; RFC 3339 in UTC sorts as text.
    created: String,
    line: usize,
    hosts: Vec<String>,
    routes: Vec<Route>,
}

/// A route, as seen by the client's proxy.
#[derive(Clone)]
struct Route {
    rule: Rule,
    field: String,
    changes: Changes,
    /// False if a proxy responds before the request reaches the server.
    reaches: bool,
}

/// Some hosts of a VirtualService, equally specific.
struct Group {
    hosts: Vec<String>,
    /// The ports on which they are served; empty: all.
    ports: Vec<PortRange>,
    name: String,
    created: String,
    routes: Vec<Route>,
}

impl Group {
    /// Exact names first, then wildcards from the longest to the shortest, then `*`.
    fn rank(&self) -> Reverse<usize> {
        let wildcard = self.hosts.iter().find(|host| host.starts_with('*'));
        Reverse(wildcard.map_or(usize::MAX, String::len))
    }

    fn routes(&self, view: View<'_>, findings: &mut Findings) -> Vec<Routed> {
        let Self { hosts, ports, name, routes, .. } = self;
        let patterns: Vec<HostPattern> = match hosts.as_slice() {
            [any] if any == "*" => Vec::new(),
            hosts => hosts.iter().filter_map(|host| host.parse().ok()).collect(),
        };
        let is_all = |route: &Route| route.rule.matches.iter().any(|one| *one == Match::default());
        let end = (!routes.iter().any(is_all)).then(|| Route {
            rule: Rule {
                line: 0,
                name: format!("{name}-no-route"),
                matches: vec![Match::default()],
                targets: Vec::new(),
            },
            field: "hosts".to_owned(),
            changes: Changes::default(),
            reaches: false,
        });
        let mut routed = Vec::new();
        for Route { mut rule, field, changes, reaches } in routes.iter().cloned().chain(end) {
            for one in &mut rule.matches {
                one.hosts.clone_from(&patterns);
                if one.ports.is_empty() {
                    one.ports.clone_from(ports);
                }
            }
            let changes = if view.is_server() { changes } else { Changes::default() };
            routed.push(Routed::new(rule, field, changes, reaches, findings));
        }
        routed
    }
}

impl VirtualService {
    fn groups(self, bound: &Binding, findings: &mut Findings) -> Vec<Group> {
        let Self { name, namespace, created, line, hosts, routes } = self;
        let Some(hosts) = bound.hosts(hosts, &namespace) else {
            let why = "no HTTP server of its Gateway has its hosts on all given ports, so it gets no \
                       requests";
            findings.dropped(line, "hosts", why);
            return Vec::new();
        };
        let mut groups: Vec<Group> = Vec::new();
        for (host, ports) in hosts {
            let wild = host.starts_with('*');
            let same = |group: &&mut Group| {
                group.ports == ports && !group.hosts.iter().any(|host| host.starts_with('*'))
            };
            match groups.iter_mut().find(same).filter(|_| !wild) {
                Some(group) => group.hosts.push(host),
                None => groups.push(Group {
                    name: match wild {
                        true => format!("{name}-{}", host.trim_start_matches(['*', '.'])),
                        false => name.clone(),
                    },
                    created: created.clone(),
                    routes: routes.clone(),
                    hosts: vec![host],
                    ports,
                }),
            }
        }
        groups
    }

    /// `None` for a delegate, or for one of another gateway.
    fn read(document: &Node, context: &Context<'_>, findings: &mut Findings) -> Option<Self> {
        let namespace = namespace(document);
        let name = document.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("unnamed");
        let line = document.at.line;
        let Some(spec) = document.field("spec") else {
            findings.refused(line, "spec", "missing");
            return None;
        };
        if delegate::is_delegate(document) {
            if !context.roots.references(document) {
                let why = "missing, and no VirtualService in the file delegates to this one; add the \
                           one that does";
                findings.refused(spec.at.line, "hosts", why);
            }
            return None;
        }
        let mut hosts = Vec::new();
        let bound = match spec.field("gateways") {
            Some(node) => context.bound.is_bound(node, namespace, "gateways", findings),
            // The default is the mesh.
            None => context.bound.has_mesh(line, findings),
        };
        if !bound {
            return None;
        }
        let mut backends = Vec::new();
        for (key, node) in spec.fields() {
            match key.text.as_str() {
                "hosts" => {
                    for host in node.items().iter().filter_map(Node::text) {
                        if let Err(why) = host.parse::<HostPattern>() {
                            findings.refused(key.at.line, "hosts", &why);
                        }
                        let full = full_name(host, namespace);
                        // At a gateway, only the fully qualified name is used.
                        match context.view.is_server() {
                            true => hosts.extend(spellings(host, namespace)),
                            false => hosts.push(full.clone()),
                        }
                        backends.push(Backend { host: full, subset: None });
                    }
                }
                "http" | "gateways" => {}
                "exportTo" => findings.dropped(
                    key.at.line,
                    "exportTo",
                    "concerns only the visibility of the routes",
                ),
                "tcp" | "tls" => {
                    findings.dropped(key.at.line, &key.text, "only HTTP is mirrored");
                }
                other => findings.refused(key.at.line, other, "unknown field"),
            }
        }
        let nodes = context.roots.routes(document, findings);
        let production = nodes.iter().flat_map(|(_, route)| route::backends(route));
        // A subset that no route uses is not a production destination, although the host is the same.
        let named: Vec<Backend> = production.collect();
        let own = backends.into_iter().filter(|one| !named.iter().any(|n| n.host == one.host));
        let production: Vec<Backend> = named.iter().cloned().chain(own).collect();
        let gateways = spec.field("gateways").map(texts).unwrap_or_default();
        let reader = Reader { context, namespace, service: name, gateways, production };
        let mut routes = Vec::new();
        for (index, (path, route)) in nodes.iter().enumerate() {
            routes.extend(reader.route(route, index, path, findings));
        }
        let created = document.at(&["metadata", "creationTimestamp"]).and_then(Node::text);
        Some(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            created: created.unwrap_or("~").to_owned(),
            line,
            hosts,
            routes,
        })
    }
}
