//! The configuration of `mirror compare`.

use std::fs::File as Opened;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Error, bail, ensure};
use mirror_compare::gate::Gate;

use super::compared::{CURL_URL, Candidate, Comparing};
use super::file::{File, TargetSpec};
use super::outputs::compare as outputs;
use super::store::Wanted;
use super::target::Run;
use super::{Config, SummaryForm, source, store};
use crate::cli::CompareArgs;
use crate::dashboard;
use crate::files::{self, Existing};
use crate::rules::redact::Preset;
use crate::settings::{RedactSettings, SourceSettings, over};
use crate::sink::compare::store::{Anew, RunFacts, Store};
use crate::sink::compare::{Recording, Shared};
use crate::sink::replay::TargetUrl;

/// A comparison.
pub(crate) struct CompareConfig {
    /// What is run, in this order: with two recordings, the candidate's is read first.
    pub(crate) runs: Vec<Config>,
    /// What they add to.
    pub(crate) comparison: Shared,
    /// Instead of runs: what is stored is judged anew.
    pub(crate) stored: Option<Stored>,
    /// What the report must fulfil, instead of the gate of the rules.
    pub(crate) gate: Option<Gate>,
    /// Where it is written.
    pub(crate) reports: Reports,
    /// Where it is shown.
    pub(crate) dashboard: Option<dashboard::Options>,
}

/// Judging what is stored.
pub(crate) struct Stored {
    pub(crate) store: Store,
    pub(crate) anew: Anew,
    /// Where pairs that differ are written.
    pub(crate) findings: Option<Findings>,
}

/// Where pairs that differ are written.
pub(crate) type Findings = Box<dyn Write + Send>;

/// Where the report goes.
pub(crate) struct Reports {
    pub(crate) json: bool,
    pub(crate) junit: Option<Opened>,
    pub(crate) html: Option<Opened>,
}

/// The form of the runs' summaries, beside the report on standard output.
const SUMMARY: SummaryForm = SummaryForm::TextOnStderr;

impl CompareConfig {
    /// # Errors
    /// What is wrong with the command line, and how to fix it.
    pub(crate) fn new(args: &CompareArgs) -> anyhow::Result<Self> {
        let reports_stored = args.store.report;
        let beside = File::beside(args.source.config.as_deref())?.unwrap_or_default();
        let source = over(args.source.settings.clone(), &beside.source);
        let redact = over(args.redact.clone(), &beside.redact);
        ensure!(
            !reports_stored || args.redact == key_alone(&args.redact),
            "--redact: what --store holds was redacted when it was stored, and stays so"
        );
        let admin = over(args.admin.clone(), &beside.admin);
        let source = super::stream::shared(&source, "compare");
        let run = compared(args, File { source, redact, admin, ..File::default() })?;
        ensure!(
            reports_stored || !run.source.from.is_empty(),
            "--from: where does production's traffic come from?"
        );
        apart(args, &run)?;
        let wanted = Wanted {
            reads_only: reports_stored,
            shown: args.dashboard.listen.is_some(),
            waits: args.to.is_none(),
            facts: facts(args, &run),
        };
        let store = store::open(&args.store.kept, wanted)?;
        let comparing = Comparing::new(&args.dashboard, &run.source.from, store.clone());
        let comparison = comparing.comparison.clone();
        let stored = match store.filter(|_| reports_stored) {
            Some(store) => Some(stored(args, store, &comparing)?),
            None => None,
        };
        let mut runs = match &args.to {
            _ if stored.is_some() => Vec::new(),
            Some(_) => vec![live(&run, comparing)?],
            None => recorded(args, &run, &comparing)?,
        };
        // The one that compares; the candidate's recording is only read.
        if let Some(compares) = runs.last_mut() {
            compares.admin = super::admin::options(&run, &compares.ports())?;
        }
        let (junit, html) = (create(args.junit.as_deref())?, create(args.html.as_deref())?);
        let reports = Reports { json: args.json, junit, html };
        let ports = runs.first().map(Config::ports).unwrap_or_default();
        let dashboard = super::dashboard::options(&args.dashboard, &ports)?;
        Ok(Self { runs, comparison, stored, gate: args.gate.clone(), reports, dashboard })
    }
}

/// The same without anything but a key, which the environment may name for all runs.
fn key_alone(redact: &RedactSettings) -> RedactSettings {
    RedactSettings { key_file: redact.key_file.clone(), ..RedactSettings::default() }
}

/// A run with one target, which is compared: the candidate, without a URL if nothing is sent.
fn compared(args: &CompareArgs, mut run: File) -> anyhow::Result<File> {
    let to = args.to.as_deref().map(TargetUrl::read).transpose().map_err(Error::msg)?;
    let (text, credentials) = to.map(|to| (to.text, to.credentials)).unwrap_or_default();
    let compare = Some(args.how.clone());
    run.targets.push(TargetSpec { credentials, compare, ..TargetSpec::new("candidate", text) });
    Ok(run)
}

/// What is told to those who judge pairs of this run anew.
fn facts(args: &CompareArgs, run: &File) -> RunFacts {
    let to = args.to.as_ref().and(run.targets.first()).map(|target| target.url.as_str());
    let url = args.how.curl_url.as_deref().or(to).unwrap_or(CURL_URL);
    // Two recordings were chosen by hand, to be compared; a target runs on other hardware.
    RunFacts { base_url: url.to_owned(), against_production: args.to.is_none() }
}

fn create(path: Option<&Path>) -> anyhow::Result<Option<Opened>> {
    path.map(|path| files::create(path, Existing::Overwrite)).transpose()
}

/// Refuses files that are written and also read or written elsewhere.
fn apart(args: &CompareArgs, run: &File) -> anyhow::Result<()> {
    let mut apart = run.reads();
    args.source.reads(&mut apart);
    args.with.iter().for_each(|path| apart.reads("--with", path.as_ref()));
    let token = &args.dashboard.token_file;
    token.iter().for_each(|path| apart.reads("--dashboard-token-file", path));
    let store = &args.store.kept.file;
    match args.store.report {
        true => store.iter().for_each(|path| apart.reads("--store", path)),
        false => store.iter().for_each(|path| apart.writes("--store", path)),
    }
    for (flag, path) in [("--junit", &args.junit), ("--html", &args.html)] {
        path.iter().for_each(|path| apart.writes(flag, path));
    }
    apart.ensure()
}

/// What is stored, to be judged.
fn stored(args: &CompareArgs, store: Store, comparing: &Comparing) -> anyhow::Result<Stored> {
    let facts = store.facts().clone();
    begin(args, &facts, comparing)?;
    let anew = Anew::new(store.clone(), store::range(&args.store)?);
    Ok(Stored { store, anew, findings: findings(args)? })
}

/// Two recordings, read one after the other.
fn recorded(args: &CompareArgs, run: &File, comparing: &Comparing) -> anyhow::Result<Vec<Config>> {
    let other = SourceSettings { from: args.with.clone(), ..SourceSettings::default() };
    for from in [&run.source, &other] {
        if let Some(name) = from.from.iter().find(|from| !source::is_file(from)) {
            bail!(
                "{name}: not a capture file; --with compares two recordings, and --to sends to a candidate"
            );
        }
    }
    let comparison = begin(args, &facts(args, run), comparing)?;
    let recording = Recording::default();
    let mut candidate = Config::new(&other, outputs::record(recording.clone()), SUMMARY)?;
    let compare = outputs::compare(recording, comparison, findings(args)?);
    let production = Config::new(&run.source, compare, SUMMARY)?;
    let production = production.redacting(run.redact.clone(), Preset::Credentials)?;
    // One key, so that what is equal still is.
    candidate.rules.redactor.clone_from(&production.rules.redactor);
    Ok(vec![candidate, production])
}

/// Begins a comparison of pairs that nothing is sent for.
fn begin(args: &CompareArgs, facts: &RunFacts, comparing: &Comparing) -> anyhow::Result<Shared> {
    let name = args.with.join(",");
    let candidate = Candidate { name: &name, url: &facts.base_url };
    let (mut options, gate) = comparing.options(&args.how, candidate)?;
    options.latency.against_production = facts.against_production;
    Ok(comparing.comparison.begin(options, gate))
}

fn findings(args: &CompareArgs) -> anyhow::Result<Option<Findings>> {
    let file = create(args.how.findings.as_deref())?;
    Ok(file.map(|file| Box::new(BufWriter::new(file)) as Findings))
}

/// A replay to the candidate, and perhaps to a control.
fn live(file: &File, comparing: Comparing) -> anyhow::Result<Config> {
    let run = Run { comparing, ..Run::of(file)? };
    Config::sending(file, &run, true, SUMMARY)
}
