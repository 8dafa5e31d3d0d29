//! One route of a VirtualService.

use super::super::condition::ConditionPolicy;
use super::super::finding::Findings;
use super::super::native::{Endpoint, Rule, Target};
use super::super::service::{Backend, Wanted};
use super::matching::MatchReader;
use super::portion::{percent, timeout, value};
use super::{Context, Route, changes};
use crate::rules::sample::Portion;
use crate::rules::select::{Match, TextMatch};
use crate::yaml::Node;

const ANSWERED: &str =
    "a proxy responds before the request reaches the server, so it is not mirrored";

/// Reads the routes of one VirtualService.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) namespace: &'a str,
    pub(super) service: &'a str,
    /// The gateways of the VirtualService.
    pub(super) gateways: Vec<&'a str>,
    /// Destinations of all its routes.
    pub(super) production: Vec<Backend>,
}

/// The production destinations of a route.
pub(super) fn backends(route: &Node) -> Vec<Backend> {
    let destinations = route.field("route").map(Node::items).unwrap_or_default();
    let of =
        |node: &Node, name| node.at(&["destination", name]).and_then(Node::text).map(str::to_owned);
    let backend = |node| Some(Backend { host: of(node, "host")?, subset: of(node, "subset") });
    destinations.iter().filter_map(backend).collect()
}

impl Reader<'_> {
    /// Converts the route at `path`; returns it after the rules that must precede it.
    pub(super) fn route(
        &self,
        route: &Node,
        index: usize,
        path: &str,
        findings: &mut Findings,
    ) -> Vec<Route> {
        let answered = ["redirect", "directResponse"].iter().find_map(|name| route.field(name));
        let changes = changes::read(route, path, findings);
        let mut targets = match answered {
            Some(_) => Vec::new(),
            None => self.targets(route, path, findings),
        };
        let conditions = MatchReader {
            policy: ConditionPolicy { owner: "route", mirrors: !targets.is_empty() },
            bound: self.context.bound,
            namespace: self.namespace,
            gateways: &self.gateways,
        };
        let mut name = format!("{}-{index}", self.service);
        let mut matches = Vec::new();
        let mut before = Vec::new();
        for (key, node) in route.fields() {
            let field = format!("{path}.{}", key.text);
            match key.text.as_str() {
                "name" => name = format!("{name}-{}", node.text().unwrap_or_default()),
                "match" => {
                    let mut elsewhere = 0_usize;
                    for (index, one) in node.items().iter().enumerate() {
                        let field = format!("{field}[{index}]");
                        match conditions.read(one, &field, findings) {
                            Some(one) => matches.push(one),
                            None => elsewhere = elsewhere.saturating_add(1),
                        }
                    }
                    if matches.is_empty() && elsewhere > 0 {
                        return Vec::new();
                    }
                }
                // Read with the targets and with the changes.
                "mirror" | "mirrors" | "mirrorPercentage" | "mirrorPercent" | "mirror_percent"
                | "timeout" | "rewrite" | "headers" => {}
                "route" => {
                    findings.dropped(key.at.line, field, "production's own routing");
                }
                "redirect" | "directResponse" => findings.dropped(key.at.line, field, ANSWERED),
                "corsPolicy" if !self.context.view.is_server() => before.push(field),
                "fault" if !self.context.view.is_server() && node.field("abort").is_some() => {
                    if !targets.is_empty() {
                        let why =
                            "aborted requests are not mirrored, but are captured at the gateway";
                        findings.refused(key.at.line, field, why);
                    }
                }
                "fault" | "corsPolicy" => {
                    let why =
                        "requests that the proxy aborts or responds to do not reach the server";
                    findings.dropped(key.at.line, field, why);
                }
                "retries" => {
                    let why = "retries are dropped by default (--retries)";
                    findings.dropped(key.at.line, field, why);
                }
                _ => findings.refused(key.at.line, field, "unknown field"),
            }
        }
        if matches.is_empty() {
            matches.push(Match::default());
        }
        if !self.context.view.is_server() && !targets.is_empty() {
            self.edit(&mut targets, &changes, &matches, (route.at.line, path), findings);
        }
        let reaches = answered.is_none();
        let line = route.at.line;
        let preflight = before.into_iter().map(|field| Route {
            rule: preflight(line, &name, &matches),
            field,
            changes: changes.clone(),
            reaches,
        });
        let preflight: Vec<Route> = preflight.collect();
        let rule = Rule { line, name: name.clone(), matches, targets };
        let own = Route { rule, field: path.to_owned(), changes, reaches };
        preflight.into_iter().chain([own]).collect()
    }

    /// Applies the route's changes to its copies, because they are captured before those changes.
    fn edit(
        &self,
        targets: &mut [Target],
        changes: &super::Changes,
        matches: &[Match],
        (line, path): (usize, &str),
        findings: &mut Findings,
    ) {
        match changes.edits(matches) {
            Ok(edits) => {
                for target in targets {
                    target.edits = edits.clone();
                    target.host.clone_from(&changes.host);
                }
            }
            Err(why) => findings.refused(line, path, &why),
        }
    }

    /// The mirror targets of a route, without those with an explicit 0 %.
    fn targets(&self, route: &Node, path: &str, findings: &mut Findings) -> Vec<Target> {
        let timeout = route.field("timeout").and_then(|node| timeout(node, path, findings));
        let mut wanted = Vec::new();
        let several = route.field("mirrors");
        if let Some(node) = route.field("mirror") {
            if several.is_some() {
                let why = "an HTTP route cannot contain both mirror and mirrors";
                findings.refused(node.at.line, format!("{path}.mirror"), why);
            }
            wanted.push((node, old_portion(route, path, findings), format!("{path}.mirror")));
        }
        for (index, node) in several.map(Node::items).unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.mirrors[{index}]");
            for (key, _) in node.fields() {
                if !matches!(key.text.as_str(), "destination" | "percentage") {
                    let field = format!("{path}.{}", key.text);
                    findings.refused(key.at.line, field, "unknown field");
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
                let endpoint = self.destination(node, &path, findings)?;
                Some(Target { endpoint, portion, timeout, host: None, edits: Default::default() })
            })
            .collect()
    }

    fn destination(&self, node: &Node, path: &str, findings: &mut Findings) -> Option<Endpoint> {
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
                _ => findings.refused(key.at.line, field, "unknown field"),
            }
        }
        let Some(host) = node.field("host").and_then(Node::text) else {
            findings.refused(node.at.line, path, "a host is required");
            return None;
        };
        let subset = node.field("subset").and_then(Node::text).filter(|name| !name.is_empty());
        let wanted = Wanted {
            host,
            port,
            subset,
            client: self.namespace,
            production: &self.production,
            line: node.at.line,
            field: path,
        };
        self.context.services.endpoint(&wanted, findings)
    }
}

/// The value of `mirrorPercentage` or, if missing, of its deprecated predecessor.
fn old_portion(route: &Node, path: &str, findings: &mut Findings) -> Portion {
    let deprecated = route.field("mirrorPercent").or_else(|| route.field("mirror_percent"));
    match (route.field("mirrorPercentage"), deprecated) {
        (Some(node), deprecated) => {
            if let Some(old) = deprecated {
                let why = "mirrorPercentage is also given and takes precedence";
                findings.dropped(old.at.line, format!("{path}.mirrorPercent"), why);
            }
            value(node, path, findings)
        }
        (None, Some(node)) => percent(node, path, findings),
        (None, None) => Portion::ALL,
    }
}

/// CORS preflight requests, which a proxy responds to itself: captured before it, never mirrored.
pub(in super::super) fn preflight(line: usize, name: &str, matches: &[Match]) -> Rule {
    let preflight = matches.iter().map(|one| {
        let mut one = one.clone();
        one.methods = vec!["OPTIONS".to_owned()];
        for name in ["origin", "access-control-request-method"] {
            one.headers.push((name.to_owned(), TextMatch::Present));
        }
        one
    });
    Rule {
        line,
        name: format!("{name}-preflight"),
        matches: preflight.collect(),
        targets: Vec::new(),
    }
}
