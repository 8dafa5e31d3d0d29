//! The filters of a rule (HTTPRouteFilter), of which RequestMirror has targets.

use super::{APPLIED, Route};
use crate::config::convert::finding::Findings;
use crate::config::convert::native::Target;
use crate::config::convert::service::{Wanted, full_name};
use crate::config::yaml::Node;
use crate::rules::sample::Portion;

impl Route<'_> {
    /// Where a rule is mirrored to; explicit zeros are left out.
    pub(super) fn targets(&self, rule: &Node, path: &str, findings: &mut Findings) -> Vec<Target> {
        let mut targets = Vec::new();
        let filters = rule.field("filters").map(Node::items).unwrap_or_default();
        for (index, filter) in filters.iter().enumerate() {
            let path = format!("{path}.filters[{index}]");
            match filter.field("type").and_then(Node::text).unwrap_or_default() {
                "RequestMirror" => match filter.field("requestMirror") {
                    Some(mirror) => targets.extend(self.target(mirror, &path, findings)),
                    None => findings.refused(filter.at.line, path, "requestMirror is required"),
                },
                "RequestHeaderModifier" | "ResponseHeaderModifier" | "URLRewrite" | "CORS" => {
                    findings.dropped(filter.at.line, path, APPLIED);
                }
                "RequestRedirect" => {
                    let why = "what it answers does not reach the server";
                    findings.dropped(filter.at.line, path, why);
                }
                "ExtensionRef" | "ExternalAuth" => {
                    let why = "what it lets through is what the server's wire shows";
                    findings.dropped(filter.at.line, path, why);
                }
                _ => findings.refused(filter.at.line, path, "no type that is known"),
            }
        }
        targets
    }

    fn target(&self, mirror: &Node, path: &str, findings: &mut Findings) -> Option<Target> {
        for (key, _) in mirror.fields() {
            if !matches!(key.text.as_str(), "backendRef" | "percent" | "fraction") {
                findings.refused(
                    key.at.line,
                    format!("{path}.{}", key.text),
                    "no field that is known",
                );
            }
        }
        let portion = match (mirror.field("percent"), mirror.field("fraction")) {
            (Some(node), Some(_)) => {
                findings.refused(node.at.line, path, "percent and fraction cannot be given both");
                return None;
            }
            (Some(node), None) => percent(node, path, findings)?,
            (None, Some(node)) => fraction(node, path, findings)?,
            (None, None) => Portion::ALL,
        };
        if portion == Portion::NONE {
            return None;
        }
        let Some(backend) = mirror.field("backendRef") else {
            findings.refused(mirror.at.line, path, "a backendRef is required");
            return None;
        };
        let url = self.backend(backend, path, findings)?;
        Some(Target { url, portion, timeout: None })
    }

    fn backend(&self, backend: &Node, path: &str, findings: &mut Findings) -> Option<String> {
        let of = |name| backend.field(name).and_then(Node::text);
        let field = format!("{path}.backendRef");
        if of("kind").unwrap_or("Service") != "Service"
            || !of("group").unwrap_or_default().is_empty()
        {
            findings.refused(
                backend.at.line,
                field,
                "only a Service can be resolved; give a URL by hand",
            );
            return None;
        }
        for (key, _) in backend.fields() {
            let known = ["group", "kind", "name", "namespace", "port"];
            if !known.contains(&key.text.as_str()) {
                findings.refused(
                    key.at.line,
                    format!("{field}.{}", key.text),
                    "no field that is known",
                );
            }
        }
        let namespace = of("namespace").unwrap_or(self.namespace);
        if namespace != self.namespace {
            let why = "another namespace: whether a ReferenceGrant allows it was not looked at";
            findings.approximated(backend.at.line, &field, why);
        }
        let (Some(name), Some(port)) = (of("name"), of("port").and_then(|port| port.parse().ok()))
        else {
            findings.refused(backend.at.line, field, "a name and a port number are required");
            return None;
        };
        let wanted = Wanted {
            host: &full_name(name, namespace),
            port: Some(port),
            subset: None,
            line: backend.at.line,
            field: &field,
        };
        self.services.url(&wanted, findings)
    }
}

fn percent(node: &Node, path: &str, findings: &mut Findings) -> Option<Portion> {
    let percent = node.text().and_then(|text| text.parse::<u32>().ok());
    let percent = percent.filter(|percent| *percent <= 100);
    if percent.is_none() {
        findings.refused(node.at.line, path, "percent must be a whole number from 0 to 100");
    }
    percent.and_then(|percent| Portion::percent(&percent.to_string()).ok())
}

fn fraction(node: &Node, path: &str, findings: &mut Findings) -> Option<Portion> {
    let part = |name| node.field(name).map(|node| node.text().and_then(|n| n.parse::<u32>().ok()));
    match (part("numerator"), part("denominator").unwrap_or(Some(100))) {
        (Some(Some(n)), Some(of)) if of >= 1 && n <= of => {
            Portion::fraction(&format!("{n}/{of}")).ok()
        }
        _ => {
            let why = "a fraction has a numerator from 0 on and a denominator (100) not below it";
            findings.refused(node.at.line, path, why);
            None
        }
    }
}
