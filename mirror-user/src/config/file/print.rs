//! A [`File`] as YAML that reads as the same file, but for passwords of targets, which it does not show.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::model::{File, RuleSpec, TargetSpec, TargetUse, VERSION};
use super::write::{Fields, Map, Value, texts, write_map};
use crate::cli::{PaceArgs, SourceArgs};
use crate::config::redact::RedactSpec;
use crate::rules::edit::Edits;
use crate::rules::redact::{Custom, Detector};
use crate::rules::route::Priority;
use crate::rules::sample::{Portion, Sample, Stickiness};
use crate::rules::select::{Match, PathKind, PathMatch, TextMatch};
use crate::rules::tag::HostPolicy;
use crate::sink::replay::Credentials;
use crate::units::Bytes;

impl File {
    /// As YAML; what it does not say is left out.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &file(self), 0);
        out
    }
}

fn file(File { source, pace, noise, room, redact, targets, rules }: &File) -> Map {
    let targets: Map = targets.iter().map(|one| (one.name.clone(), target(one).into())).collect();
    Fields::new()
        .with("version", VERSION.to_string())
        .with("source", source_map(source))
        .with("pace", pace_map(pace))
        .with("probes", noise.probes.as_ref().map(word))
        .with("retries", noise.retries.as_ref().map(word))
        .with("max-body", room.max_body.map(size))
        .with("max-spool", room.max_spool.map(size))
        .with("redact", redact_map(redact))
        .with("targets", targets)
        .with("rules", rules.iter().map(|one| rule(one).into()).collect::<Vec<Value>>())
        .0
}

fn redact_map(redact: &RedactSpec) -> Map {
    let RedactSpec { preset, key_file, headers, fields, json, cookies, detect, .. } = redact;
    let RedactSpec { custom, paths, keep, skip, .. } = redact;
    let word = |what: &Detector| Value::from(<&str>::from(*what).replace('_', "-"));
    let expression = |custom: &Custom| {
        let map = Fields::new().with("name", custom.name()).with("regex", custom.regex());
        let map = map.with("keep-length", custom.keeps_length().then_some(true));
        Value::from(map.0)
    };
    let detect: Vec<Value> = detect.iter().map(word).chain(custom.iter().map(expression)).collect();
    Fields::new()
        .with("preset", preset.map(<&str>::from))
        .with("key-file", key_file.as_ref().map(|file| file.display().to_string()))
        .with("headers", texts(headers))
        .with("fields", texts(fields))
        .with("json", texts(json))
        .with("cookies", texts(cookies))
        .with("detect", detect)
        .with("paths", texts(paths))
        .with("keep", texts(keep))
        .with("skip", skip.iter().map(word).collect::<Vec<Value>>())
        .0
}

fn source_map(source: &SourceArgs) -> Map {
    let SourceArgs { from, config: _, hook, order, ring_size, kernel_log, run_for, .. } = source;
    let SourceArgs { filter, guard, cgroup, netns, pid, .. } = source;
    let guard = Fields::new()
        .with("cpu-limit", guard.cpu_limit.map(|percent| format!("{percent}%")))
        .with("memory-limit", guard.memory_limit.map(size))
        .with("pause-file", guard.pause_file.as_ref().map(|file| file.display().to_string()));
    Fields::new()
        .with("from", texts(from))
        .with("ports", texts(&filter.ports))
        .with("nets", texts(&filter.nets))
        .with("client-nets", texts(&filter.client_nets))
        .with("server-nets", texts(&filter.server_nets))
        .with("direction", filter.direction.as_ref().map(word))
        .with("side", filter.side.as_ref().map(word))
        .with("sample", filter.sample.map(|percent| percent.to_string()))
        .with("requests-only", filter.requests_only.then_some(true))
        .with("snaplen", texts(&filter.snaplen))
        .with("cgroup", cgroup.as_ref().map(|path| path.display().to_string()))
        .with("netns", netns.as_deref())
        .with("pid", pid.map(|pid| pid.to_string()))
        .with("hook", hook.as_ref().map(word))
        .with("order", order.as_ref().map(word))
        .with("ring-size", ring_size.map(size))
        .with("kernel-log", kernel_log.as_ref().map(word))
        .with("for", run_for.map(time))
        .with("guard", guard.0)
        .0
}

fn pace_map(pace: &PaceArgs) -> Map {
    Fields::new()
        .with("speed", pace.speed.map(|speed| speed.to_string()))
        .with("rate", pace.rate.map(|rate| rate.to_string()))
        .with("max-gap", pace.max_gap.map(time))
        .with("from-time", pace.from_time.map(|point| point.to_string()))
        .with("to-time", pace.to_time.map(|point| point.to_string()))
        .with("loop", pace.passes.map(|n| n.to_string()))
        .with("copies", pace.copies.map(|n| n.to_string()))
        .with("copies-over", pace.copies_over.map(time))
        .with("connections", pace.connections.map(|how| how.to_string()))
        .with("max-late", pace.max_late.map(time))
        .0
}

fn target(spec: &TargetSpec) -> Map {
    let TargetSpec { at: _, name: _, url, credentials, how, edits: _ } = spec;
    let edits = &spec.edits();
    // What reads as the same file but for this: a password is printed nowhere.
    let url = credentials.as_ref().map_or_else(|| url.clone(), |_| Credentials::hidden_in(url));
    let marks = &how.marks;
    let host = marks.host.as_ref().map(|host| match host {
        HostPolicy::Suffix { .. } => "suffix",
        HostPolicy::Keep => "keep",
        HostPolicy::Target => "target",
        HostPolicy::Name(name) => name.as_str(),
    });
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let tls = Fields::new()
        .with("ca", file(&how.tls_ca))
        .with("cert", file(&how.tls_cert))
        .with("key", file(&how.tls_key))
        .with("server-name", how.tls_server_name.as_deref())
        .with("insecure", how.tls_insecure.then_some(true));
    let breaker = Fields::new()
        .with("failures", how.breaker.map(|share| share.to_string()))
        .with("latency", how.breaker_latency.map(time))
        .with("rest", how.breaker_rest.map(time));
    let load = &how.load;
    let ramp = Fields::new()
        .with("over", load.ramp.map(time))
        .with("target-errors", load.ramp_target_errors.map(|share| share.to_string()))
        .with("production-errors", load.ramp_production_errors.map(|share| share.to_string()));
    Fields::new()
        .with("url", url)
        .with("tls", tls.0)
        .with("host", host)
        .with("suffix-addresses", marks.suffix_addresses.then_some(true))
        .with("mode", marks.mode.as_ref().map(word))
        .with("trace", marks.trace.as_ref().map(word))
        .with("baggage", marks.baggage.as_ref().map(word))
        .with("ambiguous", marks.ambiguous.as_ref().map(word))
        .with("correlate", how.correlate.then_some(true))
        .with("connect-timeout", how.connect_timeout.map(time))
        .with("answer-timeout", how.answer_timeout.map(time))
        .with("max-connections", load.max_connections.map(|n| n.to_string()))
        .with("max-queue", load.max_queue.map(size))
        .with("drop", load.drop.as_ref().map(word))
        .with("retry-unsent", load.retry_unsent.map(|n| n.to_string()))
        .with("idle-close", load.idle_close.as_ref().map(word))
        .with("ramp", ramp.0)
        .with("breaker", breaker.0)
        .with("headers", headers(edits))
        .with("path-prefix", path_prefix(edits))
        .0
}

fn headers(Edits { remove, set, add, .. }: &Edits) -> Map {
    let lines = |lines: &[(String, String)]| -> Map {
        lines.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    };
    Fields::new().with("remove", texts(remove)).with("set", lines(set)).with("add", lines(add)).0
}

fn path_prefix(edits: &Edits) -> Option<Map> {
    let prefix = edits.path_prefix.as_ref()?;
    Some(Fields::new().with("from", prefix.from.as_str()).with("to", prefix.to.as_str()).0)
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

/// The word for it on the command line.
fn word<T: ValueEnum>(value: &T) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn size(bytes: u64) -> String {
    Bytes(bytes).to_string()
}
