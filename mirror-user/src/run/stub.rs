//! `mirror stub`: recordings are read, then requests are answered from them until it is stopped.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::admin::Admin;
use crate::cli::StubArgs;
use crate::config::stub::StubConfig;
use crate::descriptors;
use crate::logging::{self, emit};
use crate::metrics::Sources;
use crate::origin::Origins;
use crate::pipeline::{Beside, JsonLines, Outlet, Pipeline};
use crate::shutdown::Stop;
use crate::sink::replay::ReplayMonitors;
use crate::stats::{Snapshot, SnapshotSlot};
use crate::stub::book::Loading;
use crate::stub::serve::{Bound, Server};
use crate::stub::{Counts, StubSink};
use crate::summary::Summary;

/// How late a stop is noticed, and a scrape answered.
const LOOK: Duration = Duration::from_millis(20);

/// Runs it; false if a bound of `--fail-on` was crossed.
///
/// # Errors
/// What is wrong with the command line or the recordings, a port that is taken, and what cannot be written.
pub fn run(args: &StubArgs, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut config = StubConfig::new(args)?;
    let stop = Stop::on_signals()?;
    stop.on_hangup()?;
    let descriptors = descriptors::raise().unwrap_or(usize::MAX);
    // Before anything is read, so that a port that is taken is told at once.
    let bound = Bound::bind(config.options.listen)?;
    let admin = config.admin.take().map(Admin::bind).transpose()?;
    let (run_for, fail_on, json) = (config.run_for, config.fail_on.clone(), config.json);
    let served = Served::load(config, &stop)?;
    served.summary.warnings.iter().for_each(|warning| logging::warning(warning));

    let snapshots = Arc::<SnapshotSlot>::default();
    snapshots.publish(served.snapshot());
    let _admin = admin.map(|admin| admin.serve(sources(&snapshots, &stop))).transpose()?;
    let address = bound.address();
    // With fewer, clients wait.
    let most = descriptors.saturating_sub(served.loading.files);
    let running = bound.serve(Arc::clone(&served.server), most)?;
    let (stubs, exchanges) = (served.loading.stubs, served.loading.kept);
    let hosts = served.server.hosts();
    if let Some((file, true)) = served.server.authority() {
        let file = file.display();
        emit!(
            StubAuthorityMade,
            file = %file,
            "stub: a certificate authority was made; let clients trust {file}, and keep the key beside it private: who \
             has it can stand in for any host at these clients"
        );
    }
    let schemes = if served.server.speaks_tls() { "http and https" } else { "http" };
    emit!(
        StubListening,
        address = %address,
        stubs,
        exchanges,
        hosts,
        "stub: http://{address}/ answers {stubs} requests of {hosts} hosts as recorded, by {schemes}; Ctrl-C ends it"
    );
    run_for.map_or(Ok(()), |time| stop.request_after(time))?;
    while !stop.requested() {
        if snapshots.take_request() {
            snapshots.publish(served.snapshot());
        }
        thread::park_timeout(LOOK);
    }
    running.stop();
    served.tell(json, out)?;
    let crossed: Vec<String> =
        fail_on.iter().filter_map(|bound| bound.crossed(&served.counts)).collect();
    crossed.iter().for_each(|what| logging::warning(what));
    Ok(crossed.is_empty())
}

/// Where the admin endpoint finds what it shows.
fn sources(snapshots: &Arc<SnapshotSlot>, stop: &Stop) -> Sources {
    Sources {
        snapshots: Arc::clone(snapshots),
        targets: ReplayMonitors::default(),
        live: None,
        guard: None,
        handover: None,
        origins: Origins::default(),
        spans: None,
        stop: stop.clone(),
    }
}

/// What was read, and what is asked.
struct Served {
    /// Of the recordings.
    summary: Summary,
    loading: Loading,
    server: Arc<Server>,
    counts: Arc<Counts>,
}

impl Served {
    /// Reads the recordings.
    fn load(config: StubConfig, stop: &Stop) -> anyhow::Result<Self> {
        let StubConfig { runs, lines, recording, options, tls, .. } = config;
        let mut summary = Summary::default();
        for run in runs {
            let (one, outcome) = super::start(run, stop)?.to_end(stop);
            add(&mut summary, one);
            outcome?;
        }
        if let Some((files, rules)) = lines {
            let outlet = Outlet::of_all(Box::new(StubSink::new(recording.clone())));
            let front = Box::new(JsonLines::open(files)?);
            let pipeline = Pipeline::new(front, rules, vec![outlet], Beside::default());
            let (one, outcome) = pipeline.run(stop);
            add(&mut summary, one);
            outcome?;
        }
        let builder = recording.into_builder().context("--from: it is still being read")?;
        let (book, loading) = builder.finish();
        ensure!(stop.requested() || !book.is_empty(), "--from: {}", nothing(&loading));
        let counts = Arc::<Counts>::default();
        let server = Arc::new(Server::new(options, book, Arc::clone(&counts)).with_tls(tls));
        Ok(Self { summary, loading, server, counts })
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.summary.snapshot.clone();
        snapshot.accounts.push(self.counts.account());
        snapshot.notes.extend(self.loading.note(self.server.unused()));
        snapshot.notes.extend(self.counts.notes());
        snapshot
    }

    fn tell(&self, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let warnings = self.summary.warnings.clone();
        let summary = Summary { snapshot: self.snapshot(), warnings, ..Summary::default() };
        match json {
            true => writeln!(out, "{}", serde_json::to_string(&summary)?)?,
            false => write!(out, "{summary}")?,
        }
        Ok(out.flush()?)
    }
}

/// Adds the summary of another recording.
fn add(all: &mut Summary, one: Summary) {
    for account in one.snapshot.accounts {
        let known = all.snapshot.accounts.iter_mut().find(|known| known.seam == account.seam);
        match known {
            Some(known) => known.add(account),
            None => all.snapshot.accounts.push(account),
        }
    }
    all.snapshot.notes.extend(one.snapshot.notes);
    all.warnings.extend(one.warnings);
}

/// Why there is nothing to answer with.
fn nothing(loading: &Loading) -> String {
    let skipped = loading.skipped.iter().filter(|(_, n)| **n > 0);
    let reasons: Vec<String> =
        skipped.map(|(why, n)| format!("{} {n}", <&'static str>::from(why))).collect();
    match reasons.as_slice() {
        [] => "no exchange was found in it; `mirror inspect` shows what is there".to_owned(),
        reasons => format!(
            "none of its {} exchanges has a request and a response that can be given again ({})",
            loading.seen,
            reasons.join(", ")
        ),
    }
}
