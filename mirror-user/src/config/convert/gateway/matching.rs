//! The conditions of a rule (HTTPRouteMatch).

use crate::config::convert::finding::Findings;
use crate::rules::select::{Match, PathKind, PathMatch, Pattern, TextMatch};
use crate::yaml::Node;

/// Whose conditions are read.
pub(super) struct Scope {
    /// True for a rule that mirrors. What its conditions leave out would capture more; the
    /// conditions of others are left out, as a wider shield captures less.
    pub(super) mirrors: bool,
}

impl Scope {
    fn cannot(&self, line: usize, field: &str, why: &str, findings: &mut Findings) {
        if self.mirrors {
            findings.refused(line, field, why);
        } else {
            let why = format!("{why}; without it this rule, which mirrors nothing, shields more");
            findings.approximated(line, field, &why);
        }
    }

    /// One set of conditions, all of which must hold.
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
                _ => self.cannot(key.at.line, &field, "no condition that is known", findings),
            }
        }
        result
    }

    fn path(&self, node: &Node, field: &str, findings: &mut Findings) -> Option<PathMatch> {
        let text = node.field("value").and_then(Node::text).unwrap_or("/").to_owned();
        let kind = match node.field("type").and_then(Node::text).unwrap_or("PathPrefix") {
            "Exact" => PathKind::Exact(text),
            // Every path begins so; and what is left out is not weighed as a longer prefix.
            "PathPrefix" if text == "/" => return None,
            "PathPrefix" => PathKind::Segments(text),
            "RegularExpression" => {
                let why = "its place among the others and its dialect are the implementation's; here \
                           one that mirrors comes behind them and must match the whole path, one \
                           that does not comes first and matches any part";
                findings.approximated(node.at.line, field, why);
                match self.pattern(&text) {
                    Ok(pattern) => PathKind::Regex(pattern),
                    Err(why) => {
                        self.cannot(node.at.line, field, &why, findings);
                        return None;
                    }
                }
            }
            _ => {
                self.cannot(node.at.line, field, "no type that is known", findings);
                return None;
            }
        };
        Some(PathMatch { kind, ignore_case: false })
    }

    /// An expression. Whether it must match the whole is the implementation's to say: a shield's need
    /// not.
    fn pattern(&self, text: &str) -> Result<Pattern, String> {
        let pattern = Pattern::new(text)?;
        if self.mirrors { Ok(pattern) } else { Pattern::new(&format!(".*(?:{text}).*")) }
    }

    /// Conditions on fields or parameters by their names.
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
                _ => self.cannot(
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
