//! What `mirror run` means: a configuration file turned into one run.

use std::path::Path;

use anyhow::{anyhow, ensure};

use super::file::{File, RuleSpec, SourceSpec, TargetSpec};
use super::output::{Output, To};
use super::{Config, SummaryForm, command, run_name};
use crate::cli::{HookArg, RunArgs, SourceArgs};
use crate::rules::redact::Preset;
use crate::rules::route::{Routes, Rule, TargetId};
use crate::rules::tag::Marks;
use crate::sink::replay::{Limits, Pace, ReplayOptions, Target, Timeouts, WhenFull};

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
        let file = command::read(&args.config)?;
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        Self::of_file(&file, summary).map_err(|error| at(&args.config, &error))
    }

    fn of_file(file: &File, summary: SummaryForm) -> anyhow::Result<Self> {
        let run = run_name();
        let targets: Vec<To> =
            file.targets.iter().map(|spec| to(spec, &run)).collect::<anyhow::Result<_>>()?;
        let max_body = file.max_body.unwrap_or(MAX_BODY);
        let output = Output::Replay { targets, max_body };
        let mut config = Self::new(&source_args(&file.source), output, summary)?;
        config.rules.routes = routes(file)?;
        config.redacting(file.redact.clone(), Preset::None)
    }
}

fn at(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{}: {error:#}", path.display())
}

/// The same as the flags would say.
fn source_args(SourceSpec { from, ports, hook, ring_size }: &SourceSpec) -> SourceArgs {
    SourceArgs {
        from: from.clone(),
        ports: ports.iter().flat_map(|range| range.first..=range.last).collect(),
        hook: hook.unwrap_or(HookArg::Tc),
        ring_size: *ring_size,
        run_for: None,
    }
}

fn to(spec: &TargetSpec, run: &str) -> anyhow::Result<To> {
    let marks = Marks {
        host: spec.host.clone(),
        mode: spec.mode,
        run: run.to_owned(),
        ambiguous: spec.ambiguous,
        edits: spec.edits.clone(),
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
    Ok(To {
        name: Some(spec.name.clone()),
        target: Target::parse(&spec.url)?,
        options: ReplayOptions { marks, pace, when_full: WhenFull::Wait, limits, timeouts },
    })
}

/// The file's rules, with targets by their place; `None` where everything goes everywhere.
pub(super) fn routes(File { targets, rules, .. }: &File) -> anyhow::Result<Option<Routes>> {
    if rules.is_empty() {
        return Ok(None);
    }
    let place = |name: &str| {
        let place = targets.iter().position(|target| target.name == name);
        place.and_then(TargetId::new).ok_or_else(|| anyhow!("{name}: no such target"))
    };
    let rule = |spec: &RuleSpec| -> anyhow::Result<Rule> {
        let sample = spec.sampled();
        let used = spec.targets.iter();
        let used =
            used.map(|used| Ok((place(&used.name)?, used.portion.unwrap_or(sample.portion))));
        Ok(Rule {
            name: spec.name.clone(),
            matches: spec.matches.clone(),
            targets: used.collect::<anyhow::Result<_>>()?,
            priority: spec.priority,
            sample,
        })
    };
    let rules: Vec<Rule> = rules.iter().map(rule).collect::<anyhow::Result<_>>()?;
    ensure!(!rules.is_empty(), "no rules");
    Ok(Some(Routes::new(rules, seed())))
}

/// What makes the random draws of one run differ from those of others.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
