//! Builds the native file from the converted rules.

use std::path::PathBuf;
use std::time::Duration;

use super::finding::Findings;
use crate::config::file::{File, RuleSpec, TargetSpec, TargetUse};
use crate::rules::edit::RequestEdits;
use crate::rules::sample::Portion;
use crate::rules::select::Match;
use crate::rules::tag::HostPolicy;
use crate::settings::{
    FieldLines, HeaderSettings, MarkSettings, SourceSettings, TargetSettings, TlsSettings,
};

/// Maximum length of a name in the native file, in bytes.
const MAX_NAME_BYTES: usize = 63;

/// A rule: the first match decides; one without targets excludes its requests.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// Its line.
    pub(super) line: usize,
    pub(super) name: String,
    /// Alternatives, of which one must match. Never empty: a rule that matches everything has an empty match.
    pub(super) matches: Vec<Match>,
    pub(super) targets: Vec<Target>,
}

/// A target of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) portion: Portion,
    pub(super) timeout: Option<Duration>,
    /// The Host it receives; `None`: the captured one.
    pub(super) host: Option<String>,
    pub(super) edits: RequestEdits,
}

/// URL and TLS settings of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Endpoint {
    pub(super) url: String,
    /// The name that its certificate must have, if it differs from the URL's host.
    pub(super) server_name: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Target {
    /// The target in the native file, without a name.
    fn spec(&self) -> TargetSpec {
        let Endpoint { url, server_name, ca, cert, key } = self.endpoint.clone();
        // As in Istio and the Gateway API: the captured host, without a suffix.
        let host = self.host.clone().map_or(HostPolicy::Keep, HostPolicy::Name);
        let RequestEdits { remove, set, add, path_prefix, base_path: _ } = self.edits.clone();
        let how = TargetSettings {
            tls: TlsSettings { ca, cert, key, server_name, insecure: false },
            headers: HeaderSettings { remove, set: FieldLines(set), add: FieldLines(add) },
            path_prefix,
            response_timeout: self.timeout,
            marks: MarkSettings { host: Some(host), ..MarkSettings::default() },
            ..TargetSettings::default()
        };
        TargetSpec { how, ..TargetSpec::new("", url) }
    }
}

/// The native file with these rules, without those that are never reached.
pub(super) fn file(source: SourceSettings, rules: Vec<Rule>, findings: &mut Findings) -> File {
    let mut file = File { source, ..File::default() };
    let mut kept: Vec<Rule> = Vec::new();
    for rule in rules {
        let covered =
            |one: &Match| kept.iter().flat_map(|rule| &rule.matches).any(|wide| wide.covers(one));
        if rule.matches.iter().all(covered) {
            if rule.line > 0 {
                let why = "never reached: earlier routes match all its requests";
                findings.dropped(rule.line, &rule.name, why);
            }
            continue;
        }
        let targets = uses(&mut file.targets, &rule);
        let matches_all = rule.matches.iter().any(|one| *one == Match::default());
        let taken: Vec<&str> = file.rules.iter().map(|rule| rule.name.as_str()).collect();
        let spec = RuleSpec {
            name: unique(&rule.name, &taken),
            matches: if matches_all { Vec::new() } else { rule.matches.clone() },
            targets,
            ..RuleSpec::default()
        };
        file.rules.push(spec);
        kept.push(rule);
    }
    file
}

/// The targets of a rule by name; unknown targets are added to `known`.
fn uses(known: &mut Vec<TargetSpec>, rule: &Rule) -> Vec<TargetUse> {
    let mut uses: Vec<TargetUse> = Vec::new();
    for target in &rule.targets {
        let spec = target.spec();
        let is_free = |name: &str| uses.iter().all(|other| other.name != name);
        let same = known.iter().find(|one| {
            // A rule that names a target twice sends twice: the second is a separate target.
            TargetSpec { name: String::new(), ..(*one).clone() } == spec && is_free(&one.name)
        });
        let name = match same {
            Some(same) => same.name.clone(),
            None => {
                let taken: Vec<&str> = known.iter().map(|one| one.name.as_str()).collect();
                let host = url::Url::parse(&spec.url).ok();
                let host = host.as_ref().and_then(url::Url::host_str).unwrap_or(&spec.url);
                let name = unique(host.trim_end_matches(".svc.cluster.local"), &taken);
                known.push(TargetSpec { name: name.clone(), ..spec });
                name
            }
        };
        let portion = (target.portion != Portion::ALL).then_some(target.portion);
        uses.push(TargetUse { at: Default::default(), name, portion });
    }
    uses
}

/// A valid name that is not in use.
fn unique(wanted: &str, taken: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    // Leaves room for a dash and a number.
    let name: String = wanted.chars().map(plain).take(MAX_NAME_BYTES.saturating_sub(8)).collect();
    let name = if name.is_empty() { "unnamed".to_owned() } else { name };
    if !taken.contains(&name.as_str()) {
        return name;
    }
    (2_u32..)
        .map(|number| format!("{name}-{number}"))
        .find(|name| !taken.contains(&name.as_str()))
        .unwrap_or(name)
}
