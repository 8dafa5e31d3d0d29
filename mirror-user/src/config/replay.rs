//! What `mirror replay` means.

use anyhow::{bail, ensure};

use super::output::{Output, To};
use super::source::Source;
use super::{Config, SummaryForm, run_name};
use crate::cli::{AmbiguousArg, ModeArg, ReplayArgs, Speed};
use crate::rules::edit::Edits;
use crate::rules::redact::Preset;
use crate::rules::tag::{Ambiguous, HostPolicy, Marks, Mode};
use crate::sink::replay::{Limits, Pace, ReplayOptions, Target, Timeouts, WhenFull};

impl Config {
    /// What `mirror replay` means.
    ///
    /// # Errors
    /// As [`for_capture`](Self::for_capture).
    pub fn for_replay(args: &ReplayArgs) -> anyhow::Result<Self> {
        let target = Target::parse(&args.to)?;
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
        let marks = Marks { host, mode, run: run_name(), ambiguous, edits: Edits::default() };
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
            ..Timeouts::default()
        };
        let pace = match args.speed.unwrap_or(Speed::Times(1.0)) {
            Speed::Times(speed) => Pace::Recorded { speed },
            Speed::Max => Pace::Max,
        };
        let options = ReplayOptions { marks, pace, when_full: WhenFull::Wait, limits, timeouts };
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        let targets = vec![To { name: None, target, options }];
        let output = Output::Replay { targets, max_body: args.max_body };
        // As with a mesh's mirroring, the shadow gets what production got: without credentials it
        // answers 401 to everything.
        let config = Self::new(&args.source, output, summary)?
            .redacting((&args.redact).into(), Preset::None)?;
        let live = matches!(config.source, Source::Live { .. });
        ensure!(
            !live || args.speed.is_none(),
            "--speed: live requests go out at once; leave it out"
        );
        Ok(config)
    }
}
