//! Converts HTTPRoutes (gateway.networking.k8s.io).
//!
//! The Gateway API orders single matches across all routes: the most specific host first, then path,
//! method, headers and query. So every match becomes an entry of its own, and adjacent entries of the same
//! rule are merged again.

mod filters;
mod matching;
mod mirror;
mod parents;

use std::cmp::Reverse;

use self::filters::Filters;
use self::matching::MatchReader;
use self::parents::Parents;
use super::condition::ConditionPolicy;
use super::finding::Findings;
use super::istio::portion::timeout;
use super::native::Rule;
use super::order::Routed;
use super::service::{Backend, Services, namespace};
use super::wire::Changes;
use super::{MAX_RULES, Rules, TOO_MANY, View};
use crate::rules::select::{HostPattern, Match, PathKind};
use crate::yaml::Node;

const OWN: &str = "production's own routing";

/// The rules of every HTTPRoute among the documents.
pub(super) fn rules(
    documents: &[Node],
    services: &Services<'_>,
    view: View<'_>,
    findings: &mut Findings,
) -> Rules {
    let mut entries = Vec::new();
    let parents = Parents::new(documents, view, findings);
    for document in documents {
        let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
        match kind {
            "HTTPRoute" => {
                if let Some(hosts) = parents.hosts(document, findings) {
                    let route = Route::new(document, documents, services, view);
                    route.entries(document, &hosts, &mut entries, findings);
                }
            }
            "GRPCRoute" => findings.refused(
                document.at.line,
                "kind",
                "gRPC uses HTTP/2, which is not supported",
            ),
            "Service" | "ReferenceGrant" | "Gateway" | "GatewayClass" | "Namespace"
            | "BackendTLSPolicy" | "DestinationRule" | "ServiceEntry" => {}
            "EnvoyPatchPolicy" | "EnvoyFilter" => {
                let why = "it may change routes in ways that cannot be converted; remove it from the \
                           file if it does not";
                findings.refused(document.at.line, "kind", why);
            }
            "VirtualService" => {
                let why = "not converted here; use --from istio";
                findings.dropped(document.at.line, "kind", why);
            }
            other => {
                let why = format!("{other:?} does not configure mirroring");
                findings.dropped(document.at.line, "kind", &why);
            }
        }
    }
    // A stable sort: the last criterion is the order within the route.
    entries.sort_by_cached_key(Entry::precedence);
    let routed = entries.into_iter().map(|entry| entry.routed(view, findings));
    let mut routes: Vec<Routed> = Vec::new();
    for route in routed {
        match routes.last_mut() {
            Some(last) if last.is_of(&route) => last.rule.matches.extend(route.rule.matches),
            _ => routes.push(route),
        }
    }
    Rules { routes, ports: parents.into_ports() }
}

/// One match of one rule for one host.
struct Entry {
    /// Creation time of its route.
    created: String,
    /// Namespace and name of its route.
    route: String,
    /// A rule with only this match.
    rule: Rule,
    field: String,
    changes: Changes,
    /// False if a proxy responds before the request reaches the server.
    reaches: bool,
}

impl Entry {
    fn routed(self, view: View<'_>, findings: &mut Findings) -> Routed {
        let Self { rule, field, changes, reaches, .. } = self;
        let regex = |one: &Match| {
            one.path.as_ref().is_some_and(|path| matches!(path.kind, PathKind::Regex(_)))
        };
        // The precedence of regular expressions is implementation-specific.
        let unplaced = rule.matches.iter().any(regex);
        let changes = if view.is_server() { changes } else { Changes::default() };
        Routed { unplaced, ..Routed::new(rule, field, changes, reaches, findings) }
    }

    /// Sort key; the smallest comes first.
    fn precedence(&self) -> impl Ord + use<> {
        let one = self.rule.matches.first().cloned().unwrap_or_default();
        let Match { hosts, path, methods, headers, query, .. } = &one;
        let host = hosts.first().map(ToString::to_string).unwrap_or_default();
        let path = path.as_ref().map(|path| match &path.kind {
            PathKind::Exact(text) => (0, Reverse(text.len())),
            PathKind::Segments(text) | PathKind::Prefix(text) => {
                (1, Reverse(text.trim_end_matches('/').len()))
            }
            PathKind::Regex(pattern) => (2, Reverse(pattern.as_str().len())),
        });
        (
            (Reverse(host.trim_start_matches('*').len()), Reverse(host.len())),
            path.unwrap_or((1, Reverse(0))),
            Reverse(methods.len()),
            (Reverse(headers.len()), Reverse(query.len())),
            (self.created.clone(), self.route.clone()),
        )
    }
}

/// The route that is read.
struct Route<'a> {
    documents: &'a [Node],
    services: &'a Services<'a>,
    view: View<'a>,
    namespace: &'a str,
    name: String,
    created: &'a str,
    /// Destinations of all its rules.
    production: Vec<Backend>,
}

impl<'a> Route<'a> {
    fn new(
        document: &'a Node,
        documents: &'a [Node],
        services: &'a Services<'a>,
        view: View<'a>,
    ) -> Self {
        let metadata = |name| document.at(&["metadata", name]).and_then(Node::text);
        let namespace = namespace(document);
        let rules = document.at(&["spec", "rules"]).map(Node::items).unwrap_or_default();
        let backends = rules.iter().filter_map(|rule| rule.field("backendRefs"));
        let production = backends.flat_map(Node::items).filter_map(|backend| {
            let of = |name| backend.field(name).and_then(Node::text);
            let host = format!(
                "{}.{}.svc.cluster.local",
                of("name")?,
                of("namespace").unwrap_or(namespace)
            );
            Some(Backend { host, subset: None })
        });
        Self {
            documents,
            services,
            view,
            namespace,
            name: format!("{namespace}/{}", metadata("name").unwrap_or("unnamed")),
            // RFC 3339 in UTC sorts as text; a route without a creation time sorts last.
            created: metadata("creationTimestamp").unwrap_or("~"),
            production: production.collect(),
        }
    }

    fn entries(
        &self,
        document: &Node,
        hosts: &[Option<HostPattern>],
        entries: &mut Vec<Entry>,
        findings: &mut Findings,
    ) {
        let mut rules: &[Node] = &[];
        for (key, node) in document.field("spec").map(Node::fields).unwrap_or_default() {
            match key.text.as_str() {
                // Read with the parents.
                "hostnames" | "parentRefs" => {}
                "rules" => rules = node.items(),
                other => findings.refused(key.at.line, other, "unknown field"),
            }
        }
        for (index, node) in rules.iter().enumerate() {
            let field = format!("rules[{index}]");
            let (rule, Filters { changes, answered, preflight, .. }) =
                self.rule(node, index, &field, findings);
            // It never reaches the server.
            if answered && self.view.is_server() {
                continue;
            }
            let more = hosts.len().saturating_mul(rule.matches.len());
            if entries.len().saturating_add(more) > MAX_RULES {
                findings.refused(rule.line, field, TOO_MANY);
                return;
            }
            for host in hosts {
                let mut push = |rule: Rule| {
                    entries.push(Entry {
                        created: self.created.to_owned(),
                        route: self.name.clone(),
                        rule,
                        field: field.clone(),
                        changes: changes.clone(),
                        reaches: !answered,
                    });
                };
                for one in &rule.matches {
                    let mut one = one.clone();
                    one.hosts.extend(host.clone());
                    if preflight && !self.view.is_server() {
                        let one = std::slice::from_ref(&one);
                        push(super::istio::route::preflight(rule.line, &rule.name, one));
                    }
                    push(Rule { matches: vec![one], ..rule.clone() });
                }
            }
        }
    }

    fn rule<'n>(
        &self,
        node: &'n Node,
        index: usize,
        path: &str,
        findings: &mut Findings,
    ) -> (Rule, Filters<'n>) {
        let filters = Filters::read(node, path, findings);
        let time = node.field("timeouts").and_then(|node| node.field("request"));
        let time = time.and_then(|node| timeout(node, &format!("{path}.timeouts"), findings));
        let mut targets = self.targets(&filters.mirrors, time, findings);
        if filters.answered {
            targets.clear();
        }
        let policy = ConditionPolicy { owner: "rule", mirrors: !targets.is_empty() };
        let conditions = MatchReader { policy };
        if policy.mirrors
            && let Some((line, field)) = &filters.unknown
        {
            let why = "its effect on requests and responses is implementation-specific, so it is not \
                       known what the wire shows; write the rule by hand";
            findings.refused(*line, field, why);
        }
        let mut matches = Vec::new();
        let mut name = format!("{}-{index}", self.name);
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "name" => name = format!("{name}-{}", node.text().unwrap_or_default()),
                "filters" => {}
                "matches" => {
                    for (index, one) in node.items().iter().enumerate() {
                        matches.push(conditions.read(one, &format!("{field}[{index}]"), findings));
                    }
                }
                "backendRefs" => {
                    findings.dropped(key.at.line, &field, OWN);
                }
                "timeouts" => {
                    for (key, _) in node.fields() {
                        match key.text.as_str() {
                            "request" => {}
                            _ => findings.dropped(key.at.line, &field, OWN),
                        }
                    }
                }
                "retry" | "sessionPersistence" => {
                    findings.dropped(key.at.line, field, OWN);
                }
                _ => findings.refused(key.at.line, field, "unknown field"),
            }
        }
        if matches.is_empty() {
            matches.push(Match::default());
        }
        if !self.view.is_server() && !targets.is_empty() {
            match filters.changes.edits(&matches) {
                Ok(edits) => {
                    for target in &mut targets {
                        target.edits = edits.clone();
                        target.host.clone_from(&filters.changes.host);
                    }
                }
                Err(why) => findings.refused(node.at.line, path, &why),
            }
        }
        (Rule { line: node.at.line, name, matches, targets }, filters)
    }
}
