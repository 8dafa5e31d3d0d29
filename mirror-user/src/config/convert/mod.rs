//! Converts mirroring rules of Istio or the Gateway API into a native configuration file, and reports
//! every field that has no exact native equivalent.
//!
//! Refuses whatever would make the result capture more than the original: conditions that cannot be
//! observed on the server's wire, and unknown fields. If a route mirrors nothing, such a condition is
//! left out instead, because a wider exclusion captures less. Knows only the part of the cluster that
//! is in the file. Stateless.

mod command;
mod condition;
mod finding;
mod gateway;
mod hosts;
mod istio;
mod native;
mod order;
mod policy;
mod service;
mod subset;
mod wire;

pub use self::command::run;
use self::finding::Findings;
pub use self::finding::{Finding, Outcome};
use self::order::Routed;
use self::service::Services;
use super::file::File;
pub use crate::cli::Origin;
use crate::cli::SubsetUrl;
use crate::rules::select::PortRange;
use crate::settings::SourceSettings;
use crate::yaml::{self, Limits, Node, Problem};

/// Maximum size of a file, in bytes: etcd limits an object to 1.5 MiB, and a dump of all routes of a
/// cluster contains several.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// Bounds the memory even for files of brackets only.
const LIMITS: Limits = Limits { bytes: MAX_FILE_BYTES, values: 1_000_000, aliases: true };

/// Maximum number of rules per file: hosts, routes and matches of delegates multiply.
const MAX_RULES: usize = 10_000;

/// The reason if a file results in more rules.
const TOO_MANY: &str = "results in more than 10000 rules; convert it in parts";

/// Settings that are not in the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the converted file captures.
    pub source: SourceSettings,
    /// The gateway at whose pods it captures, with or without namespace; `None`: at the pods that the
    /// routes send requests to.
    pub gateway: Option<String>,
    /// URLs of subsets.
    pub subsets: Vec<SubsetUrl>,
}

/// The point at which the converted file captures.
#[derive(Clone, Copy, Debug)]
enum View<'a> {
    /// At the server's pods, after the routes' rewrites.
    Server,
    /// At the pods of a gateway, before its rewrites.
    Gateway {
        name: &'a str,
        /// True if the ports are given, and not taken from the Gateway.
        given_ports: bool,
    },
}

impl View<'_> {
    const fn is_server(self) -> bool {
        matches!(self, Self::Server)
    }
}

/// The result of an importer.
#[derive(Debug, Default)]
struct Rules {
    /// The first that matches decides.
    routes: Vec<Routed>,
    /// The ports that a gateway's pods listen on.
    ports: Vec<PortRange>,
}

/// The result of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The native file; `None` if anything was refused.
    pub native: Option<String>,
    /// Fields without an exact native equivalent, by line.
    pub findings: Vec<Finding>,
}

/// Converts the documents of a file.
#[must_use]
pub fn convert(origin: Origin, text: &str, options: &Options) -> Conversion {
    let mut findings = Findings::default();
    let mut source = options.source.clone();
    let view = match &options.gateway {
        Some(name) => View::Gateway { name, given_ports: !source.filter.ports.is_empty() },
        None => View::Server,
    };
    let Rules { routes, ports } = match yaml::parse(text, LIMITS).and_then(each_field_once) {
        Ok(documents) => {
            let documents = unlisted(documents);
            let services = Services::new(&documents, &options.subsets);
            match origin {
                Origin::Istio => istio::rules(&documents, &services, view, &mut findings),
                Origin::GatewayApi => gateway::rules(&documents, &services, view, &mut findings),
            }
        }
        Err(Problem { at, text }) => {
            findings.refused(at.line, "YAML", &text);
            Rules::default()
        }
    };
    if source.filter.ports.is_empty() {
        source.filter.ports = ports;
    }
    let rules = order::disambiguated(routes, &mut findings);
    if !findings.any_refused() && rules.iter().all(|rule| rule.targets.is_empty()) {
        let why = format!("no {} in the file mirrors anything", origin.kind());
        findings.refused(1, "file", &why);
    }
    let native = native::file(source, rules, &mut findings).to_yaml();
    if !findings.any_refused()
        && let Err(problems) = File::parse(&native)
    {
        // A condition that the other system accepts but that can never hold, such as a path without
        // a slash.
        for problem in problems.iter() {
            findings.refused(1, "native file", &problem.text);
        }
    }
    let native = (!findings.any_refused()).then_some(native);
    Conversion { native, findings: findings.by_line() }
}

impl Origin {
    fn kind(self) -> &'static str {
        match self {
            Self::Istio => "VirtualService",
            Self::GatewayApi => "HTTPRoute",
        }
    }
}

/// Refuses duplicate fields: parsers disagree about which one wins.
fn each_field_once(documents: Vec<Node>) -> Result<Vec<Node>, Problem> {
    let mut nodes: Vec<&Node> = documents.iter().collect();
    while let Some(node) = nodes.pop() {
        let mut seen = hashbrown::HashSet::new();
        for (key, value) in node.fields() {
            if !seen.insert(key.text.as_str()) {
                return Err(Problem { at: key.at, text: format!("{} is given twice", key.text) });
            }
            nodes.push(value);
        }
        nodes.extend(node.items());
    }
    Ok(documents)
}

/// `kubectl get -o yaml` wraps several objects in one of kind List.
fn unlisted(documents: Vec<Node>) -> Vec<Node> {
    // `List`, or the type's own, such as `HTTPRouteList`.
    let is_list = |document: &Node| {
        document.field("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"))
    };
    documents
        .into_iter()
        .flat_map(|document| match is_list(&document) {
            true => document.field("items").map(Node::items).unwrap_or_default().to_vec(),
            false => vec![document],
        })
        .collect()
}

#[cfg(test)]
mod tests;
