//! What a route changes in its requests: `rewrite`, and header operations of the route and its
//! destinations.

use super::super::finding::Findings;
use super::super::wire::{Changes, PathChange};
use crate::yaml::Node;

/// Reads the changes of the route at `path`.
pub(super) fn read(route: &Node, path: &str, findings: &mut Findings) -> Changes {
    let mut changes = Changes::default();
    if let Some(node) = route.field("rewrite") {
        rewrite(node, &format!("{path}.rewrite"), &mut changes, findings);
    }
    if let Some(node) = route.field("headers") {
        operations(node, &format!("{path}.headers"), &mut changes, findings);
    }
    let destinations = route.field("route").map(Node::items).unwrap_or_default();
    for (index, destination) in destinations.iter().enumerate() {
        let field = format!("{path}.route[{index}]");
        for (key, _) in destination.fields() {
            if !matches!(key.text.as_str(), "destination" | "weight" | "headers") {
                let field = format!("{field}.{}", key.text);
                findings.refused(key.at.line, field, "unknown field");
            }
        }
        let Some(node) = destination.field("headers") else { continue };
        let field = format!("{field}.headers");
        if destinations.len() == 1 {
            operations(node, &field, &mut changes, findings);
            continue;
        }
        let mut own = Changes::default();
        operations(node, &field, &mut own, findings);
        if let Some(host) = own.host {
            let why = format!("only some destinations get host {host:?}");
            findings.refused(node.at.line, &field, &why);
        }
        let Changes { remove, set, add, .. } = own;
        changes.varying.extend(remove);
        changes.varying.extend(set.into_iter().chain(add).map(|(name, _)| name));
    }
    changes
}

fn rewrite(node: &Node, path: &str, changes: &mut Changes, findings: &mut Findings) {
    for (key, node) in node.fields() {
        let field = format!("{path}.{}", key.text);
        match key.text.as_str() {
            "uri" => {
                let to = node.text().filter(|to| !to.is_empty());
                if let Some(to) = to.filter(|_| changes.path == PathChange::None) {
                    changes.path = PathChange::Matched(to.to_owned());
                }
            }
            "uriRegexRewrite" => changes.path = PathChange::Unknown,
            "authority" => {
                changes.host = node.text().filter(|to| !to.is_empty()).map(str::to_owned);
            }
            _ => findings.refused(key.at.line, field, "unknown field"),
        }
    }
}

fn operations(node: &Node, path: &str, changes: &mut Changes, findings: &mut Findings) {
    for (key, node) in node.fields() {
        let field = format!("{path}.{}", key.text);
        match key.text.as_str() {
            "request" => request(node, &field, changes, findings),
            "response" => {
                findings.dropped(key.at.line, field, "concerns production's responses only");
            }
            _ => findings.refused(key.at.line, field, "unknown field"),
        }
    }
}

fn request(node: &Node, path: &str, changes: &mut Changes, findings: &mut Findings) {
    for (key, node) in node.fields() {
        match key.text.as_str() {
            "remove" => {
                let names = node.items().iter().filter_map(Node::text);
                let kept = |name: &&str| !is_host(name) && !name.starts_with(':');
                changes.remove.extend(names.filter(kept).map(str::to_owned));
            }
            "set" | "add" => {
                for (name, value) in node.fields() {
                    let value = value.text().unwrap_or_default().to_owned();
                    let line = (name.text.clone(), value);
                    match key.text.as_str() {
                        // As in Istio: setting the host rewrites the authority.
                        _ if is_host(&name.text) => changes.host = Some(line.1),
                        _ if name.text.starts_with(':') => {}
                        "set" => changes.set.push(line),
                        _ => changes.add.push(line),
                    }
                }
            }
            _ => {
                let field = format!("{path}.{}", key.text);
                findings.refused(key.at.line, field, "unknown field");
            }
        }
    }
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}
