//! The configuration of `mirror compare`.

use std::fs::File as Opened;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use mirror_compare::comparison::{Comparison, Options, Spec};
use mirror_compare::gate::Gate;

use super::outputs::compare as outputs;
use super::{Config, SummaryForm, command, file};
use crate::cli::CompareArgs;
use crate::files::{self, Existing};
use crate::rules::redact::Preset;
use crate::settings::{SourceSettings, over};
use crate::sink::compare::{Recording, Shared};
use crate::yaml::{self, Limits, Node, Value};

/// Limits on a file of rules.
const LIMITS: Limits = Limits { bytes: 1 << 20, values: 20_000, aliases: false };

/// A comparison of two recordings, which is made in two runs with one key.
pub(crate) struct CompareConfig {
    /// Reads the candidate's recording.
    pub(crate) candidate: Config,
    /// Reads production's and compares.
    pub(crate) production: Config,
    /// What they add to.
    pub(crate) comparison: Shared,
    /// What the report must fulfil.
    pub(crate) gate: Option<Gate>,
    /// Where it is written.
    pub(crate) reports: Reports,
}

/// Files with the report.
pub(crate) struct Reports {
    pub(crate) json: bool,
    pub(crate) junit: Option<Opened>,
    pub(crate) html: Option<Opened>,
}

impl CompareConfig {
    /// # Errors
    /// What is wrong with the command line, and how to fix it.
    pub(crate) fn new(args: &CompareArgs) -> anyhow::Result<Self> {
        let beside = file::File::beside(args.source.config.as_deref())?.unwrap_or_default();
        let source = over(args.source.settings.clone(), &beside.source);
        let redact = over(args.redact.clone(), &beside.redact);
        let with = SourceSettings { from: args.with.clone(), ..SourceSettings::default() };
        for from in [&source, &with] {
            let missing = from.from.iter().find(|from| !super::source::is_file(from));
            if let Some(name) = missing {
                bail!(
                    "{name}: not a capture file; mirror compare reads two recordings, --from and --with"
                );
            }
        }
        ensure!(
            !source.from.is_empty(),
            "--from: which recording of production's? give a capture file"
        );
        let run = file::File { source, redact, ..file::File::default() };
        let mut apart = run.reads();
        args.source.reads(&mut apart);
        args.with.iter().for_each(|path| apart.reads("--with", path.as_ref()));
        args.rules.iter().for_each(|path| apart.reads("--rules", path));
        let written =
            [("--findings", &args.findings), ("--junit", &args.junit), ("--html", &args.html)];
        for (flag, path) in written {
            path.iter().for_each(|path| apart.writes(flag, path));
        }
        apart.ensure()?;
        let base = Options { base_url: args.curl_url.clone(), ..Options::default() };
        let (mut options, gate) = match &args.rules {
            Some(path) => read(path)?.options(base).with_context(|| path.display().to_string())?,
            None => (base, None),
        };
        // Both recordings were chosen by hand, to be compared.
        options.latency.against_production = true;
        let create = |path: &Option<_>| -> anyhow::Result<Option<Opened>> {
            path.as_deref().map(|path| files::create(path, Existing::Overwrite)).transpose()
        };
        let findings = create(&args.findings)?;
        let findings = findings.map(|file| Box::new(BufWriter::new(file)) as Box<dyn Write + Send>);
        let (recording, comparison) = (Recording::default(), Shared::new(Comparison::new(options)));
        let form = SummaryForm::TextOnStderr;
        let mut candidate = Config::new(&with, outputs::record(recording.clone()), form)?;
        let compare = outputs::compare(recording, comparison.clone(), findings);
        let production =
            Config::new(&run.source, compare, form)?.redacting(run.redact, Preset::Credentials)?;
        // One key, so that what is equal still is.
        candidate.rules.redactor.clone_from(&production.rules.redactor);
        let reports =
            Reports { json: args.json, junit: create(&args.junit)?, html: create(&args.html)? };
        Ok(Self { candidate, production, comparison, gate: args.gate.clone().or(gate), reports })
    }
}

/// Reads a file of rules.
fn read(path: &Path) -> anyhow::Result<Spec> {
    let name = path.display().to_string();
    let text = command::text(path)?;
    let documents = yaml::parse(&text, LIMITS);
    let documents =
        documents.map_err(|problem| anyhow::anyhow!("{name}: {}: {}", problem.at, problem.text))?;
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
