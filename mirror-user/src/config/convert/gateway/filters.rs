//! The filters of a rule (HTTPRouteFilter): changes, direct responses, mirrors.

use crate::config::convert::finding::Findings;
use crate::config::convert::wire::{Changes, PathChange};
use crate::yaml::Node;

/// The filters of a rule.
#[derive(Default)]
pub(super) struct Filters<'a> {
    pub(super) changes: Changes,
    /// True if they respond to every request themselves.
    pub(super) answered: bool,
    /// True if they respond to CORS preflight requests.
    pub(super) preflight: bool,
    /// Line and path of a filter with unknown effects.
    pub(super) unknown: Option<(usize, String)>,
    /// The RequestMirror filters, with their paths.
    pub(super) mirrors: Vec<(&'a Node, String)>,
}

impl<'a> Filters<'a> {
    pub(super) fn read(rule: &'a Node, path: &str, findings: &mut Findings) -> Self {
        let mut filters = Self::default();
        for (index, node) in items(rule, "filters").iter().enumerate() {
            filters.add(node, format!("{path}.filters[{index}]"), findings);
        }
        let backends = items(rule, "backendRefs");
        for (index, backend) in backends.iter().enumerate() {
            for (place, node) in items(backend, "filters").iter().enumerate() {
                let path = format!("{path}.backendRefs[{index}].filters[{place}]");
                filters.add_of_backend(node, path, backends.len() == 1, findings);
            }
        }
        filters
    }

    fn add(&mut self, node: &'a Node, path: String, findings: &mut Findings) {
        let line = node.at.line;
        match kind(node) {
            "RequestMirror" => match node.field("requestMirror") {
                Some(mirror) => self.mirrors.push((mirror, path)),
                None => findings.refused(line, path, "requestMirror is required"),
            },
            "RequestHeaderModifier" => {
                header_changes(node.field("requestHeaderModifier"), &mut self.changes);
            }
            "URLRewrite" => {
                let rewrite = node.field("urlRewrite").map(Node::fields).unwrap_or_default();
                for (key, value) in rewrite {
                    match (key.text.as_str(), kind(value)) {
                        ("hostname", _) => self.changes.host = value.text().map(str::to_owned),
                        ("path", kind) => {
                            let to = |name| {
                                value
                                    .field(name)
                                    .and_then(Node::text)
                                    .unwrap_or_default()
                                    .to_owned()
                            };
                            self.changes.path = match kind {
                                "ReplaceFullPath" => PathChange::Full(to("replaceFullPath")),
                                "ReplacePrefixMatch" => {
                                    PathChange::Segments(to("replacePrefixMatch"))
                                }
                                _ => PathChange::Unknown,
                            };
                        }
                        _ => {
                            let field = format!("{path}.urlRewrite.{}", key.text);
                            findings.refused(key.at.line, field, "unknown field");
                        }
                    }
                }
            }
            "ResponseHeaderModifier" => {
                findings.dropped(line, path, "concerns production's responses only");
            }
            "CORS" => {
                self.preflight = true;
                findings.dropped(line, path, "requests that it responds to are not mirrored");
            }
            "RequestRedirect" => {
                self.answered = true;
                findings.dropped(line, path, "requests that it responds to are not mirrored");
            }
            "ExtensionRef" | "ExternalAuth" => {
                self.changes.opaque = true;
                self.unknown = Some((line, path));
            }
            _ => findings.refused(line, path, "unknown type"),
        }
    }

    /// Filters of a backend apply to all requests if it is the only one.
    fn add_of_backend(
        &mut self,
        node: &'a Node,
        path: String,
        is_only: bool,
        findings: &mut Findings,
    ) {
        let line = node.at.line;
        match kind(node) {
            "RequestMirror" => {
                let why = "it mirrors only requests to this backend; capture at its pods, and move the \
                           filter to the rule";
                findings.refused(line, path, why);
            }
            "RequestHeaderModifier" | "ResponseHeaderModifier" if is_only => {
                self.add(node, path, findings);
            }
            "RequestHeaderModifier" => {
                let mut own = Changes::default();
                header_changes(node.field("requestHeaderModifier"), &mut own);
                let Changes { remove, set, add, host, .. } = own;
                self.changes.varying.extend(remove);
                self.changes.varying.extend(set.into_iter().chain(add).map(|(name, _)| name));
                self.changes.opaque |= host.is_some();
            }
            "ResponseHeaderModifier" => {}
            _ => {
                self.changes.opaque = true;
                self.unknown = Some((line, path));
            }
        }
    }
}

fn header_changes(node: Option<&Node>, changes: &mut Changes) {
    let Some(node) = node else { return };
    let names = items(node, "remove").iter().filter_map(Node::text);
    changes.remove.extend(names.map(str::to_owned));
    for (list, out) in [("set", &mut changes.set), ("add", &mut changes.add)] {
        for line in items(node, list) {
            let of = |name| line.field(name).and_then(Node::text).unwrap_or_default().to_owned();
            match of("name") {
                name if name.eq_ignore_ascii_case("host") => changes.host = Some(of("value")),
                // The Gateway API has no variables in values.
                name => out.push((name, of("value").replace('%', "%%"))),
            }
        }
    }
}

fn kind(node: &Node) -> &str {
    node.field("type").and_then(Node::text).unwrap_or_default()
}

fn items<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    node.field(name).map(Node::items).unwrap_or_default()
}
