//! Checks a file as a whole, after each part has been read.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::model::{File, RuleSpec};
use crate::config::target::watches_production;
use crate::rules::route::{MAX_RULES, MAX_TARGETS};
use crate::rules::sample::Sample;
use crate::rules::select::PortRange;
use crate::settings::SourceSettings;
use crate::yaml::Problems;

pub(super) fn check(file: &File, problems: &mut Problems) {
    targets(file, problems);
    responses(file, problems);
    names(file, problems);
    uses(file, problems);
    reached(&file.rules, problems);
    ports(file, problems);
}

fn targets(File { source, targets, .. }: &File, problems: &mut Problems) {
    if let Some(first) = targets.get(MAX_TARGETS) {
        problems.add(first.at, format!("more than {MAX_TARGETS} targets"));
    }
    if let Some(second) = targets.iter().filter(|target| target.compare.is_some()).nth(1) {
        problems.add(second.at, format!(
            "{}: compare: another target is compared already, and a run has one comparison; leave it out, or run another \
             mirror for it",
            second.name
        ));
    }
    for target in targets {
        if captured(source, &target.url) {
            problems.add(target.at, format!(
                "{}: {} is on a port that is captured, and may be this host; its requests would be captured again. \
                 Give the target another port",
                target.name, target.url
            ));
        }
        let control = target.compare.as_ref().and_then(|compare| compare.control.as_deref());
        if let Some(control) = control.filter(|control| captured(source, control)) {
            problems.add(target.at, format!(
                "{}: compare.control: {control} is on a port that is captured, and may be this host; its requests would be \
                 captured again. Give it another port",
                target.name
            ));
        }
    }
}

/// True if the target is obviously this host, on a captured port. Other addresses are
/// compared with those of this host when the run starts.
fn captured(source: &SourceSettings, url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let port = url.port_or_known_default().unwrap_or(80);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost"
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback() || ip.is_unspecified());
    here && source.filter.ports.iter().any(|range| range.contains(port))
}

/// Targets that need production's responses although those are not captured.
fn responses(File { source, targets, .. }: &File, problems: &mut Problems) {
    if !source.filter.requests_only {
        return;
    }
    for target in targets {
        if target.how.correlate {
            problems.add(target.at, format!(
                "{}: correlate: learns from production's responses, which `source.requests-only` does not capture; leave one of them out",
                target.name
            ));
        }
        if target.compare.is_some() {
            problems.add(target.at, format!(
                "{}: compare: needs production's responses, which `source.requests-only` does not capture; leave one of them out",
                target.name
            ));
        }
        if watches_production(&target.how.load) {
            problems.add(target.at, format!(
                "{}: ramp: watches production's responses, which `source.requests-only` does not capture; \
                 leave one of them out, or set `production-errors: off`",
                target.name
            ));
        }
    }
}

fn names(File { rules, .. }: &File, problems: &mut Problems) {
    let mut seen = HashMap::new();
    for rule in rules {
        if let Some(first) = seen.insert(&rule.name, rule.at) {
            problems.add(
                rule.at,
                format!("{}: the rule at {first} has the same name; give each its own", rule.name),
            );
        }
    }
    if let Some(rule) = rules.get(MAX_RULES) {
        problems.add(rule.at, format!("more than {MAX_RULES} rules"));
    }
}

/// Targets that rules name but that do not exist, and targets that no rule names.
fn uses(File { rules, targets, .. }: &File, problems: &mut Problems) {
    for rule in rules {
        let mut seen = HashMap::new();
        for target in &rule.targets {
            if seen.insert(&target.name, ()).is_some() {
                problems.add(
                    target.at,
                    format!("{}: named twice by this rule; name it once", target.name),
                );
            }
            if !targets.iter().any(|known| known.name == target.name) {
                let known: Vec<&str> = targets.iter().map(|known| known.name.as_str()).collect();
                problems.add(
                    target.at,
                    format!(
                        "{}: no such target (known: {}); add it under `targets`",
                        target.name,
                        known.join(", ")
                    ),
                );
            }
        }
        if rule.targets.is_empty() && rule.sample.is_some() {
            problems.add(rule.at, format!("{}: a sample without targets has no effect; name some targets, or leave out the sample", rule.name));
        }
    }
    for target in targets {
        let named = |rule: &RuleSpec| rule.targets.iter().any(|used| used.name == target.name);
        if !rules.is_empty() && !rules.iter().any(named) {
            problems.add(
                target.at,
                format!(
                    "{}: no rule sends to this target; add it to a rule, or remove it",
                    target.name
                ),
            );
        }
    }
}

/// Rules that are never reached, because earlier rules match all their requests.
fn reached(rules: &[RuleSpec], problems: &mut Problems) {
    for (place, rule) in rules.iter().enumerate() {
        let before = rules.get(..place).unwrap_or_default();
        let taken_by =
            |earlier: &&RuleSpec| match (earlier.matches.as_slice(), rule.matches.as_slice()) {
                ([], _) => true,
                (_, []) => false,
                (wide, narrow) => narrow.iter().all(|n| wide.iter().any(|w| w.covers(n))),
            };
        if let Some(earlier) = before.iter().find(taken_by) {
            problems.add(rule.at, format!(
                "{}: never reached: {} at {} matches all its requests; move this rule before it, or narrow the other",
                rule.name, earlier.name, earlier.at
            ));
        }
    }
}

/// Rules for ports that are not captured.
fn ports(File { source, rules, .. }: &File, problems: &mut Problems) {
    if source.filter.ports.is_empty() {
        return;
    }
    let captured = |range: &PortRange| source.filter.ports.iter().any(|port| port.meets(range));
    for rule in rules {
        let never = |ports: &[PortRange]| !ports.is_empty() && !ports.iter().any(captured);
        if !rule.matches.is_empty() && rule.matches.iter().all(|one| never(&one.ports)) {
            problems.add(
                rule.at,
                format!(
                    "{}: can never match: its ports are not among `source.ports`; add them there",
                    rule.name
                ),
            );
        }
    }
}

impl RuleSpec {
    /// The sample; all if there is none.
    #[must_use]
    pub fn sampled(&self) -> Sample {
        self.sample.clone().unwrap_or_default()
    }
}
