//! The configuration of `mirror run`, and what all sending commands derive from a file.

use std::num::NonZeroU32;

use anyhow::ensure;

use super::compared::Comparing;
use super::file::File;
use super::outputs::replay::{Bodies, ReplayTarget, replay};
use super::routes::narrowed;
use super::source::Source;
use super::start::Start;
use super::stream;
use super::target::{Run, replay_target};
use super::{Config, SummaryForm, admin, dashboard, hooks, redact, run_name, store};
use crate::broker::address::Address;
use crate::cli::RunArgs;
use crate::filter::{Choice, Watch};
use crate::otlp;
use crate::rules::redact::Preset;
use crate::rules::route::Routes;
use crate::settings::{PaceSettings, over};

/// Default of the longest request body that is replayed. A body of 4 GiB must pass, including its chunk
/// framing; twice that leaves a margin and still bounds the disk space of one request.
pub(super) const MAX_BODY: u64 = 8 << 30;

impl Config {
    /// The configuration of `mirror run`.
    ///
    /// # Errors
    /// All problems of the file, or a target without an address.
    pub fn for_run(args: &RunArgs) -> anyhow::Result<Self> {
        let start = Start::read(args)?;
        // What flags add is no change of the file when that is read again.
        let admin = over(args.admin.clone(), &start.file.admin);
        let metrics = over(args.metrics.clone(), &start.file.metrics);
        let dashboard = over(args.dashboard.clone(), &start.file.dashboard);
        let store = over(args.store.clone(), &start.file.store);
        let file = &File { admin, metrics, dashboard, store, ..start.file.clone() };
        let summary = if args.report.json { SummaryForm::Json } else { SummaryForm::Text };
        let run = Run::of(file)?;
        let mut config = Self::sending(file, &run, true, summary)?;
        config.route(file.routes()?);
        config.admin = admin::options(file, &config.ports())?;
        config.show(file, &run)?;
        config.followed = Some(start.followed(run));
        Ok(config)
    }

    /// A run that sends everything to all targets of `file`. If `named`, the summary shows the targets'
    /// names.
    ///
    /// # Errors
    /// What is wrong, and how to fix it.
    pub(super) fn sending(
        file: &File,
        run: &Run,
        named: bool,
        summary: SummaryForm,
    ) -> anyhow::Result<Self> {
        // Only flags get here: in a file, these conflicts are reported with their position when it is read.
        let requests_only = file.source.filter.requests_only;
        ensure!(
            !(requests_only && file.correlates()),
            "--requests-only: --correlate learns from production's responses; leave one of them out"
        );
        ensure!(
            !(requests_only && file.compares()),
            "--requests-only: a target's `compare` needs production's responses; leave one of them out"
        );
        ensure!(
            !(requests_only && file.watches_production()),
            "--requests-only: --ramp watches production's responses; leave one of them out, or set --ramp-production-errors off"
        );
        let problem = file.metrics.problem_without_pods().filter(|_| file.source.pods.is_none());
        ensure!(problem.is_none(), "{}", problem.unwrap_or_default());
        let target = |(place, spec)| {
            let target = ReplayTarget { place, ..replay_target(spec, run)? };
            Ok(if named { target } else { ReplayTarget { name: None, ..target } })
        };
        let (streams, servers): (Vec<_>, Vec<_>) =
            file.targets.iter().enumerate().partition(|(_, spec)| Address::is_meant(&spec.url));
        let targets: anyhow::Result<Vec<ReplayTarget>> = servers.into_iter().map(target).collect();
        let passes = file.pace.passes.map_or(1, NonZeroU32::get);
        let output = replay(targets?, bodies(file));
        let output = stream::publishing(output, &streams, run, named)?;
        let source = stream::shared(&file.source, stream::DEFAULT_GROUP);
        let mut config = Self::with_passes(&source, passes, output, summary)?;
        if let Some(probes) = file.noise.probes {
            config.rules.probes = probes;
        }
        if let Some(retries) = file.noise.retries {
            config.rules.retries = retries;
        }
        // As with mirroring in a service mesh, the shadow gets what production got: without credentials
        // it would respond 401 to everything.
        let config = config.redacting(file.redact.clone(), Preset::None)?;
        if file.keeps_responses() {
            let rules = config.rules.redactor.as_deref();
            run.comparing.redaction.set(redact::of_pairs(&file.redact, rules)?);
        }
        let hooks = hooks::plan(&file.hooks, &run.name, &config.source, passes);
        let (labels, telemetry) = (file.metrics.chosen(), otlp::Plan::from_environment()?);
        Ok(Self { labels, telemetry, hooks, ..config })
    }

    /// Shows the comparison of a target that is compared, in the summary and in a browser.
    ///
    /// # Errors
    /// If the dashboard cannot be served, or has nothing to show.
    pub(super) fn show(&mut self, file: &File, run: &Run) -> anyhow::Result<()> {
        self.dashboard = dashboard::options(&file.dashboard, &self.ports())?;
        ensure!(
            self.dashboard.is_none() || file.compares(),
            "dashboard: nothing is compared; add `compare: true` to a target of the file"
        );
        // A reload may bring a comparison.
        self.comparison = Some(run.comparing.comparison.clone());
        Ok(())
    }

    /// Sets the routes. Connections that no rule can match are not even captured.
    pub(super) fn route(&mut self, routes: Routes) {
        self.watch = Watch::new(narrowed(Choice::clone(&self.watch.choice()), &routes));
        self.rules.routes = Some(routes);
    }
}

/// The limits on bodies that a file sets.
fn bodies(file: &File) -> Bodies {
    Bodies {
        longest: file.longest_body(),
        spooled: file.bodies.max_spool.map_or(Bodies::default().spooled, |bytes| bytes.0),
    }
}

impl File {
    /// The longest request body that is sent, in bytes.
    pub(crate) fn longest_body(&self) -> u64 {
        self.bodies.max_body.map_or(MAX_BODY, |bytes| bytes.0)
    }
}

impl Run {
    /// A run of this file.
    ///
    /// # Errors
    /// If it sets the pace of a capture file, and the source is live.
    pub(super) fn of(file: &File) -> anyhow::Result<Self> {
        let source = Source::new(&file.source, 1)?;
        let (is_live, is_stream) = (source.is_live(), source.is_stream());
        if is_live {
            refuse_for_live(&file.pace)?;
        } else {
            ensure!(
                file.pace.has_gaps() || file.pace.max_gap.is_none(),
                "--max-gap: there are no recorded gaps with --rate or --speed max; leave it out"
            );
        }
        let (name, pace) = (run_name(), file.pace.clone());
        let store = store::of_run(file)?;
        let comparing = Comparing::new(&file.dashboard, &file.source.from, store);
        Ok(Self { name, pace, is_live, is_stream, log: None, fail_on: Vec::new(), comparing })
    }
}

fn refuse_for_live(pace: &PaceSettings) -> anyhow::Result<()> {
    let given = [
        ("speed", pace.speed.is_some()),
        ("max-gap", pace.max_gap.is_some()),
        ("from-time", pace.from_time.is_some()),
        ("to-time", pace.to_time.is_some()),
        ("loop", pace.passes.is_some_and(|passes| passes.get() > 1)),
    ];
    for (flag, is_given) in given {
        ensure!(
            !is_given,
            "--{flag}: applies to files only, live requests are sent at once; leave it out"
        );
    }
    Ok(())
}
