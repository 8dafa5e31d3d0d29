//! What `mirror run` means, and what a whole file means to any command that sends.

use anyhow::{bail, ensure};

use super::file::{File, RuleSpec, TargetUse};
use super::output::{Output, To};
use super::reload::Start;
use super::source::Source;
use super::target::{Run, to};
use super::{Config, SummaryForm, run_name};
use crate::cli::{PaceArgs, RunArgs};
use crate::filter::{Choice, Sample, Watch};
use crate::http::HttpOptions;
use crate::rules::redact::Preset;
use crate::rules::route::{Routes, Rule, TargetId};

/// The longest request body that is replayed unless asked. A body of 4 GiB is to pass, and its chunk
/// framing counts; twice that leaves room, and still bounds what one request takes of the disk.
const MAX_BODY: u64 = 8 << 30;

impl Config {
    /// What `mirror run` means.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or a target without an address.
    pub fn for_run(args: &RunArgs) -> anyhow::Result<Self> {
        let start = Start::read(args)?;
        let file = &start.file;
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        let run = Run::of(file)?;
        let mut config = Self::sending(file, &run, summary)?;
        config.route(file.routes()?);
        config.watcher = Some(start.watcher(run));
        Ok(config)
    }

    /// A run that sends to the targets of `file`, everything to all of them.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(super) fn sending(file: &File, run: &Run, summary: SummaryForm) -> anyhow::Result<Self> {
        // What a file says by itself is refused with its place when it is read.
        let requests_only = file.source.filter.requests_only;
        ensure!(
            !(requests_only && file.correlates()),
            "--requests-only: --correlate learns from production's answers; leave one of them out"
        );
        ensure!(
            !(requests_only && file.watches_production()),
            "--requests-only: --ramp watches production's answers; leave one of them out, or say --ramp-production-errors off"
        );
        let targets: anyhow::Result<Vec<To>> =
            file.targets.iter().map(|spec| to(spec, run)).collect();
        let output = Output::Replay {
            targets: targets?,
            max_body: file.room.max_body.unwrap_or(MAX_BODY),
            max_spool: file.room.max_spool.unwrap_or(HttpOptions::default().max_spooled),
        };
        let passes = file.pace.passes.unwrap_or(1);
        let mut config = Self::with_passes(&file.source, passes, output, summary)?;
        if let Some(probes) = file.noise.probes {
            config.rules.probes = probes.into();
        }
        if let Some(retries) = file.noise.retries {
            config.rules.retries = retries.into();
        }
        // As with a mesh's mirroring, the shadow gets what production got: without credentials it
        // answers 401 to everything.
        config.redacting(file.redact.clone(), Preset::None)
    }

    /// What no rule wants for its connection alone is not even copied.
    pub(super) fn route(&mut self, routes: Routes) {
        self.watch = Watch::new(wanted(Choice::clone(&self.watch.choice()), &routes));
        self.rules.routes = Some(routes);
    }
}

/// What is chosen, without the connections that no rule wants.
pub(super) fn wanted(choice: Choice, routes: &Routes) -> Choice {
    let threshold = routes.connection_threshold().map_or(Sample::ALL, Sample::out_of_2_32);
    Choice { sample: choice.sample.min(threshold), ..choice }
}

impl Run {
    /// A run of this file.
    ///
    /// # Errors
    /// When it says how a capture is paced, and its source is none.
    pub(super) fn of(file: &File) -> anyhow::Result<Self> {
        let is_live = Source::new(&file.source, 1)?.is_live();
        if is_live {
            refuse_for_live(&file.pace)?;
        } else {
            ensure!(
                file.pace.has_gaps() || file.pace.max_gap.is_none(),
                "--max-gap: there are no recorded gaps with --rate or --speed max; leave it out"
            );
        }
        let (name, pace) = (run_name(), file.pace.clone());
        Ok(Self { name, pace, is_live, log: None, fail_on: Vec::new() })
    }
}

fn refuse_for_live(pace: &PaceArgs) -> anyhow::Result<()> {
    let given = [
        ("speed", pace.speed.is_some()),
        ("max-gap", pace.max_gap.is_some()),
        ("from-time", pace.from_time.is_some()),
        ("to-time", pace.to_time.is_some()),
        ("loop", pace.passes.is_some_and(|passes| passes > 1)),
    ];
    for (flag, is_given) in given {
        ensure!(!is_given, "--{flag}: live requests go out at once; leave it out");
    }
    Ok(())
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
pub(super) fn routes(file: &File, targets: &[Option<&str>]) -> anyhow::Result<Routes> {
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
