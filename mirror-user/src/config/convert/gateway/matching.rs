//! Conditions of a rule (HTTPRouteMatch).

use crate::config::convert::condition::ConditionPolicy;
use crate::config::convert::finding::Findings;
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, TextMatch};
use crate::yaml::Node;

/// Reads the conditions of one rule.
pub(super) struct MatchReader {
    pub(super) policy: ConditionPolicy,
}

impl MatchReader {
    fn unconvertible(&self, line: usize, field: &str, why: &str, findings: &mut Findings) {
        self.policy.unconvertible(line, field, why, findings);
    }

    /// Reads one match: conditions that must all hold.
    pub(super) fn read(&self, node: &Node, path: &str, findings: &mut Findings) -> Match {
        let mut result = Match::default();
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "path" => result.path = self.path(node, &field, findings),
                "method" => result.methods.extend(node.text().map(str::to_owned)),
                "headers" => {
                    for (name, text) in self.named(node, &field, findings) {
                        // Of equal names, the first counts.
                        let known =
                            |(other, _): &(String, TextMatch)| other.eq_ignore_ascii_case(&name);
                        if !result.headers.iter().any(known) {
                            result.headers.push((name, text));
                        }
                    }
                }
                "queryParams" => {
                    for (name, text) in self.named(node, &field, findings) {
                        if !result.query.iter().any(|(other, _)| *other == name) {
                            result.query.push((name, text));
                        }
                    }
                }
                _ => self.unconvertible(key.at.line, &field, "unknown condition", findings),
            }
        }
        result
    }

    fn path(&self, node: &Node, field: &str, findings: &mut Findings) -> Option<PathMatch> {
        let text = node.field("value").and_then(Node::text).unwrap_or("/").to_owned();
        let kind = match node.field("type").and_then(Node::text).unwrap_or("PathPrefix") {
            "Exact" => PathKind::Exact(text),
            // Every path matches; leaving it out keeps the right precedence.
            "PathPrefix" if text == "/" => return None,
            "PathPrefix" => PathKind::Segments(text),
            "RegularExpression" => {
                let why = "precedence and dialect of regular expressions are implementation-specific; \
                           here a rule that mirrors comes last and must match the whole path, one \
                           that does not comes first and matches any part";
                findings.approximated(node.at.line, field, why);
                match self.pattern(&text) {
                    Ok(pattern) => PathKind::Regex(pattern),
                    Err(why) => {
                        self.unconvertible(node.at.line, field, &why, findings);
                        return None;
                    }
                }
            }
            _ => {
                self.unconvertible(node.at.line, field, "unknown type", findings);
                return None;
            }
        };
        Some(PathMatch { kind, ignore_case: false })
    }

    /// A regular expression. Whether it must match the whole value is implementation-specific: for rules
    /// that mirror nothing, any part matches.
    fn pattern(&self, text: &str) -> Result<Pattern, String> {
        let pattern = Pattern::new(text)?;
        if self.policy.mirrors { Ok(pattern) } else { Pattern::new(&format!(".*(?:{text}).*")) }
    }

    /// Conditions on header fields or query parameters.
    fn named(&self, node: &Node, path: &str, findings: &mut Findings) -> Vec<(String, TextMatch)> {
        let mut result = Vec::new();
        for (index, one) in node.items().iter().enumerate() {
            let field = format!("{path}[{index}]");
            let known = |name: &str| matches!(name, "name" | "type" | "value");
            let of = |name| one.field(name).and_then(Node::text);
            let text = match (of("type").unwrap_or("Exact"), of("value")) {
                _ if one.fields().iter().any(|(key, _)| !known(&key.text)) => None,
                ("Exact", Some(value)) => Some(TextMatch::Exact(value.to_owned())),
                ("RegularExpression", Some(value)) => {
                    self.pattern(value).ok().map(TextMatch::Regex)
                }
                _ => None,
            };
            match (of("name"), text) {
                (Some(name), Some(text)) => result.push((name.to_owned(), text)),
                _ => self.unconvertible(
                    one.at.line,
                    &field,
                    "give a name, a known type and a value",
                    findings,
                ),
            }
        }
        result
    }
}
