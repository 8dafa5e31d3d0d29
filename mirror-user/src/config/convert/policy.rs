//! The TLS settings with which a mesh reaches a service: Istio's DestinationRules, and the Gateway API's
//! BackendTLSPolicies.

use super::finding::Findings;
use super::hosts::{full_name, in_cluster, matches, specificity};
use super::native::Endpoint;
use super::service::{Services, Wanted, is_named, namespace, number, selects, texts};
use crate::yaml::Node;

/// The mesh's default root namespace.
const ROOT_NAMESPACE: &str = "istio-system";

const BY_HAND: &str = "write an https:// target by hand, with what it needs";

impl<'a> Services<'a> {
    /// The DestinationRules of a host, with Istio's lookup for clients of a namespace: first that
    /// namespace, then the service's, then the root namespace; in each, the most specific host.
    fn rules_of(&self, host: &str, client: &str) -> Vec<&'a Node> {
        let own = in_cluster(host).map(|(_, namespace)| namespace);
        let mut places = vec![client];
        places.extend(own);
        places.push(ROOT_NAMESPACE);
        for place in places {
            let rules = self.rules.iter().filter(|rule| {
                let of = namespace(rule.document);
                of == place && matches(&rule.host, host) && is_exported(rule.document, of, client)
            });
            let rules: Vec<_> = rules.collect();
            if let Some(most) = rules.iter().map(|rule| specificity(&rule.host)).max() {
                let rules = rules.iter().filter(|rule| specificity(&rule.host) == most);
                return rules.map(|rule| rule.document).collect();
            }
        }
        Vec::new()
    }

    /// The definition of a subset.
    pub(super) fn subset(&self, host: &str, name: &str, client: &str) -> Option<&'a Node> {
        let rules = self.rules_of(host, client).into_iter();
        let subsets = rules.filter_map(|rule| rule.at(&["spec", "subsets"]));
        subsets.flat_map(Node::items).find(|subset| is_named(subset, name))
    }

    /// Adds TLS to `endpoint` if the mesh would use it for the service on this port. `None` if that is
    /// not possible; a finding says why.
    pub(super) fn secured(
        &self,
        wanted: &Wanted<'_>,
        port: u16,
        endpoint: Endpoint,
        findings: &mut Findings,
    ) -> Option<Endpoint> {
        let Wanted { host, client, line, field, .. } = *wanted;
        let mut refused = |why: &str| {
            findings.refused(line, field, why);
            None
        };
        if let Some(policy) = self.backend_policy(host) {
            return backend_tls(policy, endpoint).or_else(|why| refused(&why).ok_or(())).ok();
        }
        let rules = self.rules_of(host, client);
        if rules.iter().any(|rule| rule.at(&["spec", "workloadSelector"]).is_some()) {
            return refused(&format!(
                "its DestinationRule applies only to some client pods (workloadSelector); {BY_HAND}"
            ));
        }
        let policy = rules.iter().find_map(|rule| rule.at(&["spec", "trafficPolicy"]));
        let subset = wanted.subset.and_then(|name| self.subset(host, name, client));
        let subset = subset.and_then(|subset| subset.field("trafficPolicy"));
        for unlike in ["tunnel", "proxyProtocol"] {
            if [policy, subset].into_iter().flatten().any(|one| one.field(unlike).is_some()) {
                return refused(&format!(
                    "its DestinationRule has {unlike}, which mirror does not support; put a proxy in \
                     front of it and use the proxy's URL"
                ));
            }
        }
        let tls = match subset.map(|policy| effective(policy, port)) {
            Some(Some(tls)) => Some(tls),
            Some(None) | None => policy.and_then(|policy| effective(policy, port)),
        };
        let names =
            self.entry(host, client).and_then(|entry| entry.at(&["spec", "subjectAltNames"]));
        match tls.and_then(Level::tls) {
            Some(tls) => match destination_tls(tls, names, host, endpoint) {
                Ok(endpoint) => Some(endpoint),
                Err(why) => refused(&why),
            },
            None if self.is_strict(host) => {
                let why = "its pods accept only Istio's mTLS (PeerAuthentication, mode STRICT), which \
                           only sidecars speak; let them accept plain HTTP from mirror (mode PERMISSIVE)";
                refused(why)
            }
            None => {
                self.report_inapplicable(wanted, findings);
                Some(endpoint)
            }
        }
    }

    /// Reports DestinationRules with TLS that do not apply to these clients.
    fn report_inapplicable(&self, wanted: &Wanted<'_>, findings: &mut Findings) {
        let Wanted { host, client, line, field, .. } = *wanted;
        let applied = self.rules_of(host, client);
        let others = self.rules.iter().filter(|rule| {
            let same = |one: &&Node| std::ptr::eq(*one, rule.document);
            matches(&rule.host, host) && !applied.iter().any(same) && requires_tls(rule.document)
        });
        for other in others {
            let why = format!(
                "plain HTTP: the DestinationRule at line {} requires TLS, but does not apply to \
                 clients in namespace {client} (Istio looks in their namespace first, then in the \
                 service's, then in {ROOT_NAMESPACE}, and picks the most specific host)",
                other.document.at.line
            );
            findings.approximated(line, field, &why);
        }
    }

    /// True if the pods of a service refuse plain HTTP. The most specific PeerAuthentication decides.
    fn is_strict(&self, host: &str) -> bool {
        let Some((_, of)) = in_cluster(host) else { return false };
        let service = self.services.iter().find(|service| service.host == host);
        let own = service.and_then(|service| service.document.at(&["spec", "selector"]));
        let width = |one: &Node| {
            let labels = one.at(&["spec", "selector", "matchLabels"]);
            match (labels, namespace(one)) {
                (Some(labels), at) if at == of => selects(own, labels).then_some(0),
                (None, at) if at == of => Some(1),
                (None, ROOT_NAMESPACE) => Some(2),
                _ => None,
            }
        };
        let modes = self.authentications.iter().filter_map(|one| Some((width(one)?, *one)));
        let narrowest = modes.min_by_key(|(width, _)| *width).map(|(_, one)| one);
        let mode = narrowest.and_then(|one| one.at(&["spec", "mtls", "mode"]));
        mode.and_then(Node::text) == Some("STRICT")
    }

    fn backend_policy(&self, host: &str) -> Option<&'a Node> {
        let (service, of) = in_cluster(host)?;
        self.backend_policies.iter().copied().find(|policy| {
            let targets = policy.at(&["spec", "targetRefs"]).map(Node::items).unwrap_or_default();
            namespace(policy) == of && targets.iter().any(|target| is_named(target, service))
        })
    }
}

/// The level of a traffic policy that decides on TLS.
#[derive(Clone, Copy)]
struct Level<'a>(&'a Node);

impl<'a> Level<'a> {
    fn tls(self) -> Option<&'a Node> {
        self.0.field("tls")
    }
}

/// The settings of a port replace all others, even if they are empty.
fn effective(policy: &Node, port: u16) -> Option<Level<'_>> {
    let ports = policy.field("portLevelSettings").map(Node::items).unwrap_or_default();
    let own = ports.iter().find(|one| one.field("port").and_then(number) == Some(port));
    own.or_else(|| policy.field("tls").map(|_| policy)).map(Level)
}

fn requires_tls(rule: &Node) -> bool {
    let policy = rule.at(&["spec", "trafficPolicy"]);
    let subsets = rule.at(&["spec", "subsets"]).map(Node::items).unwrap_or_default();
    let policies =
        policy.into_iter().chain(subsets.iter().filter_map(|one| one.field("trafficPolicy")));
    let levels = policies.flat_map(|policy| {
        let ports = policy.field("portLevelSettings").map(Node::items).unwrap_or_default();
        std::iter::once(policy).chain(ports)
    });
    let mut modes = levels.filter_map(|level| level.at(&["tls", "mode"]).and_then(Node::text));
    modes.any(|mode| mode != "DISABLE")
}

/// True if an object is visible to clients of a namespace (`exportTo`).
pub(super) fn is_exported(document: &Node, of: &str, client: &str) -> bool {
    let to = document.at(&["spec", "exportTo"]).map(Node::items).unwrap_or_default();
    to.is_empty()
        || to.iter().filter_map(Node::text).any(|to| match to {
            "*" => true,
            "." => of == client,
            name => name == client,
        })
}

/// Converts ClientTLSSettings (networking.istio.io).
fn destination_tls(
    tls: &Node,
    names: Option<&Node>,
    host: &str,
    endpoint: Endpoint,
) -> Result<Endpoint, String> {
    let text = |name| tls.field(name).and_then(Node::text).filter(|text| !text.is_empty());
    let mode = text("mode").unwrap_or("DISABLE");
    let known = [
        "mode",
        "clientCertificate",
        "privateKey",
        "caCertificates",
        "credentialName",
        "subjectAltNames",
        "sni",
        "insecureSkipVerify",
        "caCrl",
    ];
    if let Some((key, _)) = tls.fields().iter().find(|(key, _)| !known.contains(&key.text.as_str()))
    {
        return Err(format!(
            "its DestinationRule has the unknown field tls.{}; {BY_HAND}",
            key.text
        ));
    }
    match mode {
        "DISABLE" => return Ok(endpoint),
        "SIMPLE" | "MUTUAL" => {}
        "ISTIO_MUTUAL" => {
            let why = "its DestinationRule requires ISTIO_MUTUAL, whose certificates only sidecars have; \
                       run the target outside the mesh, let its PeerAuthentication accept plain HTTP \
                       from mirror (mode PERMISSIVE), or use its gateway's URL, and write that target \
                       by hand";
            return Err(why.to_owned());
        }
        other => {
            return Err(format!("its DestinationRule has the unknown TLS mode {other}"));
        }
    }
    if text("credentialName").is_some() {
        let why = "its DestinationRule takes the certificates from a Secret (credentialName), which is \
                   not supported; write them to files and name those: caCertificates, \
                   clientCertificate, privateKey";
        return Err(why.to_owned());
    }
    if text("insecureSkipVerify") == Some("true") {
        return Err(format!(
            "its DestinationRule does not verify the certificate (insecureSkipVerify); name its \
             certificate authority instead (caCertificates), or {BY_HAND}"
        ));
    }
    if text("caCrl").is_some() {
        return Err(format!(
            "its DestinationRule has a certificate revocation list (caCrl), which is not supported; {BY_HAND}"
        ));
    }
    let names = tls.field("subjectAltNames").filter(|names| !names.items().is_empty()).or(names);
    let names: Vec<&str> = names.map(texts).unwrap_or_default();
    let asked = text("sni").unwrap_or(host);
    let name = match names.as_slice() {
        [] => asked,
        names if names.contains(&asked) => asked,
        [only] if text("sni").is_none() && !only.contains("://") => only,
        _ => {
            return Err(format!(
                "its certificate must have one of {names:?}, but {asked:?} is not among them: mirror \
                 verifies the name that it sends as SNI; {BY_HAND}"
            ));
        }
    };
    let (cert, key) = match (mode, text("clientCertificate"), text("privateKey")) {
        ("MUTUAL", Some(cert), Some(key)) => (Some(cert.into()), Some(key.into())),
        ("MUTUAL", ..) => {
            let why =
                "its DestinationRule has mode MUTUAL without clientCertificate and privateKey";
            return Err(why.to_owned());
        }
        _ => (None, None),
    };
    let ca = text("caCertificates").map(Into::into);
    Ok(Endpoint { ca, cert, key, ..https(endpoint, name)? })
}

/// Converts a BackendTLSPolicy (gateway.networking.k8s.io).
fn backend_tls(policy: &Node, endpoint: Endpoint) -> Result<Endpoint, String> {
    let of = |name| policy.at(&["spec", "validation", name]);
    if let Some(names) = of("subjectAltNames") {
        let why =
            format!("its BackendTLSPolicy (line {}) has subjectAltNames; {BY_HAND}", names.at.line);
        return Err(why);
    }
    let targets = policy.at(&["spec", "targetRefs"]).map(Node::items).unwrap_or_default();
    if targets.iter().any(|target| target.field("sectionName").is_some()) {
        return Err(format!(
            "its BackendTLSPolicy applies to one port only (sectionName); {BY_HAND}"
        ));
    }
    match (of("wellKnownCACertificates").and_then(Node::text), of("hostname").and_then(Node::text))
    {
        (Some("System"), Some(name)) => https(endpoint, name),
        _ => Err(format!(
            "its BackendTLSPolicy (line {}) uses certificates from the cluster; write them to a file, and {BY_HAND}",
            policy.at.line
        )),
    }
}

/// The same address with TLS, and the name that the certificate must have.
fn https(endpoint: Endpoint, name: &str) -> Result<Endpoint, String> {
    let Some(rest) = endpoint.url.strip_prefix("http://") else { return Ok(endpoint) };
    let url = format!("https://{rest}");
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    let server_name = (host != name).then(|| name.to_owned());
    Ok(Endpoint { url, server_name, ..endpoint })
}

/// The fully qualified host of a DestinationRule.
pub(super) fn rule_host(document: &Node) -> Option<String> {
    let host = document.at(&["spec", "host"]).and_then(Node::text)?;
    Some(full_name(host, namespace(document)))
}
