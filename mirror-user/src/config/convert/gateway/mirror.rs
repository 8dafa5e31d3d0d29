//! The targets of RequestMirror filters.

use std::time::Duration;

use super::Route;
use crate::config::convert::finding::Findings;
use crate::config::convert::native::{Endpoint, Target};
use crate::config::convert::service::{Wanted, namespace};
use crate::rules::sample::Portion;
use crate::yaml::Node;

impl Route<'_> {
    /// The mirror targets of a rule, without those with an explicit 0 %.
    pub(super) fn targets(
        &self,
        mirrors: &[(&Node, String)],
        timeout: Option<Duration>,
        findings: &mut Findings,
    ) -> Vec<Target> {
        let targets = mirrors.iter().filter_map(|(mirror, path)| {
            let (endpoint, portion) = self.target(mirror, path, findings)?;
            Some(Target { endpoint, portion, timeout, host: None, edits: Default::default() })
        });
        targets.collect()
    }

    fn target(
        &self,
        mirror: &Node,
        path: &str,
        findings: &mut Findings,
    ) -> Option<(Endpoint, Portion)> {
        for (key, _) in mirror.fields() {
            if !matches!(key.text.as_str(), "backendRef" | "percent" | "fraction") {
                findings.refused(key.at.line, format!("{path}.{}", key.text), "unknown field");
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
        Some((self.backend(backend, path, findings)?, portion))
    }

    fn backend(&self, backend: &Node, path: &str, findings: &mut Findings) -> Option<Endpoint> {
        let of = |name| backend.field(name).and_then(Node::text);
        let field = format!("{path}.backendRef");
        if of("kind").unwrap_or("Service") != "Service"
            || !of("group").unwrap_or_default().is_empty()
        {
            findings.refused(
                backend.at.line,
                field,
                "only a Service can be resolved; write the URL by hand",
            );
            return None;
        }
        for (key, _) in backend.fields() {
            let known = ["group", "kind", "name", "namespace", "port"];
            if !known.contains(&key.text.as_str()) {
                findings.refused(key.at.line, format!("{field}.{}", key.text), "unknown field");
            }
        }
        let namespace = of("namespace").unwrap_or(self.namespace);
        let (Some(name), Some(port)) = (of("name"), of("port").and_then(|port| port.parse().ok()))
        else {
            findings.refused(backend.at.line, field, "a name and a port number are required");
            return None;
        };
        if namespace != self.namespace && !self.is_granted(name, namespace) {
            let why = format!(
                "no ReferenceGrant of namespace {namespace} in the file allows HTTPRoutes of {} to \
                 reference Service {name}, and without one nothing is mirrored; add it (kubectl get \
                 referencegrant -n {namespace} -o yaml)",
                self.namespace
            );
            findings.refused(backend.at.line, field, &why);
            return None;
        }
        let wanted = Wanted {
            host: &format!("{name}.{namespace}.svc.cluster.local"),
            port: Some(port),
            subset: None,
            client: self.namespace,
            production: &self.production,
            line: backend.at.line,
            field: &field,
        };
        self.services.endpoint(&wanted, findings)
    }

    /// True if a ReferenceGrant allows this route to reference the Service.
    fn is_granted(&self, service: &str, of: &str) -> bool {
        let mut grants = self.documents.iter().filter(|one| {
            one.field("kind").and_then(Node::text) == Some("ReferenceGrant") && namespace(one) == of
        });
        let list = |grant: &'_ Node, name| -> Vec<Node> {
            grant.at(&["spec", name]).map(Node::items).unwrap_or_default().to_vec()
        };
        grants.any(|grant| {
            let from = list(grant, "from").iter().any(|from| {
                is(from, "group", "gateway.networking.k8s.io")
                    && is(from, "kind", "HTTPRoute")
                    && is(from, "namespace", self.namespace)
            });
            let to = list(grant, "to").iter().any(|to| {
                to.field("group").and_then(Node::text).unwrap_or_default().is_empty()
                    && is(to, "kind", "Service")
                    && to.field("name").and_then(Node::text).is_none_or(|name| name == service)
            });
            from && to
        })
    }
}

fn is(node: &Node, name: &str, text: &str) -> bool {
    node.field(name).and_then(Node::text) == Some(text)
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
            let why =
                "the numerator must be 0 or more, and not above the denominator (default 100)";
            findings.refused(node.at.line, path, why);
            None
        }
    }
}
