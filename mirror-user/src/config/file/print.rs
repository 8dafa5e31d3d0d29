//! A [`File`] as YAML that reads as the same file.

use std::fmt::Write;

use super::model::{File, RuleSpec, SourceSpec, TargetSpec, TargetUse, VERSION};
use crate::cli::{BaggageArg, HookArg, NoiseArg, TraceArg};
use crate::config::redact::RedactSpec;
use crate::rules::edit::Edits;
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample, Stickiness};
use crate::rules::select::{Match, PathKind, PathMatch, TextMatch};
use crate::rules::tag::{Ambiguous, HostPolicy, Mode};

impl File {
    /// As YAML, defaults left out.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &file(self), 0);
        out
    }
}

/// What is printed; numbers are texts that look like numbers.
enum Value {
    Null,
    Text(String),
    /// Never in quotes.
    Raw(&'static str),
    List(Vec<Value>),
    Map(Map),
}

/// In the order in which it is printed.
type Map = Vec<(String, Value)>;

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Raw(if yes { "true" } else { "false" })
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A map of what is there.
struct Fields(Map);

impl Fields {
    fn new() -> Self {
        Self(Map::new())
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Text(_) | Value::Raw(_) => false,
        };
        if !empty {
            self.0.push((key.to_owned(), value));
        }
        self
    }
}

fn texts<T: ToString>(list: &[T]) -> Value {
    Value::List(list.iter().map(|one| one.to_string().into()).collect())
}

fn file(File { source, probes, retries, max_body, redact, targets, rules }: &File) -> Map {
    let targets: Map = targets.iter().map(|one| (one.name.clone(), target(one).into())).collect();
    Fields::new()
        .with("version", VERSION.to_string())
        .with("source", source_map(source))
        .with("probes", (*probes == NoiseArg::Keep).then_some("keep"))
        .with("retries", (*retries == NoiseArg::Keep).then_some("keep"))
        .with("max-body", max_body.map(size))
        .with("redact", redact_map(redact))
        .with("targets", targets)
        .with("rules", rules.iter().map(|one| rule(one).into()).collect::<Vec<Value>>())
        .0
}

fn redact_map(redact: &RedactSpec) -> Map {
    let RedactSpec { preset, key_file, headers, fields, json, cookies, detect, keep } = redact;
    let detect = detect.iter().map(|what| <&str>::from(*what).replace('_', "-"));
    Fields::new()
        .with("preset", preset.map(<&str>::from))
        .with("key-file", key_file.as_ref().map(|file| file.display().to_string()))
        .with("headers", texts(headers))
        .with("fields", texts(fields))
        .with("json", texts(json))
        .with("cookies", texts(cookies))
        .with("detect", texts(&detect.collect::<Vec<String>>()))
        .with("keep", texts(keep))
        .0
}

fn source_map(SourceSpec { from, ports, hook, ring_size }: &SourceSpec) -> Map {
    let hook = hook.map(|hook| match hook {
        HookArg::Tc => "tc",
        HookArg::Clsact => "clsact",
        HookArg::Xdp => "xdp",
    });
    Fields::new()
        .with("from", texts(from))
        .with("ports", texts(ports))
        .with("hook", hook)
        .with("ring-size", ring_size.map(size))
        .0
}

fn target(target: &TargetSpec) -> Map {
    let TargetSpec { at: _, name: _, url, host, mode, ambiguous, edits, .. } = target;
    let (host, addresses) = match host {
        HostPolicy::Suffix { ip_literals } => (None, ip_literals.then_some(true)),
        HostPolicy::Keep => (Some("keep"), None),
        HostPolicy::Target => (Some("target"), None),
        HostPolicy::Name(name) => (Some(name.as_str()), None),
    };
    let trace = match target.trace {
        TraceArg::New => None,
        TraceArg::Keep => Some("keep"),
        TraceArg::Off => Some("off"),
    };
    let time = |time: Option<std::time::Duration>| {
        time.map(|time| humantime::format_duration(time).to_string())
    };
    let Edits { remove, set, add, path_prefix } = edits;
    let lines = |lines: &[(String, String)]| -> Map {
        lines.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    };
    let headers =
        Fields::new().with("remove", texts(remove)).with("set", lines(set)).with("add", lines(add));
    let prefix = path_prefix.as_ref().map(|prefix| {
        let from = Fields::new().with("from", prefix.from.as_str());
        from.with("to", prefix.to.as_str()).0
    });
    Fields::new()
        .with("url", url.as_str())
        .with("host", host)
        .with("suffix-addresses", addresses)
        .with("mode", (*mode == Mode::Rollback).then_some("rollback"))
        .with("trace", trace)
        .with("baggage", (target.baggage == BaggageArg::Keep).then_some("keep"))
        .with("ambiguous", (*ambiguous == Ambiguous::Send).then_some("send"))
        .with("connect-timeout", time(target.connect_timeout))
        .with("answer-timeout", time(target.answer_timeout))
        .with("max-connections", target.max_connections.map(|n| n.to_string()))
        .with("max-queue", target.max_queue.map(size))
        .with("headers", headers.0)
        .with("path-prefix", prefix)
        .0
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
        .with("destination", texts(&found.destinations))
        .with("source-port", texts(&found.source_ports))
        .with("port", texts(&found.ports))
        .0
}

fn path(PathMatch { kind, ignore_case }: &PathMatch) -> Value {
    let (way, text) = match kind {
        PathKind::Exact(text) => ("exact", text.as_str()),
        PathKind::Prefix(text) => ("prefix", text.as_str()),
        PathKind::Segments(text) => ("segments", text.as_str()),
        PathKind::Regex(pattern) => ("regex", pattern.as_str()),
    };
    Fields::new().with(way, text).with("ignore-case", ignore_case.then_some(true)).0.into()
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

fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn write_map(out: &mut String, map: &[(String, Value)], depth: usize) {
    for (place, (key, value)) in map.iter().enumerate() {
        if place > 0 || depth == 0 || !out.ends_with("- ") {
            indent(out, depth);
        }
        let _ = write!(out, "{}:", plain(key));
        write_value(out, value, depth);
    }
}

/// Writes what stands behind `key:`.
fn write_value(out: &mut String, value: &Value, depth: usize) {
    let simple = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
    match value {
        Value::Map(map) => {
            out.push('\n');
            write_map(out, map, depth.saturating_add(1));
        }
        Value::List(list) if list.iter().all(simple) => {
            let list: Vec<String> = list.iter().map(scalar).collect();
            let _ = writeln!(out, " [{}]", list.join(", "));
        }
        Value::List(list) => {
            out.push('\n');
            for one in list {
                indent(out, depth.saturating_add(1));
                out.push_str("- ");
                match one {
                    Value::Map(map) => write_map(out, map, depth.saturating_add(2)),
                    one => {
                        let _ = writeln!(out, "{}", scalar(one));
                    }
                }
            }
        }
        value => {
            let _ = writeln!(out, " {}", scalar(value));
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Text(text) => plain(text),
        Value::Raw(word) => (*word).to_owned(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// Without quotes where no reader of YAML could take it for something else; JSON's quotes are YAML's.
fn plain(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let typed = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if (begins && text.chars().all(word) && !typed.contains(&text.to_ascii_lowercase().as_str()))
        || is_number(text)
    {
        return text.to_owned();
    }
    // A URL has a colon that no space follows.
    if let Some(rest) = text.strip_prefix("http://")
        && !rest.is_empty()
        && rest.chars().all(|c| word(c) || c == ':')
        && !rest.ends_with(':')
    {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// A number that reads as the same text.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "0"
        || (!text.starts_with('0') || text.starts_with("0."))
            && text.split_once('.').map_or(digits(text), |(a, b)| digits(a) && digits(b))
}
