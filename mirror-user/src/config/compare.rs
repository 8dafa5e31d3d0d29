//! The configuration of `mirror compare`.

use std::fs::File as Opened;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, anyhow, bail, ensure};
use mirror_compare::comparison::{Comparison, Options, Spec};
use mirror_compare::gate::Gate;

use super::file::{File, TargetSpec};
use super::outputs::compare as outputs;
use super::outputs::replay::ReplayTarget;
use super::run::bodies;
use super::target::{Run, replay_target};
use super::{Config, SummaryForm, command, redact, source, store};
use crate::cli::CompareArgs;
use crate::dashboard;
use crate::files::{self, Existing};
use crate::rules::redact::{Preset, Redactor};
use crate::settings::{RedactSettings, SourceSettings, over};
use crate::sink::compare::store::{Anew, RunFacts, Store};
use crate::sink::compare::{Judge, Meeting, Recording, Role, Shared};
use crate::sink::replay::TargetUrl;
use crate::yaml::{self, Limits, Node, Value};

/// Limits on a file of rules.
const LIMITS: Limits = Limits { bytes: 1 << 20, values: 20_000, aliases: false };

/// A comparison.
pub(crate) struct CompareConfig {
    /// What is run, in this order: with two recordings, the candidate's is read first.
    pub(crate) runs: Vec<Config>,
    /// What they add to.
    pub(crate) comparison: Shared,
    /// Instead of runs: what is stored is judged anew.
    pub(crate) stored: Option<Stored>,
    /// What the report must fulfil.
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
        let run = File { source, redact, ..File::default() };
        ensure!(
            reports_stored || !run.source.from.is_empty(),
            "--from: where does production's traffic come from?"
        );
        apart(args, &run)?;
        let url = args.curl_url.as_ref().or(args.to.as_ref());
        let facts = RunFacts {
            base_url: url.map_or("http://localhost:8080", |url| url).to_owned(),
            // Two recordings were chosen by hand, to be compared; a target runs on other hardware.
            against_production: args.to.is_none(),
        };
        let shown = args.dashboard.dashboard.is_some();
        let store = store::open(&args.store, shown, facts.clone(), args.to.is_none())?;
        let facts = store.as_ref().map_or(facts, |store| store.facts().clone());
        let base_url = args.curl_url.clone().unwrap_or(facts.base_url);
        let diffy = args.dashboard.diffy_compatible.then(|| sides(args, &run));
        let base = Options { base_url, details: shown, diffy, ..Options::default() };
        let (mut options, gate) = match &args.rules {
            Some(path) => read(path)?.options(base).with_context(|| path.display().to_string())?,
            None => (base, None),
        };
        options.latency.against_production = facts.against_production;
        let comparison = Shared::new(Comparison::new(options), store.clone());
        let mut findings = create(args.findings.as_deref())?
            .map(|file| Box::new(BufWriter::new(file)) as Findings);
        let range = store::range(&args.store)?;
        let stored = store.filter(|_| reports_stored).map(|store| Stored {
            anew: Anew::new(store.clone(), range),
            store,
            findings: findings.take(),
        });
        let runs = match &args.to {
            _ if stored.is_some() => Vec::new(),
            Some(to) => vec![live(to, args.control.as_deref(), run, &comparison, findings)?],
            None => recorded(&args.with, run, &comparison, findings)?,
        };
        let (junit, html) = (create(args.junit.as_deref())?, create(args.html.as_deref())?);
        let reports = Reports { json: args.json, junit, html };
        let ports = runs.first().map(Config::ports).unwrap_or_default();
        let dashboard = super::dashboard::options(&args.dashboard, &ports)?;
        Ok(Self { runs, comparison, stored, gate: args.gate.clone().or(gate), reports, dashboard })
    }
}

/// The same without anything but a key, which the environment may name for all runs.
fn key_alone(redact: &RedactSettings) -> RedactSettings {
    RedactSettings { key_file: redact.key_file.clone(), ..RedactSettings::default() }
}

/// The names of production, candidate and control, as Diffy tells them.
fn sides(args: &CompareArgs, run: &File) -> [String; 3] {
    let candidate = args.to.clone().unwrap_or_else(|| args.with.join(","));
    [run.source.from.join(","), candidate, args.control.clone().unwrap_or_default()]
}

/// Where pairs that differ are written.
pub(crate) type Findings = Box<dyn Write + Send>;

fn create(path: Option<&Path>) -> anyhow::Result<Option<Opened>> {
    path.map(|path| files::create(path, Existing::Overwrite)).transpose()
}

/// Refuses files that are written and also read or written elsewhere.
fn apart(args: &CompareArgs, run: &File) -> anyhow::Result<()> {
    let mut apart = run.reads();
    args.source.reads(&mut apart);
    args.with.iter().for_each(|path| apart.reads("--with", path.as_ref()));
    args.rules.iter().for_each(|path| apart.reads("--rules", path));
    let token = &args.dashboard.dashboard_token_file;
    token.iter().for_each(|path| apart.reads("--dashboard-token-file", path));
    let store = &args.store;
    match store.report {
        true => store.store.iter().for_each(|path| apart.reads("--store", path)),
        false => store.store.iter().for_each(|path| apart.writes("--store", path)),
    }
    let written =
        [("--findings", &args.findings), ("--junit", &args.junit), ("--html", &args.html)];
    for (flag, path) in written {
        path.iter().for_each(|path| apart.writes(flag, path));
    }
    apart.ensure()
}

/// Two recordings, read one after the other.
fn recorded(
    with: &[String],
    run: File,
    comparison: &Shared,
    findings: Option<Findings>,
) -> anyhow::Result<Vec<Config>> {
    let other = SourceSettings { from: with.to_vec(), ..SourceSettings::default() };
    for from in [&run.source, &other] {
        if let Some(name) = from.from.iter().find(|from| !source::is_file(from)) {
            bail!(
                "{name}: not a capture file; --with compares two recordings, and --to sends to a candidate"
            );
        }
    }
    let recording = Recording::default();
    let mut candidate = Config::new(&other, outputs::record(recording.clone()), SUMMARY)?;
    let compare = outputs::compare(recording, comparison.clone(), findings);
    let production = Config::new(&run.source, compare, SUMMARY)?;
    let production = production.redacting(run.redact, Preset::Credentials)?;
    // One key, so that what is equal still is.
    candidate.rules.redactor.clone_from(&production.rules.redactor);
    Ok(vec![candidate, production])
}

/// A replay to the candidate, and perhaps to a control.
fn live(
    to: &str,
    control: Option<&str>,
    mut file: File,
    comparison: &Shared,
    findings: Option<Findings>,
) -> anyhow::Result<Config> {
    let meeting = Meeting::new(control.is_some());
    for (name, url) in [("candidate", Some(to)), ("control", control)] {
        let Some(url) = url else { continue };
        let TargetUrl { text, credentials } = TargetUrl::read(url).map_err(Error::msg)?;
        file.targets.push(TargetSpec { credentials, ..TargetSpec::new(name.to_owned(), text) });
    }
    let run = Run::of(&file)?;
    let roles = [Role::Candidate, Role::Control];
    let targets = file.targets.iter().zip(roles).map(|(spec, role)| {
        let ReplayTarget { name, target, mut options } = replay_target(spec, &run)?;
        options.observer = Some(meeting.observer(role));
        Ok(ReplayTarget { name, target, options })
    });
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    // A candidate gets what production got, unless redaction was asked for; reports never show credentials.
    let options = redact::options(file.redact.clone(), Preset::Credentials)?;
    let redactor = Redactor::new(options)?.map(Arc::new);
    let judge = Judge { comparison: comparison.clone(), redactor: redactor.clone(), findings };
    let output = outputs::live(targets, bodies(&file), meeting, judge);
    let mut config = Config::sending_by(&file, output, SUMMARY)?;
    if config.rules.redactor.is_some() {
        config.rules.redactor = redactor;
    }
    Ok(config)
}

/// Reads a file of rules.
fn read(path: &Path) -> anyhow::Result<Spec> {
    let name = path.display().to_string();
    let text = command::text(path)?;
    let documents = yaml::parse(&text, LIMITS);
    let documents =
        documents.map_err(|problem| anyhow!("{name}: {}: {}", problem.at, problem.text))?;
    let [document] = documents.as_slice() else { bail!("{name}: one document is expected") };
    serde_json::from_value(json(document)).with_context(|| format!("{name}: invalid"))
}

/// A tree of YAML as JSON: plain scalars that are JSON numbers or truth values are those.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Scalar { text, plain: true } => {
            serde_json::from_str(text).unwrap_or_else(|_| text.clone().into())
        }
        Value::Scalar { text, .. } => text.clone().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(fields) => {
            fields.iter().map(|(key, value)| (key.text.clone(), json(value))).collect()
        }
    }
}
