//! The file's part `targets`: where requests may go, and what they get.

use super::model::TargetSpec;
use super::problem::Place;
use super::read::required;
use super::read_rules;
use super::reader::{Fields, Reader};
use crate::cli::{LoadArgs, MarkArgs, TargetArgs};
use crate::config::yaml::Node;
use crate::rules::edit::{Edits, PathPrefix, field_name, field_value};
use crate::rules::tag::HostPolicy;
use crate::sink::replay::TargetUrl;

pub(super) fn target(
    reader: &mut Reader,
    name: String,
    at: Place,
    node: &Node,
) -> Option<TargetSpec> {
    let fields = reader.fields(node, "target")?;
    let url = required(reader, &fields, "url", "write http://HOST:PORT");
    let url = url.and_then(|node| reader.parsed(node, TargetUrl::read));
    let (url, credentials) = url.map(|url| (url.text, url.credentials)).unwrap_or_default();
    let how = TargetArgs {
        connect_timeout: fields.get("connect-timeout").and_then(|node| reader.duration(node)),
        answer_timeout: fields.get("answer-timeout").and_then(|node| reader.duration(node)),
        correlate: fields.get("correlate").and_then(|node| reader.truth(node)).unwrap_or_default(),
        load: load(reader, &fields),
        marks: marks(reader, &fields),
        ..TargetArgs::default()
    };
    let how = how.or(tls(reader, &fields, &url)).or(breaker(reader, &fields));
    Some(TargetSpec { at, name, url, credentials, how, edits: edits(reader, &fields) })
}

fn load(reader: &mut Reader, fields: &Fields<'_>) -> LoadArgs {
    let args = LoadArgs {
        max_connections: fields.get("max-connections").and_then(|node| reader.count(node)),
        max_queue: fields.get("max-queue").and_then(|node| reader.bytes(node)),
        drop: fields.get("drop").and_then(|node| reader.choice(node)),
        idle_close: fields.get("idle-close").and_then(|node| reader.choice(node)),
        retry_unsent: fields.get("retry-unsent").and_then(|node| {
            reader.typed(node, "count", |text| text.parse().map_err(|_| "0 or more".to_owned()))
        }),
        ..LoadArgs::default()
    };
    args.or(ramp(reader, fields))
}

fn ramp(reader: &mut Reader, fields: &Fields<'_>) -> LoadArgs {
    let Some(node) = fields.get("ramp") else { return LoadArgs::default() };
    let Some(fields) = reader.fields(node, "ramp") else { return LoadArgs::default() };
    let over =
        required(reader, &fields, "over", "the time until all connections come, such as 10m");
    let mut share = |key| {
        fields.get(key).and_then(|node| reader.typed(node, "share of errors", |text| text.parse()))
    };
    LoadArgs {
        ramp_target_errors: share("target-errors"),
        ramp_production_errors: share("production-errors"),
        ramp: over.and_then(|node| reader.duration(node)),
        ..LoadArgs::default()
    }
}

fn marks(reader: &mut Reader, fields: &Fields<'_>) -> MarkArgs {
    let marks = MarkArgs {
        host: fields.get("host").and_then(|node| reader.parsed(node, HostPolicy::parse)),
        suffix_addresses: fields
            .get("suffix-addresses")
            .and_then(|node| reader.truth(node))
            .unwrap_or_default(),
        mode: fields.get("mode").and_then(|node| reader.choice(node)),
        trace: fields.get("trace").and_then(|node| reader.choice(node)),
        baggage: fields.get("baggage").and_then(|node| reader.choice(node)),
        ambiguous: fields.get("ambiguous").and_then(|node| reader.choice(node)),
    };
    let suffixed = matches!(marks.host, None | Some(HostPolicy::Suffix { .. }));
    if let (false, Some(node)) = (suffixed, fields.get("suffix-addresses")) {
        reader.wrong(node.at, "suffix-addresses: only with host: suffix; leave it out");
    }
    marks
}

/// Files are not opened: a file is checked on another host than the one that it runs on.
fn tls(reader: &mut Reader, fields: &Fields<'_>, url: &str) -> TargetArgs {
    let Some(node) = fields.get("tls") else { return TargetArgs::default() };
    let Some(fields) = reader.fields(node, "tls") else { return TargetArgs::default() };
    if !url.is_empty() && !url.starts_with("https:") {
        reader.wrong(node.at, "tls: only with an https target; leave it out");
    }
    let insecure = fields.get("insecure").and_then(|node| reader.truth(node)).unwrap_or_default();
    let mut text = |key| fields.get(key).and_then(|node| reader.text(node));
    let (certificate, key) = (text("cert"), text("key"));
    let how = TargetArgs {
        tls_ca: text("ca").map(Into::into),
        tls_cert: certificate.map(Into::into),
        tls_key: key.map(Into::into),
        tls_server_name: text("server-name").map(str::to_owned),
        tls_insecure: insecure,
        ..TargetArgs::default()
    };
    if insecure && how.tls_ca.is_some() {
        reader.wrong(
            node.at,
            "tls: insecure verifies nothing, so that ca means nothing; leave one of them out",
        );
    }
    if certificate.is_some() != key.is_some() {
        reader.wrong(node.at, "tls: cert and key go together; give both, or none");
    }
    how
}

fn breaker(reader: &mut Reader, fields: &Fields<'_>) -> TargetArgs {
    let Some(node) = fields.get("breaker") else { return TargetArgs::default() };
    let Some(fields) = reader.fields(node, "breaker") else { return TargetArgs::default() };
    TargetArgs {
        breaker: fields
            .get("failures")
            .and_then(|node| reader.typed(node, "share of failures", |text| text.parse())),
        breaker_latency: fields.get("latency").and_then(|node| reader.duration(node)),
        breaker_rest: fields.get("rest").and_then(|node| reader.duration(node)),
        ..TargetArgs::default()
    }
}

fn edits(reader: &mut Reader, fields: &Fields<'_>) -> Edits {
    let mut edits = Edits::default();
    if let Some(node) = fields.get("headers")
        && let Some(fields) = reader.fields(node, "edits")
    {
        edits.remove =
            reader.list(fields.get("remove"), |reader, node| reader.parsed(node, field_name));
        edits.set = header_lines(reader, fields.get("set"));
        edits.add = header_lines(reader, fields.get("add"));
    }
    if let Some(node) = fields.get("path-prefix")
        && let Some(fields) = reader.fields(node, "prefix")
    {
        let from =
            required(reader, &fields, "from", "the segments that are replaced, such as /api");
        let from = from.and_then(|node| reader.parsed(node, read_rules::path_text));
        let to = required(reader, &fields, "to", "what stands there instead, such as /v2");
        let to = to.and_then(|node| reader.parsed(node, read_rules::path_text));
        edits.path_prefix = from.zip(to).map(|(from, to)| PathPrefix { from, to });
    }
    edits
}

fn header_lines(reader: &mut Reader, node: Option<&Node>) -> Vec<(String, String)> {
    let pairs = node.and_then(|node| reader.pairs(node)).unwrap_or_default();
    let mut lines = Vec::new();
    for (key, value) in pairs {
        match field_name(&key.text) {
            Ok(name) => lines.extend(reader.parsed(value, field_value).map(|value| (name, value))),
            Err(error) => reader.wrong(key.at, error),
        }
    }
    lines
}
