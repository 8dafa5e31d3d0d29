//! Turns the rules of a file into routes, and limits the capture to connections that a rule can match.

use anyhow::bail;

use super::file::{File, RuleSpec, TargetUse};
use crate::filter::{Choice, Sample};
use crate::rules::route::{Routes, Rule, TargetId};

/// Narrows the sample of `choice` to connections that a rule may send.
pub(crate) fn narrowed(choice: Choice, routes: &Routes) -> Choice {
    let threshold = routes.connection_threshold().map_or(Sample::ALL, Sample::out_of_2_32);
    Choice { sample: choice.sample.min(threshold), ..choice }
}

impl File {
    /// The file's rules as routes.
    ///
    /// # Errors
    /// If a rule names a target that is not in the file.
    pub fn routes(&self) -> anyhow::Result<Routes> {
        let names: Vec<Option<&str>> =
            self.targets.iter().map(|target| Some(target.name.as_str())).collect();
        routes(self, &names)
    }
}

/// The file's rules, with targets by their index among the run's target names. Without rules,
/// everything goes to all targets of the file.
///
/// # Errors
/// If a rule names a target that is not in the run.
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

/// A seed, so that runs draw different random samples.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
