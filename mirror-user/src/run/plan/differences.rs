//! What differs between two files, in words. No value is shown: some are secrets.

use crate::config::file::{File, Place, RuleSpec, TargetSpec, TargetUse};
use crate::settings::changes::differences;

/// A part of the file, and what becomes of it.
pub(super) type Difference = (String, String);

/// Settings, targets and rules that differ, in the order of the file.
pub(super) fn between(old: &File, new: &File) -> Vec<Difference> {
    let mut keys = differences("source", &old.source, &new.source);
    keys.extend(differences("pace", &old.pace, &new.pace));
    keys.extend(differences("", &old.noise, &new.noise));
    keys.extend(differences("", &old.bodies, &new.bodies));
    keys.extend(differences("redact", &old.redact, &new.redact));
    keys.extend(differences("admin", &old.admin, &new.admin));
    keys.extend(differences("metrics", &old.metrics, &new.metrics));
    keys.extend(differences("dashboard", &old.dashboard, &new.dashboard));
    keys.extend(differences("store", &old.store, &new.store));
    keys.extend(differences("hooks", &old.hooks, &new.hooks));
    let changed = |(key, takes)| (key, format!("changed; takes effect {takes}"));
    let mut all: Vec<Difference> = keys.into_iter().map(changed).collect();
    all.extend(targets(old, new));
    all.extend(rules(old, new));
    all
}

fn targets(old: &File, new: &File) -> Vec<Difference> {
    let find = |file: &File, name: &str| -> Option<TargetSpec> {
        file.targets.iter().find(|target| target.name == name).cloned()
    };
    let mut all = Vec::new();
    for target in &new.targets {
        let path = format!("targets.{}", target.name);
        let Some(old) = find(old, &target.name) else {
            all.push((path, format!("new: {}", target.url)));
            continue;
        };
        if old.url != target.url {
            all.push((path.clone(), format!("goes to {} instead of {}", target.url, old.url)));
        }
        if old.credentials != target.credentials {
            all.push((path.clone(), "other user or password".to_owned()));
        }
        let keys = differences(&path, &old.how, &target.how);
        let changed = |(key, takes)| (key, format!("changed; takes effect {takes}"));
        all.extend(keys.into_iter().map(changed));
        match (&old.compare, &target.compare) {
            (Some(old), Some(new)) => {
                let keys = differences(&format!("{path}.compare"), old, new);
                all.extend(keys.into_iter().map(changed));
            }
            (None, Some(_)) => all.push((path, "is compared".to_owned())),
            (Some(_), None) => all.push((path, "is not compared any more".to_owned())),
            (None, None) => {}
        }
    }
    let gone = old.targets.iter().filter(|target| find(new, &target.name).is_none());
    all.extend(gone.map(|target| (format!("targets.{}", target.name), "removed".to_owned())));
    all
}

fn rules(old: &File, new: &File) -> Vec<Difference> {
    let [old, new]: [Vec<RuleSpec>; 2] =
        [old, new].map(|file| file.rules.iter().map(without_places).collect());
    let find = |rules: &[RuleSpec], name: &str| -> Option<RuleSpec> {
        rules.iter().find(|rule| rule.name == name).cloned()
    };
    let said = |rule: &RuleSpec, what: &str| (format!("rules.{}", rule.name), what.to_owned());
    let mut all: Vec<Difference> = new
        .iter()
        .filter_map(|rule| match find(&old, &rule.name) {
            None => Some(said(rule, "new")),
            Some(old) if old != *rule => Some(said(rule, "changed")),
            Some(_) => None,
        })
        .collect();
    let gone = old.iter().filter(|rule| find(&new, &rule.name).is_none());
    all.extend(gone.map(|rule| said(rule, "removed")));
    let common = |rules: &[RuleSpec], others: &[RuleSpec]| -> Vec<String> {
        let names = rules.iter().map(|rule| rule.name.clone());
        names.filter(|name| find(others, name).is_some()).collect()
    };
    if common(&old, &new) != common(&new, &old) {
        all.push((
            "rules".to_owned(),
            "in another order; the first that matches decides".to_owned(),
        ));
    }
    all
}

/// The rule wherever it stands in its file.
fn without_places(rule: &RuleSpec) -> RuleSpec {
    let at = Place::default();
    let targets = rule.targets.iter().map(|used| TargetUse { at, ..used.clone() }).collect();
    RuleSpec { at, targets, ..rule.clone() }
}
