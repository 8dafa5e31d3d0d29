//! What points a test pod of Kubernetes at `mirror stub`: a ConfigMap with its configuration and the pod's hostAliases, and a Service
//! that listens at the ports of all collaborators.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::stub;
use crate::config::stub_file;
use crate::sink::collaborators::{Report, Service};
use crate::yaml::write::{Map, Value, write_map};

/// What all objects are called.
const NAME: &str = "mirror-stub";
/// Where the container has the recordings.
const RECORDINGS: &str = "/recordings";
/// Where the stub server listens in its pod.
const PORT: &str = "9100";

/// Where pods find the stub server.
pub(super) struct Pointing {
    pub(super) address: IpAddr,
    /// `NAME=HOST`.
    pub(super) aliases: Vec<String>,
}

impl Pointing {
    /// The manifests, for `kubectl apply`.
    pub(super) fn manifests(&self, report: &Report) -> String {
        let mut out = String::new();
        let nameless = report.services.iter().filter(|service| name_of(service).is_none());
        for address in nameless.flat_map(|service| &service.seen.addresses) {
            out += &format!(
                "# {address} is called by its address, which no host alias redirects: deny it by a NetworkPolicy.\n"
            );
        }
        write_map(&mut out, &self.config_map(report), 0);
        out += "---\n";
        write_map(&mut out, &self.service(report), 0);
        out
    }

    fn config_map(&self, report: &Report) -> Map {
        let mut settings = stub(report, vec![RECORDINGS.to_owned()], self.aliases.clone());
        settings.listen = format!("0.0.0.0:{PORT}").parse().ok();
        let mut patch = String::new();
        write_map(&mut patch, &self.patch(report), 0);
        object(
            "ConfigMap",
            (
                "data",
                vec![
                    ("stub.yaml".to_owned(), stub_file::text(&settings).into()),
                    ("host-aliases.yaml".to_owned(), patch.into()),
                ],
            ),
        )
    }

    /// A patch for the Deployment of the test pod.
    fn patch(&self, report: &Report) -> Map {
        let names: BTreeSet<&str> = report
            .services
            .iter()
            .filter_map(name_of)
            .chain(
                self.aliases
                    .iter()
                    .filter_map(|alias| alias.split_once('='))
                    .map(|(name, _)| host(name)),
            )
            .filter(|name| is_dns_name(name))
            .collect();
        let names: Vec<Value> = names.into_iter().map(Value::from).collect();
        let alias = map([("ip", self.address.to_string().into()), ("hostnames", names.into())]);
        let pod = map([("hostAliases", Value::List(vec![alias.into()]))]);
        map([("spec", map([("template", map([("spec", pod.into())]).into())]).into())])
    }

    fn service(&self, report: &Report) -> Map {
        // The port that a client connects to, which it may leave out of the name.
        let named = report.services.iter().filter(|service| name_of(service).is_some());
        let ports: BTreeSet<u16> =
            named.flat_map(|service| service.seen.addresses.iter().map(|it| it.port())).collect();
        let ports = ports.into_iter().map(|port| {
            map([
                ("name", format!("p-{port}").into()),
                ("port", port.to_string().into()),
                ("targetPort", PORT.into()),
            ])
            .into()
        });
        let mut spec = map([
            ("clusterIP", self.address.to_string().into()),
            ("selector", map([("app", NAME.into())]).into()),
        ]);
        let ports: Vec<Value> = ports.collect();
        // A Service has a port.
        let ports =
            if ports.is_empty() { vec![map([("port", PORT.into())]).into()] } else { ports };
        spec.push(("ports".to_owned(), ports.into()));
        object("Service", ("spec", spec))
    }
}

fn object(kind: &str, (key, content): (&str, Map)) -> Map {
    map([
        ("apiVersion", "v1".into()),
        ("kind", kind.into()),
        ("metadata", map([("name", NAME.into())]).into()),
        (key, content.into()),
    ])
}

fn map<const N: usize>(fields: [(&str, Value); N]) -> Map {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The name under which a pod looks a service up, if it has one. What it speaks does not matter: where the stub cannot answer, nothing
/// reaches the service either.
fn name_of(service: &Service) -> Option<&str> {
    Some(host(&service.name)).filter(|name| is_dns_name(name))
}

/// Without the port.
fn host(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

/// A name as Kubernetes takes it (RFC 1123): what was captured may be anything. One of digits alone is an address.
fn is_dns_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_resolver_looks_up_are_aliases() {
        for name in ["live.prod.com", "users", "a-1.b2"] {
            assert!(is_dns_name(name), "{name}");
        }
        let long = "a".repeat(64);
        for name in
            ["", "10.0.0.1", "1", "a..b", "-a", "a-", "a_b", "A", "[::1]", "a b", "a\nb", &long]
        {
            assert!(!is_dns_name(name), "{name:?}");
        }
        assert_eq!(["users:8080", "users", "[::1]:80"].map(host), ["users", "users", "[::1]"]);
    }
}
