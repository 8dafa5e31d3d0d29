//! The TLS that a mesh speaks to a service: by Istio's DestinationRules, by the Gateway API's
//! BackendTLSPolicies.

use super::finding::Findings;
use super::hosts::{full_name, in_cluster, matches, specificity};
use super::native::Endpoint;
use super::service::{Services, Wanted, is_named, namespace, number, selects, texts};
use crate::yaml::Node;

/// Where rules of the whole mesh stand, unless the mesh was told otherwise.
const ROOT_NAMESPACE: &str = "istio-system";

const BY_HAND: &str = "write an https:// target by hand, with what it needs";

impl<'a> Services<'a> {
    /// The DestinationRules of a host, as Istio looks them up for clients of a namespace: first
    /// those of that namespace, then the service's, then the root's; in each, the most specific
    /// name.
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

    /// Adds TLS to `endpoint`, where the mesh would speak it to the wanted service on this port.
    /// `None` when that cannot be done, which was said.
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
                "its DestinationRule is for some client pods alone (workloadSelector); {BY_HAND}"
            ));
        }
        let policy = rules.iter().find_map(|rule| rule.at(&["spec", "trafficPolicy"]));
        let subset = wanted.subset.and_then(|name| self.subset(host, name, client));
        let subset = subset.and_then(|subset| subset.field("trafficPolicy"));
        for unlike in ["tunnel", "proxyProtocol"] {
            if [policy, subset].into_iter().flatten().any(|one| one.field(unlike).is_some()) {
                return refused(&format!(
                    "its DestinationRule has {unlike}, which mirror does not speak; put a proxy \
                     before it and give that one's URL"
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
                let why = "its pods take Istio's own mTLS alone (PeerAuthentication, mode STRICT), which \
                           only sidecars speak; let them take plain HTTP from here (mode PERMISSIVE)";
                refused(why)
            }
            None => {
                self.elsewhere(wanted, findings);
                Some(endpoint)
            }
        }
    }

    /// Says of rules that ask for TLS and that do not apply to these clients.
    fn elsewhere(&self, wanted: &Wanted<'_>, findings: &mut Findings) {
        let Wanted { host, client, line, field, .. } = *wanted;
        let applied = self.rules_of(host, client);
        let others = self.rules.iter().filter(|rule| {
            let same = |one: &&Node| std::ptr::eq(*one, rule.document);
            matches(&rule.host, host) && !applied.iter().any(same) && asks_for_tls(rule.document)
        });
        for other in others {
            let why = format!(
                "plain HTTP: the DestinationRule at line {} asks for TLS, but does not apply to \
                 clients of namespace {client} (Istio takes their own namespace's first, then the \
                 service's, then {ROOT_NAMESPACE}'s, and the most specific host)",
                other.document.at.line
            );
            findings.approximated(line, field, &why);
        }
    }

    /// True when the pods of a service refuse plain HTTP. The narrowest PeerAuthentication counts.
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

/// A policy's level that decides on TLS.
#[derive(Clone, Copy)]
struct Level<'a>(&'a Node);

impl<'a> Level<'a> {
    fn tls(self) -> Option<&'a Node> {
        self.0.field("tls")
    }
}

/// The settings of a port take the place of all others, even where they say nothing.
fn effective(policy: &Node, port: u16) -> Option<Level<'_>> {
    let ports = policy.field("portLevelSettings").map(Node::items).unwrap_or_default();
    let own = ports.iter().find(|one| one.field("port").and_then(number) == Some(port));
    own.or_else(|| policy.field("tls").map(|_| policy)).map(Level)
}

fn asks_for_tls(rule: &Node) -> bool {
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

/// True when clients of a namespace see an object (`exportTo`).
pub(super) fn is_exported(document: &Node, of: &str, client: &str) -> bool {
    let to = document.at(&["spec", "exportTo"]).map(Node::items).unwrap_or_default();
    to.is_empty()
        || to.iter().filter_map(Node::text).any(|to| match to {
            "*" => true,
            "." => of == client,
            name => name == client,
        })
}

/// ClientTLSSettings (networking.istio.io) as a target has them.
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
            "its DestinationRule has tls.{}, which is not known; {BY_HAND}",
            key.text
        ));
    }
    match mode {
        "DISABLE" => return Ok(endpoint),
        "SIMPLE" | "MUTUAL" => {}
        "ISTIO_MUTUAL" => {
            let why = "its DestinationRule asks for ISTIO_MUTUAL, whose certificates only sidecars have; \
                       run the target outside of the mesh, let its PeerAuthentication take plain HTTP \
                       from here (mode PERMISSIVE), or give its gateway's URL, and write that target \
                       by hand";
            return Err(why.to_owned());
        }
        other => {
            return Err(format!(
                "its DestinationRule asks for TLS mode {other}, which is not known"
            ));
        }
    }
    if text("credentialName").is_some() {
        let why = "its DestinationRule has the certificates in a Secret (credentialName), which is not \
                   read; write them to files and name those: caCertificates, clientCertificate, \
                   privateKey";
        return Err(why.to_owned());
    }
    if text("insecureSkipVerify") == Some("true") {
        return Err(format!(
            "its DestinationRule does not check the certificate (insecureSkipVerify); name the \
             certificate's authority instead (caCertificates), or {BY_HAND}"
        ));
    }
    if text("caCrl").is_some() {
        return Err(format!(
            "its DestinationRule has a list of revoked certificates (caCrl), which is not read; {BY_HAND}"
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
                "its certificate must have one of {names:?}, and {asked:?} is not among them: mirror \
                 checks the name that it sends; {BY_HAND}"
            ));
        }
    };
    let (cert, key) = match (mode, text("clientCertificate"), text("privateKey")) {
        ("MUTUAL", Some(cert), Some(key)) => (Some(cert.into()), Some(key.into())),
        ("MUTUAL", ..) => {
            let why =
                "its DestinationRule asks for MUTUAL without clientCertificate and privateKey";
            return Err(why.to_owned());
        }
        _ => (None, None),
    };
    let ca = text("caCertificates").map(Into::into);
    Ok(Endpoint { ca, cert, key, ..https(endpoint, name)? })
}

/// A BackendTLSPolicy (gateway.networking.k8s.io) as a target has it.
fn backend_tls(policy: &Node, endpoint: Endpoint) -> Result<Endpoint, String> {
    let of = |name| policy.at(&["spec", "validation", name]);
    if let Some(names) = of("subjectAltNames") {
        let why =
            format!("its BackendTLSPolicy (line {}) has subjectAltNames; {BY_HAND}", names.at.line);
        return Err(why);
    }
    let targets = policy.at(&["spec", "targetRefs"]).map(Node::items).unwrap_or_default();
    if targets.iter().any(|target| target.field("sectionName").is_some()) {
        return Err(format!("its BackendTLSPolicy is for one port (sectionName); {BY_HAND}"));
    }
    match (of("wellKnownCACertificates").and_then(Node::text), of("hostname").and_then(Node::text))
    {
        (Some("System"), Some(name)) => https(endpoint, name),
        _ => Err(format!(
            "its BackendTLSPolicy (line {}) has certificates in the cluster; write them to a file, and {BY_HAND}",
            policy.at.line
        )),
    }
}

/// The same address by TLS, with the name that the certificate must have.
fn https(endpoint: Endpoint, name: &str) -> Result<Endpoint, String> {
    let Some(rest) = endpoint.url.strip_prefix("http://") else { return Ok(endpoint) };
    let url = format!("https://{rest}");
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    let server_name = (host != name).then(|| name.to_owned());
    Ok(Endpoint { url, server_name, ..endpoint })
}

/// The full name of the host of a DestinationRule.
pub(super) fn rule_host(document: &Node) -> Option<String> {
    let host = document.at(&["spec", "host"]).and_then(Node::text)?;
    Some(full_name(host, namespace(document)))
}
