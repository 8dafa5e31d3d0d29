//! The file's other parts: `source`, `targets`, and the whole.

use super::model::{File, SourceSpec, TargetSpec, VERSION};
use super::node::{self, Node};
use super::problem::{Place, Problems};
use super::reader::{Fields, Reader};
use super::{check, read_rules};
use clap::ValueEnum;

use crate::cli::{BaggageArg, DetectorArg, HookArg, NoiseArg, TraceArg};
use crate::config::redact::RedactSpec;
use crate::rules::edit::{Edits, PathPrefix, is_field_name};
use crate::rules::redact::{BadOption, Detector, Preset, check_name, check_path};
use crate::rules::tag::{Ambiguous, HostPolicy, Mode};

impl File {
    /// Reads a configuration file and checks it as a whole. Nothing is opened, resolved or reached.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let file = match node::parse(text) {
            Ok(root) => file(&mut reader, &root),
            Err(problem) => {
                reader.wrong(problem.at, problem.text);
                None
            }
        };
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
    let fields = reader.fields(root, "file")?;
    match required(reader, &fields, "version", "the format's version; write version: 1") {
        Some(node) if reader.text(node).is_some_and(|text| text != VERSION.to_string()) => {
            reader.wrong(node.at, format!("version: this program reads version {VERSION} alone"));
        }
        _ => {}
    }
    let advice = "where packets come from; write source: { from: eth0, ports: 8080 }";
    let source = required(reader, &fields, "source", advice);
    let source = source.and_then(|node| source_spec(reader, node)).unwrap_or_default();
    let advice = "where requests go; write targets: { staging: { url: http://staging:8080 } }";
    let targets = required(reader, &fields, "targets", advice);
    let targets = match targets.map(|node| (node.at, reader.pairs(node).unwrap_or_default())) {
        Some((at, none)) if none.is_empty() => {
            reader.wrong(at, format!("targets: none; {advice}"));
            none
        }
        Some((_, targets)) => targets,
        None => Vec::new(),
    };
    let targets = targets.into_iter().filter_map(|(key, node)| match name(&key.text) {
        Ok(name) => target(reader, name, key.at, node),
        Err(error) => {
            reader.wrong(key.at, error);
            None
        }
    });
    let targets = targets.collect();
    let max_body = fields.get("max-body").and_then(|node| reader.bytes(node));
    let noise = [("drop", NoiseArg::Drop), ("keep", NoiseArg::Keep)];
    let mut noise = |key| fields.get(key).and_then(|node| reader.word(node, &noise));
    let (probes, retries) = (noise("probes"), noise("retries"));
    let redact = fields.get("redact").and_then(|node| redact_spec(reader, node));
    Some(File {
        source,
        probes: probes.unwrap_or_default(),
        retries: retries.unwrap_or_default(),
        max_body,
        redact: redact.unwrap_or_default(),
        targets,
        rules: reader.list(fields.get("rules"), read_rules::rule),
    })
}

fn required<'a>(
    reader: &mut Reader,
    fields: &Fields<'a>,
    key: &str,
    advice: &str,
) -> Option<&'a Node> {
    let node = fields.get(key);
    if node.is_none() {
        reader.wrong(fields.at, format!("{key}: missing: {advice}"));
    }
    node
}

/// A name in summaries, logs and metrics.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no name; write 1 to 63 letters, digits, dots, dashes and underscores"))
}

fn source_spec(reader: &mut Reader, node: &Node) -> Option<SourceSpec> {
    let fields = reader.fields(node, "source")?;
    let hooks = [("tc", HookArg::Tc), ("clsact", HookArg::Clsact), ("xdp", HookArg::Xdp)];
    let from = required(reader, &fields, "from", "an interface, such as eth0, or a capture file");
    let ring_size = fields.get("ring-size").and_then(|node| reader.bytes(node));
    Some(SourceSpec {
        from: reader.list(from, |reader, node| reader.text(node).map(str::to_owned)),
        ports: read_rules::ports(reader, fields.get("ports")),
        hook: fields.get("hook").and_then(|node| reader.word(node, &hooks)),
        ring_size,
    })
}

fn redact_spec(reader: &mut Reader, node: &Node) -> Option<RedactSpec> {
    let fields = reader.fields(node, "redact")?;
    let presets = [Preset::None, Preset::Credentials, Preset::Pii].map(|it| (it.into(), it));
    let known = DetectorArg::value_variants().iter();
    let known: Vec<(String, Detector)> = known
        .filter_map(|what| Some((what.to_possible_value()?.get_name().to_owned(), (*what).into())))
        .collect();
    let known: Vec<(&str, Detector)> =
        known.iter().map(|(word, it)| (word.as_str(), *it)).collect();
    let checked = |check: fn(&str) -> Result<(), BadOption>| {
        move |text: &str| check(text).map(|()| text.to_owned()).map_err(|bad| bad.to_string())
    };
    let mut names =
        |key| reader.list(fields.get(key), |reader, node| reader.parsed(node, checked(check_name)));
    let (headers, form_fields) = (names("headers"), names("fields"));
    let (cookies, keep) = (names("cookies"), names("keep"));
    Some(RedactSpec {
        preset: fields.get("preset").and_then(|node| reader.word(node, &presets)),
        key_file: fields.get("key-file").and_then(|node| reader.text(node)).map(Into::into),
        headers,
        fields: form_fields,
        json: reader
            .list(fields.get("json"), |reader, node| reader.parsed(node, checked(check_path))),
        cookies,
        detect: reader.list(fields.get("detect"), |reader, node| reader.word(node, &known)),
        keep,
    })
}

fn target(reader: &mut Reader, name: String, at: Place, node: &Node) -> Option<TargetSpec> {
    let fields = reader.fields(node, "target")?;
    let url = required(reader, &fields, "url", "write http://HOST:PORT");
    let url = url.and_then(|node| reader.parsed(node, url_text));
    let modes = [("replay", Mode::Replay), ("rollback", Mode::Rollback)];
    let traces = [("new", TraceArg::New), ("keep", TraceArg::Keep), ("off", TraceArg::Off)];
    let baggages = [("add", BaggageArg::Add), ("keep", BaggageArg::Keep)];
    let ambiguous = [("drop", Ambiguous::Hold), ("send", Ambiguous::Send)];
    let addresses =
        fields.get("suffix-addresses").and_then(|node| reader.truth(node).map(|yes| (node, yes)));
    let host = fields.get("host").and_then(|node| reader.parsed(node, HostPolicy::parse));
    let host = match (host.unwrap_or_default(), addresses) {
        (HostPolicy::Suffix { .. }, Some((_, yes))) => HostPolicy::Suffix { ip_literals: yes },
        (host, Some((node, _))) => {
            reader.wrong(node.at, "suffix-addresses: only with host: suffix; leave it out");
            host
        }
        (host, None) => host,
    };
    let spec = TargetSpec { at, host, ..TargetSpec::new(name, url.unwrap_or_default()) };
    Some(TargetSpec {
        mode: fields.get("mode").and_then(|node| reader.word(node, &modes)).unwrap_or_default(),
        trace: fields.get("trace").and_then(|node| reader.word(node, &traces)).unwrap_or_default(),
        baggage: fields
            .get("baggage")
            .and_then(|node| reader.word(node, &baggages))
            .unwrap_or_default(),
        ambiguous: fields
            .get("ambiguous")
            .and_then(|node| reader.word(node, &ambiguous))
            .unwrap_or_default(),
        connect_timeout: fields.get("connect-timeout").and_then(|node| reader.duration(node)),
        answer_timeout: fields.get("answer-timeout").and_then(|node| reader.duration(node)),
        max_connections: fields.get("max-connections").and_then(|node| reader.count(node)),
        max_queue: fields.get("max-queue").and_then(|node| reader.bytes(node)),
        edits: edits(reader, &fields),
        ..spec
    })
}

fn url_text(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(text.to_owned()),
        Ok(url) if url.scheme() == "https" => {
            Err(format!("{text:?}: https targets are not supported yet; use http"))
        }
        _ => Err(format!("{text:?} is no URL of a target; write http://HOST:PORT")),
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

fn field_name(text: &str) -> Result<String, String> {
    if is_field_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} cannot be changed: no field name, or one that frames, routes or marks the request"
        ))
    }
}

fn field_value(text: &str) -> Result<String, String> {
    let control = |c: char| c.is_control() && c != '\t';
    if text.contains(control) {
        return Err(format!("{text:?}: a field's value is one line without control characters"));
    }
    Ok(text.to_owned())
}
