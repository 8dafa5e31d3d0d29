//! Prints a [`File`] as YAML that parses to the same file, except for passwords of targets, which are hidden.

use super::model::{File, RuleSpec, TargetSpec, TargetUse, VERSION};
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample, Stickiness};
use crate::rules::select::{Match, PathKind, PathMatch, TextMatch};
use crate::settings::CompareSettings;
use crate::settings::print::print;
use crate::sink::replay::{Credentials, TargetUrl};
use crate::yaml::write::{Fields, Map, Value, texts, write_map};

impl File {
    /// Prints it as YAML, without settings that were not given.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &file(self), 0);
        out
    }
}

fn file(
    File {
        source,
        pace,
        noise,
        bodies,
        redact,
        admin,
        metrics,
        dashboard,
        store,
        hooks,
        targets,
        rules,
    }: &File,
) -> Map {
    let targets: Map = targets.iter().map(|one| (one.name.clone(), target(one).into())).collect();
    Fields::new()
        .with("version", VERSION.to_string())
        .with("source", print(source).0)
        .with("pace", print(pace).0)
        .and(print(noise))
        .and(print(bodies))
        .with("redact", print(redact).0)
        .with("admin", print(admin).0)
        .with("metrics", print(metrics).0)
        .with("dashboard", print(dashboard).0)
        .with("store", print(store).0)
        .with("hooks", print(hooks).0)
        .with("targets", targets)
        .with("rules", rules.iter().map(|one| rule(one).into()).collect::<Vec<Value>>())
        .0
}

fn target(TargetSpec { at: _, name: _, url, credentials, how, compare }: &TargetSpec) -> Map {
    // The only exception to the round trip: passwords are never printed.
    let url = credentials.as_ref().map_or_else(|| url.clone(), |_| Credentials::hidden_in(url));
    Fields::new().with("url", url).and(print(how)).with("compare", compare.as_ref().map(compared)).0
}

fn compared(settings: &CompareSettings) -> Value {
    let mut settings = settings.clone();
    if let Some(control) = &mut settings.control
        && let Ok(TargetUrl { text, credentials: Some(_) }) = TargetUrl::read(control)
    {
        *control = Credentials::hidden_in(&text);
    }
    match print(&settings).0 {
        fields if fields.is_empty() => true.into(),
        fields => fields.into(),
    }
}

fn rule(rule: &RuleSpec) -> Map {
    let RuleSpec { at: _, name, matches, sample, priority, targets } = rule;
    let matches = match matches.as_slice() {
        [one] => match_map(one).into(),
        several => several.iter().map(|one| match_map(one).into()).collect::<Vec<Value>>().into(),
    };
    let priority: Option<&'static str> = (*priority != Priority::Normal).then(|| priority.into());
    let matches: Value = matches;
    Fields::new()
        .with("name", name.as_str())
        .with("match", matches)
        .with("sample", sample.as_ref().map(sample_map))
        .with("priority", priority)
        .with("targets", targets.iter().map(target_use).collect::<Vec<Value>>())
        .0
}

fn target_use(TargetUse { at: _, name, portion }: &TargetUse) -> Value {
    match portion {
        None => name.as_str().into(),
        Some(part) => {
            let (key, text) = portion_field(*part);
            Fields::new().with("name", name.as_str()).with(key, text).0.into()
        }
    }
}

fn portion_field(portion: Portion) -> (&'static str, String) {
    let text = portion.to_string();
    (if text.contains('/') { "fraction" } else { "percent" }, text)
}

fn sample_map(Sample { portion, by }: &Sample) -> Map {
    let by = match by {
        Stickiness::Random => Value::Null,
        Stickiness::Source => "source".into(),
        Stickiness::Connection => "connection".into(),
        Stickiness::Header(name) => single("header", name.as_str()),
        Stickiness::Cookie(name) => single("cookie", name.as_str()),
    };
    let (key, text) = portion_field(*portion);
    Fields::new().with(key, text).with("by", by).0
}

fn match_map(found: &Match) -> Map {
    let values = |list: &[(String, TextMatch)]| -> Map {
        list.iter().map(|(name, text)| (name.clone(), text_match(text))).collect()
    };
    Fields::new()
        .with("method", texts(&found.methods))
        .with("host", texts(&found.hosts))
        .with("path", found.path.as_ref().map(path))
        .with("query", values(&found.query))
        .with("headers", values(&found.headers))
        .with("source", texts(&found.sources))
        .with("proxied-source", texts(&found.proxied_sources))
        .with("destination", texts(&found.destinations))
        .with("source-port", texts(&found.source_ports))
        .with("port", texts(&found.ports))
        .0
}

fn path(PathMatch { kind, ignore_case }: &PathMatch) -> Value {
    let (key, text) = match kind {
        PathKind::Exact(text) => ("exact", text.as_str()),
        PathKind::Prefix(text) => ("prefix", text.as_str()),
        PathKind::Segments(text) => ("segments", text.as_str()),
        PathKind::Regex(pattern) => ("regex", pattern.as_str()),
    };
    Fields::new().with(key, text).with("ignore-case", ignore_case.then_some(true)).0.into()
}

fn text_match(text: &TextMatch) -> Value {
    match text {
        TextMatch::Exact(text) => text.as_str().into(),
        TextMatch::Prefix(text) => single("prefix", text.as_str()),
        TextMatch::Regex(pattern) => single("regex", pattern.as_str()),
        TextMatch::Present => single("present", true),
        TextMatch::Absent => single("present", false),
        TextMatch::Not(text) => single("not", text_match(text)),
    }
}

fn single(key: &str, value: impl Into<Value>) -> Value {
    vec![(key.to_owned(), value.into())].into()
}
