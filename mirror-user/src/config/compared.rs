//! What the `compare` of a target means, in a file and on the command line of `mirror compare` alike.

use std::path::Path;

use anyhow::{Context, Error, anyhow, bail};
use mirror_compare::comparison::{Options, Spec};
use mirror_compare::gate::Gate;

use super::command;
use super::file::TargetSpec;
use super::outputs::compare::Compared;
use super::outputs::replay::ReplayTarget;
use super::target::{Run, replay_target};
use crate::rules::sample::Portion;
use crate::settings::{CompareSettings, DashboardSettings};
use crate::sink::compare::store::Store;
use crate::sink::compare::{Redaction, Shared};
use crate::sink::replay::TargetUrl;
use crate::yaml::{self, Limits, Node, Value};

/// Limits on a file of rules.
const LIMITS: Limits = Limits { bytes: 1 << 20, values: 20_000, aliases: false };
/// The candidate in curl commands, where nothing else is known.
pub(super) const CURL_URL: &str = "http://localhost:8080";

/// What all comparisons of a run have in common, also after a reload: a cheap handle.
#[derive(Clone, Default)]
pub(crate) struct Comparing {
    /// What they add to.
    pub(crate) comparison: Shared,
    /// What redacts what they see.
    pub(crate) redaction: Redaction,
    /// Keep messages, for people who look at them.
    pub(crate) details: bool,
    /// Count as Diffy does, too: what production is called in its API.
    pub(crate) diffy: Option<String>,
}

impl Comparing {
    /// Of a run whose dashboard is configured so; `production` is where its packets come from.
    pub(super) fn new(
        dashboard: &DashboardSettings,
        production: &[String],
        store: Option<Store>,
    ) -> Self {
        Self {
            comparison: Shared::kept_in(store),
            redaction: Redaction::default(),
            details: dashboard.listen.is_some(),
            diffy: dashboard.diffy_compatible.then(|| production.join(",")),
        }
    }

    /// How pairs are compared, and the gate of the rules. Curl commands go to the candidate unless the settings say
    /// otherwise.
    ///
    /// # Errors
    /// If the rules cannot be read, or are invalid.
    pub(super) fn options(
        &self,
        how: &CompareSettings,
        candidate: Candidate<'_>,
    ) -> anyhow::Result<(Options, Option<Gate>)> {
        let control = how.control.as_deref().and_then(|url| TargetUrl::read(url).ok());
        let control = control.map_or_else(String::new, |url| url.text);
        let sides = |production| [production, candidate.name.to_owned(), control];
        let base = Options {
            base_url: how.curl_url.as_deref().unwrap_or(candidate.url).to_owned(),
            details: self.details,
            diffy: self.diffy.clone().map(sides),
            ..Options::default()
        };
        match &how.rules {
            Some(path) => read(path)?.options(base).with_context(|| path.display().to_string()),
            None => Ok((base, None)),
        }
    }
}

/// What pairs are told to come from.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'n> {
    /// As people know it: a URL, or recordings.
    pub(super) name: &'n str,
    /// Where its requests can be sent to.
    pub(super) url: &'n str,
}

/// How the responses of `spec` are compared; `None` if they are not.
///
/// # Errors
/// What is wrong with the control's URL or the rules.
pub(super) fn compared(spec: &TargetSpec, run: &Run) -> anyhow::Result<Option<Compared>> {
    let Some(how) = &spec.compare else { return Ok(None) };
    let control = how.control.as_deref().map(|url| control(spec, url, run)).transpose()?;
    let candidate = Candidate { name: &spec.url, url: &spec.url };
    let (options, gate) = run.comparing.options(how, candidate)?;
    let Comparing { comparison, redaction, .. } = run.comparing.clone();
    Ok(Some(Compared {
        control: control.map(Box::new),
        ask_again: how.double_send.unwrap_or(Portion::NONE),
        options,
        gate,
        findings: how.findings.clone(),
        comparison,
        redaction,
    }))
}

/// The control is a target like the candidate, with another URL.
fn control(spec: &TargetSpec, url: &str, run: &Run) -> anyhow::Result<ReplayTarget> {
    let TargetUrl { text: url, credentials } = TargetUrl::read(url).map_err(Error::msg)?;
    let name = format!("{}/control", spec.name);
    replay_target(&TargetSpec { name, url, credentials, compare: None, ..spec.clone() }, run)
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
