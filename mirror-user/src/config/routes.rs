//! The rules of a file as routes, and what they say about which connections are wanted.

use anyhow::bail;

use super::file::{File, RuleSpec, TargetUse};
use crate::filter::{Choice, Sample};
use crate::rules::route::{Routes, Rule, TargetId};

/// What is chosen, without the connections that no rule wants.
pub(crate) fn wanted(choice: Choice, routes: &Routes) -> Choice {
    let threshold = routes.connection_threshold().map_or(Sample::ALL, Sample::out_of_2_32);
    Choice { sample: choice.sample.min(threshold), ..choice }
}

impl File {
    /// Its rules, as a run of it has them.
    ///
    /// # Errors
    /// When a rule names a target that the file does not have.
    pub fn routes(&self) -> anyhow::Result<Routes> {
        let names: Vec<Option<&str>> =
            self.targets.iter().map(|target| Some(target.name.as_str())).collect();
        routes(self, &names)
    }
}

/// The file's rules, with targets by their place among the names of those of the run. Without rules,
/// all goes to all of the file's.
///
/// # Errors
/// When a rule names a target that the run does not have.
pub(crate) fn routes(file: &File, targets: &[Option<&str>]) -> anyhow::Result<Routes> {
    let rule = |spec: &RuleSpec| -> anyhow::Result<Rule> {
        let sample = spec.sampled();
        let mut uses = Vec::new();
        for used in &spec.targets {
            let place = targets.iter().position(|name| *name == Some(used.name.as_str()));
            let Some(target) = place.and_then(TargetId::new) else {
                bail!("{}: this run has no such target", used.name)
            };
            uses.push((target, used.portion.unwrap_or(sample.portion)));
        }
        Ok(Rule {
            name: spec.name.as_str().into(),
            matches: spec.matches.clone(),
            targets: uses,
            priority: spec.priority,
            sample,
        })
    };
    let all = || {
        let uses = file.targets.iter();
        let uses = uses.map(|to| TargetUse { at: to.at, name: to.name.clone(), portion: None });
        RuleSpec { name: "all".to_owned(), targets: uses.collect(), ..RuleSpec::default() }
    };
    let rules: anyhow::Result<Vec<Rule>> = match file.rules.as_slice() {
        [] => [all()].iter().map(rule).collect(),
        rules => rules.iter().map(rule).collect(),
    };
    Ok(Routes::new(rules?, seed()))
}

/// What makes the random draws of one run differ from those of others.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
