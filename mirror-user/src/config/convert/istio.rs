//! VirtualServices (networking.istio.io, v1alpha3 to v1) as rules.
//!
//! Envoy first chooses the VirtualService by host, the most specific name first, then its first
//! route that matches. What no route of the chosen one matches goes nowhere, so that each set of
//! hosts ends with a shield.

mod matching;

use std::cmp::Reverse;
use std::time::Duration;

use self::matching::Scope;
use super::finding::Findings;
use super::native::{Rule, Target};
use super::service::{Services, Wanted, full_name, namespace};
use crate::config::yaml::{Node, Value};
use crate::rules::sample::Portion;
use crate::rules::select::{HostPattern, Match};

const APPLIED: &str = "the server's wire shows it applied already";
const NOT_REACHED: &str = "what it answers or breaks does not reach the server, or is not mirrored";

/// The rules of every VirtualService among the documents.
pub(super) fn rules(
    documents: &[Node],
    services: &Services<'_>,
    findings: &mut Findings,
) -> Vec<Rule> {
    let mut groups = Vec::new();
    for document in documents {
        let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
        match kind {
            "VirtualService" => {
                let service = VirtualService::read(document, services, findings);
                groups.extend(service.groups());
            }
            "ServiceEntry" | "DestinationRule" | "Service" => {}
            other => {
                findings.dropped(
                    document.at.line,
                    "kind",
                    &format!("{other:?} has no mirroring in it"),
                );
            }
        }
    }
    // A stable sort: of equal hosts, the first in the file wins.
    groups.sort_by_key(|group| group.rank());
    groups.into_iter().flat_map(Group::rules).collect()
}

/// What a VirtualService comes to.
struct VirtualService {
    name: String,
    hosts: Vec<String>,
    routes: Vec<Rule>,
}

/// Some hosts of a VirtualService, equally specific.
struct Group {
    hosts: Vec<String>,
    name: String,
    routes: Vec<Rule>,
}

impl Group {
    /// Exact names, then wildcards from the longest to the shortest, then every host.
    fn rank(&self) -> Reverse<usize> {
        let wildcard = self.hosts.iter().find(|host| host.starts_with('*'));
        Reverse(wildcard.map_or(usize::MAX, String::len))
    }

    fn rules(self) -> Vec<Rule> {
        let Self { hosts, name, routes } = self;
        let patterns: Vec<HostPattern> = match hosts.as_slice() {
            [any] if any == "*" => Vec::new(),
            hosts => hosts.iter().filter_map(|host| host.parse().ok()).collect(),
        };
        let with_hosts = |mut rule: Rule| {
            rule.matches.iter_mut().for_each(|one| one.hosts.clone_from(&patterns));
            rule
        };
        let is_catch_all = |rule: &Rule| rule.matches.iter().any(|one| *one == Match::default());
        let end = (!routes.iter().any(is_catch_all)).then(|| Rule {
            line: 0,
            name: format!("{name}-no-route"),
            matches: vec![Match::default()],
            targets: Vec::new(),
        });
        routes.into_iter().chain(end).map(with_hosts).collect()
    }
}

impl VirtualService {
    fn groups(self) -> Vec<Group> {
        let Self { name, hosts, routes } = self;
        let (wild, exact): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|host| host.starts_with('*'));
        let exact = (!exact.is_empty()).then_some(exact);
        let wild = wild.into_iter().map(|host| vec![host]);
        exact
            .into_iter()
            .chain(wild)
            .map(|hosts| Group {
                name: match hosts.first() {
                    Some(host) if host.starts_with('*') => {
                        format!("{name}-{}", host.trim_start_matches(['*', '.']))
                    }
                    _ => name.clone(),
                },
                routes: routes.clone(),
                hosts,
            })
            .collect()
    }

    fn read(document: &Node, services: &Services<'_>, findings: &mut Findings) -> Self {
        let namespace = namespace(document);
        let name = document.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("unnamed");
        let mut service = Self { name: name.to_owned(), hosts: Vec::new(), routes: Vec::new() };
        let mut http = None;
        let Some(spec) = document.field("spec") else {
            findings.refused(document.at.line, "spec", "there is none");
            return service;
        };
        for (key, node) in spec.fields() {
            match key.text.as_str() {
                "hosts" => {
                    for host in node.items().iter().filter_map(Node::text) {
                        if let Err(why) = host.parse::<HostPattern>() {
                            findings.refused(key.at.line, "hosts", &why);
                        }
                        service.hosts.extend(spellings(host, namespace));
                    }
                }
                "http" => http = Some(node),
                "gateways" => matching::gateways(node, "gateways", findings),
                "exportTo" => {
                    findings.dropped(key.at.line, "exportTo", "it says who sees the routes")
                }
                "tcp" | "tls" => {
                    findings.dropped(key.at.line, &key.text, "only HTTP is mirrored");
                }
                other => findings.refused(key.at.line, other, "no field that is known"),
            }
        }
        if service.hosts.is_empty() {
            findings.refused(spec.at.line, "hosts", "there are none");
        }
        let reader = Reader { services, namespace, service: name };
        for (index, route) in http.map(Node::items).unwrap_or_default().iter().enumerate() {
            service.routes.push(reader.route(route, index, findings));
        }
        service
    }
}

/// The names under which a host is asked for: a short name is also asked for with its namespace.
fn spellings(host: &str, namespace: &str) -> Vec<String> {
    if host.contains(['.', '*']) {
        return vec![host.to_owned()];
    }
    vec![
        host.to_owned(),
        format!("{host}.{namespace}"),
        format!("{host}.{namespace}.svc"),
        full_name(host, namespace),
    ]
}

/// Reads the routes of one VirtualService.
struct Reader<'a> {
    services: &'a Services<'a>,
    namespace: &'a str,
    service: &'a str,
}

impl Reader<'_> {
    fn route(&self, route: &Node, index: usize, findings: &mut Findings) -> Rule {
        let path = format!("http[{index}]");
        let targets = self.targets(route, &path, findings);
        let scope = Scope { mirrors: !targets.is_empty() };
        let mut name = format!("{}-{index}", self.service);
        let mut matches = Vec::new();
        for (key, node) in route.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "name" => name = format!("{name}-{}", node.text().unwrap_or_default()),
                "match" => {
                    for (index, one) in node.items().iter().enumerate() {
                        let field = format!("{field}[{index}]");
                        matches.push(scope.read(one, &field, findings));
                    }
                }
                // Read with the targets.
                "mirror" | "mirrors" | "mirrorPercentage" | "mirrorPercent" | "mirror_percent"
                | "timeout" => {}
                "route" => {
                    findings.dropped(key.at.line, field, "production's own routing");
                }
                "rewrite" | "headers" => findings.dropped(key.at.line, field, APPLIED),
                "redirect" | "directResponse" | "fault" | "corsPolicy" => {
                    findings.dropped(key.at.line, field, NOT_REACHED);
                }
                "retries" => {
                    let why = "further attempts are left out by themselves (--retries)";
                    findings.dropped(key.at.line, field, why);
                }
                "delegate" => {
                    let why = "the routes stand in another VirtualService; convert that one";
                    findings.refused(key.at.line, field, why);
                }
                _ => findings.refused(key.at.line, field, "no field that is known"),
            }
        }
        if matches.is_empty() {
            matches.push(Match::default());
        }
        Rule { line: route.at.line, name, matches, targets }
    }

    /// Where a route is mirrored to; explicit zeros are left out.
    fn targets(&self, route: &Node, path: &str, findings: &mut Findings) -> Vec<Target> {
        let timeout = route.field("timeout").and_then(|node| timeout(node, path, findings));
        let mut wanted = Vec::new();
        let several = route.field("mirrors");
        if let Some(node) = route.field("mirror") {
            if several.is_some() {
                let why = "an HTTP route cannot contain both mirror and mirrors";
                findings.refused(node.at.line, format!("{path}.mirror"), why);
            }
            wanted.push((node, self.old_portion(route, path, findings), format!("{path}.mirror")));
        }
        for (index, node) in several.map(Node::items).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.mirrors[{index}]");
            for (key, _) in node.fields() {
                if !matches!(key.text.as_str(), "destination" | "percentage") {
                    findings.refused(
                        key.at.line,
                        format!("{path}.{}", key.text),
                        "no field that is known",
                    );
                }
            }
            let portion = node.field("percentage");
            let portion = portion.map_or(Portion::ALL, |node| value(node, &path, findings));
            match node.field("destination") {
                Some(destination) => wanted.push((destination, portion, path)),
                None => findings.refused(node.at.line, path, "a destination is required"),
            }
        }
        wanted
            .into_iter()
            .filter(|(_, portion, _)| *portion != Portion::NONE)
            .filter_map(|(node, portion, path)| {
                let url = self.destination(node, &path, findings)?;
                Some(Target { url, portion, timeout })
            })
            .collect()
    }

    /// What `mirrorPercentage` says, and where it is missing, its elder.
    fn old_portion(&self, route: &Node, path: &str, findings: &mut Findings) -> Portion {
        let elder = route.field("mirrorPercent").or_else(|| route.field("mirror_percent"));
        match (route.field("mirrorPercentage"), elder) {
            (Some(node), elder) => {
                if let Some(elder) = elder {
                    let why = "mirrorPercentage is given, too, and wins";
                    findings.dropped(elder.at.line, format!("{path}.mirrorPercent"), why);
                }
                value(node, path, findings)
            }
            (None, Some(node)) => percent(node, path, findings),
            (None, None) => Portion::ALL,
        }
    }

    fn destination(&self, node: &Node, path: &str, findings: &mut Findings) -> Option<String> {
        let mut port = None;
        for (key, node) in node.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "host" | "subset" => {}
                "port" => {
                    port = node.field("number").and_then(Node::text).and_then(|n| n.parse().ok());
                    if port.is_none() {
                        findings.refused(key.at.line, field, "a port number is required");
                    }
                }
                _ => findings.refused(key.at.line, field, "no field that is known"),
            }
        }
        let Some(host) = node.field("host").and_then(Node::text) else {
            findings.refused(node.at.line, path, "a host is required");
            return None;
        };
        let wanted = Wanted {
            host: &full_name(host, self.namespace),
            port,
            subset: node.field("subset").and_then(Node::text),
            line: node.at.line,
            field: path,
        };
        self.services.url(&wanted, findings)
    }
}

/// The portion of a message `Percent`; its number is 0 where it is left out, as in every proto3.
fn value(node: &Node, path: &str, findings: &mut Findings) -> Portion {
    node.field("value").map_or(Portion::NONE, |value| percent(value, path, findings))
}

fn percent(node: &Node, path: &str, findings: &mut Findings) -> Portion {
    let percent = node.text().and_then(|text| text.parse::<f64>().ok());
    let Some(percent) = percent.filter(|percent| (0.0..=100.0).contains(percent)) else {
        findings.refused(node.at.line, path, "the percentage must be a number from 0 to 100");
        return Portion::NONE;
    };
    // As Istio computes it: `uint32(value * 10000)`, which cuts off.
    let exact = percent * 10_000.0;
    let millionths = exact as u32;
    if exact - f64::from(millionths) > 0.0 {
        let why = format!("{percent} % are {millionths} of a million, as Istio cuts it off");
        findings.approximated(node.at.line, path, &why);
    }
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    Portion::percent(&text).unwrap_or(Portion::NONE)
}

/// A time such as `1m30s` or `0.5s`; 0 means none.
fn timeout(node: &Node, path: &str, findings: &mut Findings) -> Option<Duration> {
    let field = format!("{path}.timeout");
    let Some(time) = node.text().and_then(go_duration) else {
        findings.refused(node.at.line, field, "no time such as 1.5s or 1m30s");
        return None;
    };
    if time < Duration::from_millis(1) {
        findings.dropped(node.at.line, field, "0 is no timeout; a shadow always has one");
        return None;
    }
    Some(time)
}

/// Reads what Go's `time.ParseDuration` reads, without a sign.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() && rest != "0" {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(end)?;
        let length = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(length)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
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
