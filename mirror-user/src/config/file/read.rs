//! Reads the whole file.

use super::model::{File, TargetSpec, VERSION};
use super::{LIMITS, check, read_rules, read_target};
use crate::settings::define::Settings;
use crate::settings::{
    AdminSettings, BodySettings, DashboardSettings, MetricsSettings, NoiseSettings, PaceSettings,
    SourceSettings, read,
};
use crate::yaml::{Node, Problems, Reader};

/// Top-level keys, except settings that are not in a group.
const KEYS: [&str; 11] = [
    "version",
    "source",
    "pace",
    "redact",
    "admin",
    "metrics",
    "dashboard",
    "store",
    "hooks",
    "targets",
    "rules",
];

impl File {
    /// Parses a configuration file and checks it as a whole. Opens no files, resolves no names.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let root = reader.document(text, LIMITS);
        let file = root.and_then(|root| file(&mut reader, &root));
        match file {
            Some(file) => {
                check::check(&file, &mut reader.problems);
                reader.problems.sort();
                if reader.problems.is_empty() { Ok(file) } else { Err(reader.problems) }
            }
            None => Err(reader.problems),
        }
    }
}

fn file(reader: &mut Reader, root: &Node) -> Option<File> {
    let alone = [read::keys::<NoiseSettings>(), read::keys::<BodySettings>()].concat();
    let fields = reader.fields(root, &[&KEYS[..], &alone].concat())?;
    match reader.required(&fields, "version", "the format's version; write version: 1") {
        Some(node) if reader.text(node).is_some_and(|text| text != VERSION.to_string()) => {
            reader.wrong(node.at, format!("version: this program supports only version {VERSION}"));
        }
        _ => {}
    }
    let advice = "where packets come from; write source: { from: eth0, ports: 8080 }";
    let source = reader.required(&fields, "source", advice);
    let source = source.and_then(|node| read::map(reader, node)).map(|(source, _)| source);
    let captured = |port| is_captured(source.as_ref(), port);
    let admin = fields
        .get("admin")
        .and_then(|node| served(reader, node, |admin: &AdminSettings| admin.problem(captured)));
    let metrics = fields.get("metrics").and_then(|node| metrics(reader, node, source.as_ref()));
    let advice = "where requests go; write targets: { staging: { url: http://staging:8080 } }";
    let targets = reader.required(&fields, "targets", advice);
    let targets = match targets.map(|node| (node.at, reader.pairs(node).unwrap_or_default())) {
        Some((at, none)) if none.is_empty() => {
            reader.wrong(at, format!("targets: empty; {advice}"));
            none
        }
        Some((_, targets)) => targets,
        None => Vec::new(),
    };
    let targets = targets.into_iter().filter_map(|(key, node)| match name(&key.text) {
        Ok(name) => read_target::target(reader, name, key.at, node),
        Err(error) => {
            reader.wrong(key.at, error);
            None
        }
    });
    let targets: Vec<TargetSpec> = targets.collect();
    let dashboard = fields.get("dashboard").and_then(|node| {
        served(reader, node, |dashboard: &DashboardSettings| dashboard.problem(captured))
    });
    let store = fields.get("store").and_then(|node| read::map(reader, node));
    let hooks = fields.get("hooks").and_then(|node| read::map(reader, node));
    let compares = targets.iter().any(|target| target.compare.is_some());
    for key in ["dashboard", "store"] {
        if let (false, Some(node)) = (compares, fields.get(key)) {
            let advice = "nothing is compared; add `compare: true` to a target";
            reader.wrong(node.at, format!("{key}: {advice}"));
        }
    }
    let pace = fields.get("pace").and_then(|node| pace(reader, node));
    let redact = fields.get("redact").and_then(|node| read::map(reader, node));
    Some(File {
        source: source.unwrap_or_default(),
        pace: pace.unwrap_or_default(),
        noise: read::settings(reader, &fields),
        bodies: read::settings(reader, &fields),
        redact: redact.map(|(redact, _)| redact).unwrap_or_default(),
        admin: admin.unwrap_or_default(),
        metrics: metrics.unwrap_or_default(),
        dashboard: dashboard.unwrap_or_default(),
        store: store.map(|(store, _)| store).unwrap_or_default(),
        hooks: hooks.map(|(hooks, _)| hooks).unwrap_or_default(),
        targets,
        rules: reader.list(fields.get("rules"), read_rules::rule),
    })
}

/// The settings of what is served at an address, `listen`; `problem` says what is wrong with that.
fn served<G: Settings>(
    reader: &mut Reader,
    node: &Node,
    problem: impl FnOnce(&G) -> Option<String>,
) -> Option<G> {
    let (settings, fields) = read::map::<G>(reader, node)?;
    if let Some(listen) = fields.get("listen")
        && let Some(problem) = problem(&settings)
    {
        reader.wrong(listen.at, problem);
    }
    Some(settings)
}

fn metrics(
    reader: &mut Reader,
    node: &Node,
    source: Option<&SourceSettings>,
) -> Option<MetricsSettings> {
    let (settings, fields) = read::map::<MetricsSettings>(reader, node)?;
    let has_pods = source.is_none_or(|source| source.pods.is_some());
    if let (false, Some(labels), Some(problem)) =
        (has_pods, fields.get("labels"), settings.problem_without_pods())
    {
        reader.wrong(labels.at, problem);
    }
    Some(settings)
}

fn is_captured(source: Option<&SourceSettings>, port: u16) -> bool {
    let ports = source.map(|source| source.filter.ports.as_slice()).unwrap_or_default();
    ports.iter().any(|range| range.contains(port))
}

fn pace(reader: &mut Reader, node: &Node) -> Option<PaceSettings> {
    let (pace, fields) = read::map::<PaceSettings>(reader, node)?;
    if let Some(gap) = fields.get("max-gap")
        && pace.rate.is_none()
        && !pace.has_gaps()
    {
        reader.wrong(gap.at, "max-gap: there are no recorded gaps with speed max; leave it out");
    }
    Some(pace)
}

/// A name in summaries, logs and metrics.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is not a valid name; write 1 to 63 letters, digits, dots, dashes and underscores"
    ))
}
