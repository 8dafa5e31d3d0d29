//! Conditions of a route (HTTPMatchRequest, StringMatch).

use super::gateway::Binding;
use crate::config::convert::condition::ConditionPolicy;
use crate::config::convert::finding::Findings;
use crate::config::convert::service::texts;
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, PortRange, TextMatch};
use crate::yaml::{Node, Value};

/// Reads the conditions of one route.
pub(super) struct MatchReader<'a> {
    pub(super) policy: ConditionPolicy,
    /// The capture point.
    pub(super) bound: &'a Binding,
    pub(super) namespace: &'a str,
    /// The gateways of the VirtualService.
    pub(super) gateways: &'a [&'a str],
}

impl MatchReader<'_> {
    fn unconvertible(&self, line: usize, field: &str, why: &str, findings: &mut Findings) {
        self.policy.unconvertible(line, field, why, findings);
    }

    /// Reads one match: conditions that must all hold; `None` if it is for another gateway.
    pub(super) fn read(&self, node: &Node, path: &str, findings: &mut Findings) -> Option<Match> {
        if let Some(gateways) = node.field("gateways").filter(|list| !list.items().is_empty())
            && !self.counts(gateways, &format!("{path}.gateways"), findings)
        {
            return None;
        }
        let mut result = Match::default();
        let ignore_case = node.field("ignoreUriCase").and_then(Node::text) == Some("true");
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "name" | "ignoreUriCase" | "gateways" => {}
                "statPrefix" => {
                    findings.dropped(key.at.line, field, "only a prefix for Envoy's statistics")
                }
                "uri" => result.path = self.uri(node, ignore_case, &field, findings),
                "method" => match self.text(node, &field, findings) {
                    Some(TextMatch::Exact(method)) => result.methods.push(method),
                    Some(_) => self.unconvertible(key.at.line, &field, "name one method", findings),
                    None => {}
                },
                "authority" => {
                    let text = self.text(node, &field, findings);
                    result.headers.extend(text.map(|text| ("host".to_owned(), text)));
                }
                "headers" => self.headers(node, &field, &mut result.headers, findings),
                "withoutHeaders" => {
                    let mut present = Vec::new();
                    self.headers(node, &field, &mut present, findings);
                    let inverted = present.into_iter().map(|(name, text)| match text {
                        TextMatch::Present => (name, TextMatch::Absent),
                        text => (name, TextMatch::Not(Box::new(text))),
                    });
                    result.headers.extend(inverted);
                }
                "queryParams" => {
                    for (key, node) in node.fields() {
                        let field = format!("{field}.{}", key.text);
                        let text = self.text(node, &field, findings);
                        result.query.extend(text.map(|text| (key.text.clone(), text)));
                    }
                }
                "port" => match node.text().and_then(|port| port.parse::<PortRange>().ok()) {
                    Some(port) => {
                        let why = "this is the service's port; if the pod listens on another one \
                                   (targetPort), use that";
                        findings.approximated(key.at.line, &field, why);
                        result.ports.push(port);
                    }
                    None => self.unconvertible(key.at.line, &field, "not a port number", findings),
                },
                "scheme" => {
                    let why = "the server's wire does not show whether the client used TLS";
                    self.unconvertible(key.at.line, &field, why, findings);
                }
                "sourceLabels" | "sourceNamespace" => {
                    let why = "pods cannot be recognized by label on the wire; use their addresses (source)";
                    self.unconvertible(key.at.line, &field, why, findings);
                }
                _ => self.unconvertible(key.at.line, &field, "unknown condition", findings),
            }
        }
        Some(result)
    }

    /// True if a match that is limited to these gateways applies at the capture point.
    fn counts(&self, node: &Node, field: &str, findings: &mut Findings) -> bool {
        let own = texts(node);
        let Some(other) = self.gateways.iter().find(|name| !own.contains(name)) else {
            return self.bound.is_bound(node, self.namespace, field, findings);
        };
        if !self.bound.is_mesh() {
            return self.bound.is_bound(node, self.namespace, field, findings);
        }
        // The server sees requests through each of them.
        let why = format!("the server also sees requests that came through {other}");
        if own.contains(&"mesh") || !self.policy.mirrors {
            self.unconvertible(node.at.line, field, &why, findings);
            return true;
        }
        self.bound.is_bound(node, self.namespace, field, findings)
    }

    fn uri(
        &self,
        node: &Node,
        ignore_case: bool,
        field: &str,
        findings: &mut Findings,
    ) -> Option<PathMatch> {
        let kind = match self.text(node, field, findings)? {
            TextMatch::Exact(text) => PathKind::Exact(text),
            TextMatch::Prefix(text) => PathKind::Prefix(text),
            TextMatch::Regex(pattern) => PathKind::Regex(pattern),
            TextMatch::Present | TextMatch::Absent | TextMatch::Not(_) => return None,
        };
        // As documented by Istio, ignoreUriCase does not apply to regular expressions.
        let ignore_case = ignore_case && !matches!(kind, PathKind::Regex(_));
        Some(PathMatch { kind, ignore_case })
    }

    fn headers(
        &self,
        node: &Node,
        path: &str,
        out: &mut Vec<(String, TextMatch)>,
        findings: &mut Findings,
    ) {
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "uri" | "scheme" | "method" | "authority" => {
                    findings.dropped(key.at.line, &field, "Istio ignores it, too");
                }
                name if name.starts_with(['@', ':']) => {
                    let why = "not a header on the server's wire";
                    self.unconvertible(key.at.line, &field, why, findings);
                }
                name => {
                    let text = self.text(node, &field, findings);
                    out.extend(text.map(|text| (name.to_owned(), text)));
                }
            }
        }
    }

    /// A StringMatch; `None` if it cannot be converted, and a finding says why.
    fn text(&self, node: &Node, field: &str, findings: &mut Findings) -> Option<TextMatch> {
        if is_presence(node) {
            return Some(TextMatch::Present);
        }
        if let [(key, value)] = node.fields()
            && let Some(text) = value.text()
        {
            let text = text.to_owned();
            match key.text.as_str() {
                "exact" => return Some(TextMatch::Exact(text)),
                "prefix" => return Some(TextMatch::Prefix(text)),
                "regex" => match Pattern::new(&text) {
                    Ok(pattern) => return Some(TextMatch::Regex(pattern)),
                    Err(why) => {
                        self.unconvertible(value.at.line, field, &why, findings);
                        return None;
                    }
                },
                _ => {}
            }
        }
        self.unconvertible(
            node.at.line,
            field,
            "needs exactly one of exact, prefix and regex",
            findings,
        );
        None
    }
}

/// True for a condition that only requires presence.
fn is_presence(node: &Node) -> bool {
    let is_star = |key: &str, node: &Node| key == "regex" && node.text() == Some("*");
    match &node.value {
        Value::Null => true,
        Value::Map(fields) => fields.iter().all(|(key, node)| is_star(&key.text, node)),
        Value::Scalar { .. } | Value::List(_) => false,
    }
}
