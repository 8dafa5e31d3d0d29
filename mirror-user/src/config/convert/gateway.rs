//! HTTPRoutes (gateway.networking.k8s.io) as rules.
//!
//! The Gateway API orders not rules but matches, those of all routes together: the most specific
//! host first, then path, method, headers and query. So every match becomes an entry of its own,
//! and neighbours of one rule are one native rule again.

mod matching;
mod mirror;

use std::cmp::Reverse;

use self::matching::Scope;
use super::finding::Findings;
use super::native::Rule;
use super::service::{Services, namespace};
use crate::config::yaml::Node;
use crate::rules::select::{HostPattern, Match, PathKind};

const APPLIED: &str = "the server's wire shows it applied already";
const OWN: &str = "production's own routing";

/// The rules of every HTTPRoute among the documents.
pub(super) fn rules(
    documents: &[Node],
    services: &Services<'_>,
    findings: &mut Findings,
) -> Vec<Rule> {
    let mut entries = Vec::new();
    for document in documents {
        match document.field("kind").and_then(Node::text).unwrap_or_default() {
            "HTTPRoute" => {
                Route::new(document, services).entries(document, &mut entries, findings);
                unseen_hosts(document, documents, findings);
            }
            "GRPCRoute" => {
                findings.refused(document.at.line, "kind", "gRPC is HTTP/2, which is not read")
            }
            "Service" | "ReferenceGrant" | "Gateway" => {}
            other => {
                findings.dropped(
                    document.at.line,
                    "kind",
                    &format!("{other:?} has no mirroring in it"),
                );
            }
        }
    }
    // Stable: the last criteria are the places in the route.
    entries.sort_by_cached_key(Entry::precedence);
    let mut rules: Vec<Rule> = Vec::new();
    for Entry { rule, .. } in entries {
        match rules.last_mut() {
            Some(last) if last.name == rule.name => last.matches.extend(rule.matches),
            _ => rules.push(rule),
        }
    }
    rules
}

/// A route without hostnames has those of its Gateway's listeners. Taken for every host, it would
/// capture more.
fn unseen_hosts(route: &Node, documents: &[Node], findings: &mut Findings) {
    let spec = |name| route.at(&["spec", name]);
    if spec("hostnames").is_some_and(|hosts| !hosts.items().is_empty()) {
        return;
    }
    let text = |node: &Node, name| node.field(name).and_then(Node::text).map(str::to_owned);
    let is_gateway = |kind: Option<String>| kind.is_none_or(|kind| kind == "Gateway");
    let names_hosts = |gateway: &Node| {
        let listeners = gateway.at(&["spec", "listeners"]).map(Node::items).unwrap_or_default();
        listeners.iter().any(|listener| listener.field("hostname").is_some())
    };
    let parents = spec("parentRefs").map(Node::items).unwrap_or_default();
    // A parent without a kind is a Gateway.
    for parent in parents.iter().filter(|parent| is_gateway(text(parent, "kind"))) {
        let name = text(parent, "name");
        let mut gateways = documents.iter().filter(|document| {
            text(document, "kind").is_some_and(|kind| kind == "Gateway")
                && document.at(&["metadata", "name"]).and_then(Node::text) == name.as_deref()
        });
        let why = match gateways.next().map(names_hosts) {
            Some(false) => continue,
            Some(true) => "there are none, and its Gateway's listeners have some; write them here",
            None => {
                "there are none, and its Gateway, whose listeners may have some, is not in the file; \
                 add it (kubectl get gateway -o yaml), or write them here"
            }
        };
        findings.refused(route.at.line, "hostnames", why);
    }
}

/// One match of one rule for one host.
struct Entry {
    /// When its route was made.
    created: String,
    /// Namespace and name of its route.
    route: String,
    /// A rule with this match alone.
    rule: Rule,
}

impl Entry {
    /// What comes first is the smallest.
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
    services: &'a Services<'a>,
    namespace: &'a str,
    name: String,
    created: &'a str,
}

impl<'a> Route<'a> {
    fn new(document: &'a Node, services: &'a Services<'a>) -> Self {
        let metadata = |name| document.at(&["metadata", name]).and_then(Node::text);
        let namespace = namespace(document);
        Self {
            services,
            namespace,
            name: format!("{namespace}/{}", metadata("name").unwrap_or("unnamed")),
            // RFC 3339 in UTC, which sorts as text; what was never made is the youngest.
            created: metadata("creationTimestamp").unwrap_or("~"),
        }
    }

    fn entries(&self, document: &Node, entries: &mut Vec<Entry>, findings: &mut Findings) {
        let mut hosts: Vec<Option<HostPattern>> = Vec::new();
        let mut rules: &[Node] = &[];
        for (key, node) in document.field("spec").map(Node::fields).unwrap_or_default() {
            match key.text.as_str() {
                "hostnames" => {
                    for name in node.items() {
                        match name.text().unwrap_or_default().parse() {
                            Ok(host) => hosts.push(Some(host)),
                            Err(why) => findings.refused(name.at.line, "hostnames", &why),
                        }
                    }
                }
                "rules" => rules = node.items(),
                "parentRefs" => {
                    let why = "it says at which Gateway the route is: capture behind that one, and \
                               write hostnames that its listeners alone have into the route";
                    findings.dropped(key.at.line, "parentRefs", why);
                }
                other => findings.refused(key.at.line, other, "no field that is known"),
            }
        }
        for (index, rule) in rules.iter().enumerate() {
            let rule = self.rule(rule, index, findings);
            // Without hostnames, those of the Gateway's listener count, which are not in the file.
            for host in if hosts.is_empty() { &[None][..] } else { &hosts } {
                for one in &rule.matches {
                    let mut one = one.clone();
                    one.hosts.extend(host.clone());
                    entries.push(Entry {
                        created: self.created.to_owned(),
                        route: self.name.clone(),
                        rule: Rule { matches: vec![one], ..rule.clone() },
                    });
                }
            }
        }
    }

    fn rule(&self, node: &Node, index: usize, findings: &mut Findings) -> Rule {
        let path = format!("rules[{index}]");
        let targets = self.targets(node, &path, findings);
        let scope = Scope { mirrors: !targets.is_empty() };
        let mut matches = Vec::new();
        let mut name = format!("{}-{index}", self.name);
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "name" => name = format!("{name}-{}", node.text().unwrap_or_default()),
                "filters" => {}
                "matches" => {
                    for (index, one) in node.items().iter().enumerate() {
                        matches.push(scope.read(one, &format!("{field}[{index}]"), findings));
                    }
                }
                "backendRefs" => {
                    findings.dropped(key.at.line, &field, OWN);
                    self.backend_filters(node, &field, findings);
                }
                "timeouts" | "retry" | "sessionPersistence" => {
                    findings.dropped(key.at.line, field, OWN);
                }
                _ => findings.refused(key.at.line, field, "no field that is known"),
            }
        }
        if matches.is_empty() {
            matches.push(Match::default());
        }
        Rule { line: node.at.line, name, matches, targets }
    }

    /// A mirror of one backend would get the requests of all.
    fn backend_filters(&self, backends: &Node, path: &str, findings: &mut Findings) {
        for (index, backend) in backends.items().iter().enumerate() {
            let filters = backend.field("filters").map(Node::items).unwrap_or_default();
            for filter in filters {
                let kind = filter.field("type").and_then(Node::text);
                if kind == Some("RequestMirror") {
                    let why = "it mirrors what goes to this backend alone; capture at its pods, \
                               and write the filter for the rule";
                    findings.refused(filter.at.line, format!("{path}[{index}].filters"), why);
                }
            }
        }
    }
}
