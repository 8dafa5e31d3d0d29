//! The conditions of a route (HTTPMatchRequest, StringMatch).

use super::gateway::Bound;
use crate::config::convert::finding::Findings;
use crate::config::convert::service::texts;
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, PortRange, TextMatch};
use crate::yaml::{Node, Value};

/// Whose conditions are read.
pub(super) struct Scope<'a> {
    /// True for a route that mirrors. What its conditions leave out would capture more; the
    /// conditions of others are left out, as a wider shield captures less.
    pub(super) mirrors: bool,
    /// Where routes must be bound to count.
    pub(super) bound: &'a Bound,
    pub(super) namespace: &'a str,
    /// The gateways of the VirtualService.
    pub(super) gateways: &'a [&'a str],
}

impl Scope<'_> {
    /// What a condition that cannot be converted comes to.
    fn cannot(&self, line: usize, field: &str, why: &str, findings: &mut Findings) {
        if self.mirrors {
            findings.refused(line, field, why);
        } else {
            let why = format!("{why}; without it this route, which mirrors nothing, shields more");
            findings.approximated(line, field, &why);
        }
    }

    /// One set of conditions, all of which must hold; `None` for one of another gateway.
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
                "statPrefix" => findings.dropped(key.at.line, field, "it names Envoy's statistics"),
                "uri" => result.path = self.uri(node, ignore_case, &field, findings),
                "method" => match self.text(node, &field, findings) {
                    Some(TextMatch::Exact(method)) => result.methods.push(method),
                    Some(_) => self.cannot(key.at.line, &field, "name one method", findings),
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
                        let why = "the service's port; where the pod listens on another \
                                   (targetPort), write that one";
                        findings.approximated(key.at.line, &field, why);
                        result.ports.push(port);
                    }
                    None => self.cannot(key.at.line, &field, "no port number", findings),
                },
                "scheme" => {
                    let why = "whether the client spoke TLS is not on the server's wire";
                    self.cannot(key.at.line, &field, why, findings);
                }
                "sourceLabels" | "sourceNamespace" => {
                    let why = "pods cannot be told by label here; write their addresses (source)";
                    self.cannot(key.at.line, &field, why, findings);
                }
                _ => self.cannot(key.at.line, &field, "no condition that is known", findings),
            }
        }
        Some(result)
    }

    /// True when a match for these gateways alone counts where the native file captures.
    fn counts(&self, node: &Node, field: &str, findings: &mut Findings) -> bool {
        let own = texts(node);
        let Some(other) = self.gateways.iter().find(|name| !own.contains(name)) else {
            return self.bound.is_bound(node, self.namespace, field, findings);
        };
        if !self.bound.is_mesh() {
            return self.bound.is_bound(node, self.namespace, field, findings);
        }
        // The server sees what came by each of them.
        let why = format!("the server sees what came by {other} as well");
        if own.contains(&"mesh") || !self.mirrors {
            self.cannot(node.at.line, field, &why, findings);
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
        // Istio's documentation: the case of a regular expression is its own.
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
                    findings.dropped(key.at.line, &field, "Istio passes over it, too");
                }
                name if name.starts_with(['@', ':']) => {
                    let why = "no header of the request as it is on the server's wire";
                    self.cannot(key.at.line, &field, why, findings);
                }
                name => {
                    let text = self.text(node, &field, findings);
                    out.extend(text.map(|text| (name.to_owned(), text)));
                }
            }
        }
    }

    /// A StringMatch; `None` when it cannot be converted, which was said.
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
                        self.cannot(value.at.line, field, &why, findings);
                        return None;
                    }
                },
                _ => {}
            }
        }
        self.cannot(node.at.line, field, "give one of exact, prefix and regex", findings);
        None
    }
}

/// True for a value that says only that something is there.
fn is_presence(node: &Node) -> bool {
    let is_star = |key: &str, node: &Node| key == "regex" && node.text() == Some("*");
    match &node.value {
        Value::Null => true,
        Value::Map(fields) => fields.iter().all(|(key, node)| is_star(&key.text, node)),
        Value::Scalar { .. } | Value::List(_) => false,
    }
}
