//! What `mirror run` means: a configuration file turned into one run.

use anyhow::bail;

use super::file::{File, RuleSpec, SourceSpec, TargetSpec, TargetUse};
use super::output::{Output, To};
use super::reload::Start;
use super::{Config, SummaryForm, run_name};
use crate::cli::{FilterArgs, KernelLogArg, RunArgs, SourceArgs};
use crate::http::HttpOptions;
use crate::rules::redact::Preset;
use crate::rules::route::{Routes, Rule, TargetId};
use crate::rules::tag::Marks;
use crate::sink::replay::{Limits, Pace, ReplayOptions, Target, Timeouts, WhenFull};
use crate::watch::{Choice, Sample, Watch};

/// The longest request body that is replayed unless the file says otherwise: as `mirror replay`.
const MAX_BODY: u64 = 8 << 30;

/// Connections to one target at the same time unless the file says otherwise: as `mirror replay`.
const MAX_CONNECTIONS: usize = 256;

impl Config {
    /// What `mirror run` means.
    ///
    /// # Errors
    /// Everything that is wrong with the file, or a target without an address.
    pub fn for_run(args: &RunArgs) -> anyhow::Result<Self> {
        let Start { file, watcher } = Start::read(args)?;
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        let run = run_name();
        let targets: anyhow::Result<Vec<To>> =
            file.targets.iter().map(|spec| to(spec, &run)).collect();
        let output = Output::Replay {
            targets: targets?,
            max_body: file.max_body.unwrap_or(MAX_BODY),
            max_spool: HttpOptions::default().max_spooled,
        };
        let mut config = Self::new(&source_args(&file.source), output, summary)?;
        config.rules.probes = file.probes.into();
        config.rules.retries = file.retries.into();
        config.route(file.routes()?);
        config.rules.handover = Some(watcher.handover());
        config.watcher = Some(watcher);
        config.redacting(file.redact.clone(), Preset::None)
    }

    /// What no rule wants for its connection alone is not even copied.
    pub(super) fn route(&mut self, routes: Routes) {
        if let Some(threshold) = routes.connection_threshold() {
            let choice = Choice::clone(&self.watch.choice());
            let sample = choice.sample.min(Sample::out_of_2_32(threshold));
            self.watch = Watch::new(Choice { sample, ..choice });
        }
        self.rules.routes = Some(routes);
    }
}

impl File {
    /// Its rules, as a run of it has them.
    ///
    /// # Errors
    /// When a rule names a target that the file does not have.
    pub fn routes(&self) -> anyhow::Result<Routes> {
        routes(self, &self.targets)
    }
}

/// The same as the flags would say.
pub(super) fn source_args(SourceSpec { from, ports, hook, ring_size }: &SourceSpec) -> SourceArgs {
    SourceArgs {
        from: from.clone(),
        config: None,
        hook: *hook,
        ring_size: *ring_size,
        kernel_log: KernelLogArg::Off,
        run_for: None,
        filter: FilterArgs {
            ports: ports.iter().map(|range| range.first..=range.last).collect(),
            nets: Vec::new(),
            client_nets: Vec::new(),
            server_nets: Vec::new(),
            direction: None,
            side: None,
            sample: 100.0,
            requests_only: false,
            snaplen: Vec::new(),
        },
    }
}

pub(super) fn to(spec: &TargetSpec, run: &str) -> anyhow::Result<To> {
    let marks = Marks {
        host: spec.host.clone(),
        mode: spec.mode,
        run: run.to_owned(),
        ambiguous: spec.ambiguous,
        edits: spec.edits.clone(),
        trace: spec.trace.into(),
        baggage: spec.baggage.into(),
    };
    let defaults = Timeouts::default();
    let first_byte = spec.answer_timeout.unwrap_or(defaults.first_byte);
    let timeouts = Timeouts {
        connect: spec.connect_timeout.unwrap_or(defaults.connect),
        first_byte,
        total: first_byte.saturating_mul(3),
        ..defaults
    };
    let defaults = Limits::default();
    let queue_bytes = spec.max_queue.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let limits = Limits {
        connections: spec.max_connections.unwrap_or(MAX_CONNECTIONS),
        queue_bytes: queue_bytes.unwrap_or(defaults.queue_bytes),
        ..defaults
    };
    let pace = Pace::Recorded { speed: 1.0 };
    let replay = ReplayOptions::new(marks, pace, WhenFull::Wait);
    Ok(To {
        name: Some(spec.name.clone()),
        target: Target::parse(&spec.url)?,
        options: ReplayOptions { limits, timeouts, ..replay },
    })
}

/// The file's rules, with targets by their place among those of the run. Without rules, all goes to
/// all of them.
///
/// # Errors
/// When a rule names a target that the run does not have.
pub(super) fn routes(file: &File, targets: &[TargetSpec]) -> anyhow::Result<Routes> {
    let rule = |spec: &RuleSpec| -> anyhow::Result<Rule> {
        let sample = spec.sampled();
        let mut uses = Vec::new();
        for used in &spec.targets {
            let place = targets.iter().position(|target| target.name == used.name);
            let Some(target) = place.and_then(TargetId::new) else {
                bail!("{}: this run has no such target; start it again to add one", used.name)
            };
            uses.push((target, used.portion.unwrap_or(sample.portion)));
        }
        Ok(Rule {
            name: spec.name.clone(),
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
