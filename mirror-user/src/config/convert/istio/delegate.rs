//! Merges routes of delegate VirtualServices (`delegate`) with their root, as Istio does.
//!
//! Works on YAML trees: the result is a route as if it were written in one place, with host names
//! qualified by the namespace in which they were written.

use super::super::finding::Findings;
use super::super::hosts::full_name;
use super::super::policy::is_exported;
use super::super::service::namespace;
use super::super::{MAX_RULES, TOO_MANY};
use crate::yaml::{Key, Node, Value};

/// Fields that a delegate's route inherits from the root's if it does not set them.
const INHERITED: [&str; 11] = [
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "mirrors",
    "headers",
];

/// The VirtualServices of a file, to resolve delegates.
pub(super) struct Roots<'a> {
    services: Vec<&'a Node>,
}

/// A VirtualService without hosts is a delegate.
pub(super) fn is_delegate(document: &Node) -> bool {
    document.at(&["spec", "hosts"]).is_none_or(|hosts| hosts.items().is_empty())
}

impl<'a> Roots<'a> {
    pub(super) fn new(documents: &'a [Node]) -> Self {
        let kind = |one: &&Node| one.field("kind").and_then(Node::text) == Some("VirtualService");
        Self { services: documents.iter().filter(kind).collect() }
    }

    /// True if a root delegates to this one.
    pub(super) fn references(&self, delegate: &Node) -> bool {
        self.services.iter().filter(|one| !is_delegate(one)).any(|root| {
            http(root)
                .iter()
                .filter_map(|route| route.field("delegate"))
                .any(|to| self.delegate(root, to).is_some_and(|one| std::ptr::eq(one, delegate)))
        })
    }

    fn delegate(&self, root: &Node, to: &Node) -> Option<&'a Node> {
        let client = namespace(root);
        let of = to.field("namespace").and_then(Node::text).unwrap_or(client);
        let name = to.field("name").and_then(Node::text)?;
        self.services.iter().copied().find(|one| {
            is_delegate(one)
                && namespace(one) == of
                && one.at(&["metadata", "name"]).and_then(Node::text) == Some(name)
                && is_exported(one, of, client)
        })
    }

    /// The routes of a root, with their paths.
    pub(super) fn routes(&self, root: &Node, findings: &mut Findings) -> Vec<(String, Node)> {
        let mut routes = Vec::new();
        let mut matches = 0_usize;
        for (index, route) in http(root).iter().enumerate() {
            let path = format!("http[{index}]");
            let own = qualified(route, namespace(root));
            let Some(to) = route.field("delegate") else {
                routes.push((path, own));
                continue;
            };
            let field = format!("{path}.delegate");
            let Some(delegate) = self.delegate(root, to) else {
                let why = "the file has no VirtualService with this name and without hosts; add it";
                findings.refused(to.at.line, field, why);
                continue;
            };
            for (index, part) in http(delegate).iter().enumerate() {
                let path = format!("{field}.http[{index}]");
                if part.field("delegate").is_some() {
                    let why = "a delegate cannot delegate further: Istio ignores it";
                    findings.refused(part.at.line, path, why);
                    continue;
                }
                let of = |route: &Node| items(route, "match").len().max(1);
                matches = matches.saturating_add(of(&own).saturating_mul(of(part)));
                if matches > MAX_RULES {
                    findings.refused(part.at.line, path, TOO_MANY);
                    return routes;
                }
                match merged(&own, &qualified(part, namespace(delegate))) {
                    Some(route) => routes.push((path, route)),
                    None => {
                        let why = "its conditions contradict the root's: Istio ignores it";
                        findings.dropped(part.at.line, path, why);
                    }
                }
            }
        }
        routes
    }
}

fn http(document: &Node) -> &[Node] {
    document.at(&["spec", "http"]).map(Node::items).unwrap_or_default()
}

/// The route with fully qualified host names.
fn qualified(route: &Node, namespace: &str) -> Node {
    let mut route = route.clone();
    for (key, node) in fields_mut(&mut route) {
        match key.text.as_str() {
            "mirror" => full_host(node, namespace),
            "mirrors" | "route" => {
                let Value::List(parts) = &mut node.value else { continue };
                for (key, node) in parts.iter_mut().flat_map(fields_mut) {
                    if key.text == "destination" {
                        full_host(node, namespace);
                    }
                }
            }
            _ => {}
        }
    }
    route
}

fn full_host(destination: &mut Node, namespace: &str) {
    for (key, node) in fields_mut(destination) {
        if key.text == "host"
            && let Value::Scalar { text, .. } = &mut node.value
        {
            *text = full_name(text, namespace);
        }
    }
}

fn fields_mut(node: &mut Node) -> &mut [(Key, Node)] {
    match &mut node.value {
        Value::Map(fields) => fields,
        _ => &mut [],
    }
}

/// A delegate's route merged into its root's; `None` if no request could match both.
fn merged(root: &Node, part: &Node) -> Option<Node> {
    let conditions = merged_matches(items(root, "match"), items(part, "match"))?;
    let mut fields: Vec<(Key, Node)> = Vec::new();
    for (key, node) in part.fields() {
        if !matches!(key.text.as_str(), "match" | "name") {
            fields.push((key.clone(), node.clone()));
        }
    }
    for (key, node) in root.fields() {
        if INHERITED.contains(&key.text.as_str()) && part.field(&key.text).is_none() {
            fields.push((key.clone(), node.clone()));
        }
    }
    let key = |text: &str| Key { at: part.at, text: text.to_owned() };
    if !conditions.is_empty() {
        fields.push((key("match"), Node { at: part.at, value: Value::List(conditions) }));
    }
    let name = |node: &Node| node.field("name").and_then(Node::text).map(str::to_owned);
    let names: Vec<String> = [name(root), name(part)].into_iter().flatten().collect();
    if !names.is_empty() {
        let value = Value::Scalar { text: names.join("-"), plain: true };
        fields.push((key("name"), Node { at: part.at, value }));
    }
    Some(Node { at: part.at, value: Value::Map(fields) })
}

fn items<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    node.field(name).map(Node::items).unwrap_or_default()
}

/// Combines each match of the delegate with each compatible match of the root. `None` if one is
/// compatible with none.
fn merged_matches(root: &[Node], part: &[Node]) -> Option<Vec<Node>> {
    if root.is_empty() || part.is_empty() {
        return Some(if root.is_empty() { part } else { root }.to_vec());
    }
    let mut merged = Vec::new();
    for part in part {
        let fitting: Vec<&Node> = root.iter().filter(|root| !contradict(root, part)).collect();
        if fitting.is_empty() {
            return None;
        }
        merged.extend(fitting.into_iter().map(|root| merged_match(root, part)));
    }
    Some(merged)
}

fn merged_match(root: &Node, part: &Node) -> Node {
    let mut fields: Vec<(Key, Node)> = part.fields().to_vec();
    for (key, node) in root.fields() {
        let maps = ["headers", "withoutHeaders", "queryParams", "sourceLabels"];
        match fields.iter_mut().find(|(other, _)| other.text == key.text) {
            Some((_, own)) if maps.contains(&key.text.as_str()) => {
                let more = node.fields().iter().filter(|(key, _)| own.field(&key.text).is_none());
                let more: Vec<_> = more.cloned().collect();
                if let Value::Map(own) = &mut own.value {
                    own.extend(more);
                }
            }
            Some(_) => {}
            None => fields.push((key.clone(), node.clone())),
        }
    }
    Node { at: part.at, value: Value::Map(fields) }
}

/// True if, according to Istio, no request could match both.
fn contradict(root: &Node, part: &Node) -> bool {
    let texts = ["uri", "scheme", "method", "authority"];
    let maps = ["headers", "withoutHeaders", "queryParams"];
    let differ = |name: &str| match (text(root, name), text(part, name)) {
        (Some(root), Some(part)) => root != part,
        _ => false,
    };
    let ignores = |node: &Node| text(node, "ignoreUriCase") == Some("true");
    let source = text(root, "sourceNamespace");
    let of = |map: &Node, key: &str| map.field(key).cloned();
    texts.iter().any(|name| texts_contradict(root.field(name), part.field(name)))
        || maps.iter().any(|name| {
            let own = part.field(name).map(Node::fields).unwrap_or_default();
            own.iter().any(|(key, node)| {
                let other = root.field(name).and_then(|map| of(map, &key.text));
                texts_contradict(other.as_ref(), Some(node))
            })
        })
        || ignores(root) != ignores(part)
        || differ("port")
        || (source.is_some() && text(part, "sourceNamespace") != source)
        || part.field("sourceLabels").map(Node::fields).unwrap_or_default().iter().any(
            |(key, node)| {
                let other = root.field("sourceLabels").and_then(|labels| labels.field(&key.text));
                other.is_some_and(|other| other.text() != node.text())
            },
        )
        || gateways_contradict(items(root, "gateways"), items(part, "gateways"))
}

fn gateways_contradict(root: &[Node], part: &[Node]) -> bool {
    let among = |one: &Node| root.iter().any(|other| other.text() == one.text());
    !root.is_empty() && !part.is_empty() && !part.iter().all(among)
}

fn text<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.field(name).and_then(Node::text)
}

/// For two StringMatches: the delegate's must be a subset of the root's.
fn texts_contradict(root: Option<&Node>, part: Option<&Node>) -> bool {
    let (Some(root), Some(part)) = (root, part) else { return false };
    let of = |node, name| text(node, name).filter(|text| !text.is_empty());
    let is_regex = |node| of(node, "regex").is_some();
    let says = |node| ["regex", "prefix", "exact"].iter().any(|name| of(node, name).is_some());
    if (is_regex(root) && says(part)) || (is_regex(part) && says(root)) {
        return true;
    }
    match (of(root, "exact"), of(root, "prefix"), of(part, "exact"), of(part, "prefix")) {
        (Some(exact), _, part, None) => part != Some(exact),
        (Some(_), _, _, Some(_)) => true,
        (None, Some(prefix), Some(part), _) | (None, Some(prefix), None, Some(part)) => {
            !part.starts_with(prefix)
        }
        _ => true,
    }
}
