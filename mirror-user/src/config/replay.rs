//! What `mirror replay` means.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use super::output::Output;
use super::source::Source;
use super::{Config, SummaryForm, run_name, target};
use crate::cli::{AmbiguousArg, ModeArg, PaceArgs, ReplayArgs, Speed};
use crate::rules::edit::Edits;
use crate::rules::redact::Preset;
use crate::rules::tag::{Ambiguous, HostPolicy, Marks, Mode};
use crate::sink::replay::{Copies, Limits, Pace, ReplayOptions, Timeouts, WhenFull, Window};
use crate::source::recorder::create_private;

impl Config {
    /// What `mirror replay` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_replay(args: &ReplayArgs) -> anyhow::Result<Self> {
        let host = match HostPolicy::parse(&args.host) {
            Ok(HostPolicy::Suffix { .. }) => {
                HostPolicy::Suffix { ip_literals: args.suffix_addresses }
            }
            Ok(host) => host,
            Err(error) => bail!("--host: {error}"),
        };
        let mode = if args.mode == Some(ModeArg::Rollback) { Mode::Rollback } else { Mode::Replay };
        let ambiguous = match args.ambiguous {
            AmbiguousArg::Drop => Ambiguous::Hold,
            AmbiguousArg::Send => Ambiguous::Send,
        };
        let marks = Marks {
            host,
            mode,
            run: run_name(),
            ambiguous,
            trace: args.marks.trace.into(),
            baggage: args.marks.baggage.into(),
            edits: Edits::default(),
        };
        let limits = Limits {
            connections: args.max_connections,
            queue_bytes: usize::try_from(args.max_queue).unwrap_or(usize::MAX),
            ..Limits::default()
        };
        ensure!(
            limits.connections > 0,
            "--max-connections 0: nothing could be sent; give 1 or more"
        );
        let timeouts = Timeouts {
            connect: args.connect_timeout,
            first_byte: args.answer_timeout,
            total: args.answer_timeout.saturating_mul(3),
            late: args.pace.max_late,
            ..Timeouts::default()
        };
        let options = ReplayOptions {
            window: Window::new(args.pace.from_time, args.pace.to_time),
            copies: Copies { count: args.pace.copies, over: args.pace.copies_over },
            connections: args.pace.connections,
            limits,
            timeouts,
            log: args.outcome.log_requests.as_deref().map(open_log).transpose()?,
            fail_on: args.outcome.fail_on.clone(),
            ..ReplayOptions::new(marks, pace_of(&args.pace), WhenFull::Wait)
        };
        let summary = if args.outcome.json { SummaryForm::Json } else { SummaryForm::Text };
        let file = super::file::File::beside(&args.source)?;
        let own = args.target.to.is_empty();
        let targets = match &file {
            Some(file) if own => file.to_targets(&options.marks.run)?,
            _ => target::targets(&args.target, &options)?,
        };
        let count = (!own).then_some(targets.len());
        let output = Output::Replay { targets, max_body: args.max_body, max_spool: args.max_spool };
        // As with a mesh's mirroring, the shadow gets what production got: without credentials it
        // answers 401 to everything.
        let redact = (&args.redact).into();
        let (source, redact) = match &file {
            Some(file) => (file.source(&args.source), file.redaction(redact)),
            None => (args.source.clone(), redact),
        };
        let mut config = Self::with_passes(&source, args.pace.passes, output, summary)?
            .ruled_by(file.as_ref(), count)?
            .redacting(redact, Preset::None)?;
        config.report = args.outcome.report.clone();
        let (probes, retries) = file.map(|file| (file.probes, file.retries)).unwrap_or_default();
        config.rules.probes = args.noise.probes.unwrap_or(probes).into();
        config.rules.retries = args.noise.retries.unwrap_or(retries).into();
        let is_live = matches!(config.source, Source::Live { .. });
        if is_live {
            refuse_for_live(&args.pace)?;
        }
        if let Output::Replay { targets, .. } = &mut config.output {
            for to in targets {
                to.options.breaker = target::breaker(&args.target, is_live);
            }
        }
        Ok(config)
    }
}

fn open_log(path: &Path) -> anyhow::Result<Arc<File>> {
    let file =
        create_private(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(Arc::new(file))
}

fn pace_of(args: &PaceArgs) -> Pace {
    match (args.rate, args.speed.unwrap_or(Speed::Times(1.0))) {
        (Some(rate), _) => Pace::Rate(rate),
        (None, Speed::Times(speed)) => Pace::Recorded { speed },
        (None, Speed::Max) => Pace::Max,
    }
}

fn refuse_for_live(args: &PaceArgs) -> anyhow::Result<()> {
    let given = [
        ("--speed", args.speed.is_some()),
        ("--rate", args.rate.is_some()),
        ("--from-time", args.from_time.is_some()),
        ("--to-time", args.to_time.is_some()),
        ("--loop", args.passes > 1),
    ];
    for (flag, is_given) in given {
        ensure!(!is_given, "{flag}: live requests go out at once; leave it out");
    }
    Ok(())
}
