//! Another system's mirroring in, the native file out, and what became of each field that has no
//! exact native form.
//!
//! Refuses whatever would make the result capture more than the original: a condition that cannot
//! be seen on the server's wire, a field that is not known. Where a route mirrors nothing, the same
//! is left out, because a wider shield captures less. Knows nothing of the cluster but what stands
//! in the file. Remembers nothing.

mod command;
mod finding;
mod gateway;
mod hosts;
mod istio;
mod native;
mod order;
mod policy;
mod service;
mod wire;

pub use self::command::run;
use self::finding::Findings;
pub use self::finding::{Fate, Finding};
use self::order::Routed;
use self::service::Services;
use super::file::File;
pub use crate::cli::Origin;
use crate::cli::SubsetUrl;
use crate::rules::select::PortRange;
use crate::settings::SourceSettings;
use crate::yaml::{self, Limits, Node, Problem};

/// Files are read up to so many bytes: etcd holds no object above 1.5 MiB, and a dump of all of a
/// cluster's routes is some of them.
pub const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// A file of brackets alone stays small in memory.
const LIMITS: Limits = Limits { bytes: MAX_FILE_BYTES, values: 1_000_000, aliases: true };

/// Rules of one file, at most: hosts, routes and the matches of delegates multiply, and the native
/// file takes no more values than these come to.
const MAX_RULES: usize = 10_000;

/// Said of a file that comes to more.
const TOO_MANY: &str = "it comes to more than 10000 rules; convert it in parts";

/// What the file does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the native file captures.
    pub source: SourceSettings,
    /// The gateway whose pods it captures at, with its namespace or without; `None`: at the pods
    /// that the routes send requests to.
    pub gateway: Option<String>,
    /// Where subsets of services are.
    pub subsets: Vec<SubsetUrl>,
}

/// Where the native file captures.
#[derive(Clone, Copy, Debug)]
enum View<'a> {
    /// At the server's pods, behind what routes change.
    Server,
    /// At the pods of a gateway, before it.
    Gateway {
        name: &'a str,
        /// True when the ports are not the Gateway's to say.
        given_ports: bool,
    },
}

impl View<'_> {
    const fn is_server(self) -> bool {
        matches!(self, Self::Server)
    }
}

/// What an importer reads.
#[derive(Debug, Default)]
struct Rules {
    /// The first that matches decides.
    routes: Vec<Routed>,
    /// The ports that a gateway's pods listen on.
    ports: Vec<PortRange>,
}

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The native file; `None` when something was refused.
    pub native: Option<String>,
    /// What has no exact native form, by line.
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
    let rules = order::told_apart(routes, &mut findings);
    if !findings.any_refused() && rules.iter().all(|rule| rule.targets.is_empty()) {
        let why = format!("no {} in it mirrors anything", origin.kind());
        findings.refused(1, "file", &why);
    }
    let native = native::file(source, rules, &mut findings).to_yaml();
    if !findings.any_refused()
        && let Err(problems) = File::parse(&native)
    {
        // A condition that the other system takes and that could never hold, such as a path
        // without a slash.
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

/// Which of two fields of one name would count differs from reader to reader.
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

/// `kubectl get -o yaml` puts several objects into one of kind List.
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
