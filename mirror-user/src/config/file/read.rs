//! The whole of the file, and its part `redact`.

use super::model::{File, VERSION};
use super::problem::Problems;
use super::reader::{Fields, Reader};
use super::{LIMITS, check, read_rules, read_source, read_target};
use crate::cli::{DetectorArg, NoiseArgs, RoomArgs};
use crate::config::redact::RedactSpec;
use crate::config::yaml::{self, Node, Place, Value};
use crate::rules::redact::{
    BadOption, Custom, Preset, check_cookie, check_header, check_name, check_path, check_segments,
};

/// What a file without a word says.
const EMPTY: Node = Node { at: Place { line: 1, column: 1 }, value: Value::Null };

impl File {
    /// Reads a configuration file and checks it as a whole. Nothing is opened, resolved or reached.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let mut reader = Reader::default();
        let file = match yaml::parse(text, LIMITS).as_deref() {
            Ok([root]) => file(&mut reader, root),
            Ok([]) => file(&mut reader, &EMPTY),
            Ok([_, second, ..]) => {
                reader.wrong(second.at, "a second document; give each its own file");
                None
            }
            Err(problem) => {
                reader.wrong(problem.at, &*problem.text);
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
    let source = source.and_then(|node| read_source::source(reader, node)).unwrap_or_default();
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
        Ok(name) => read_target::target(reader, name, key.at, node),
        Err(error) => {
            reader.wrong(key.at, error);
            None
        }
    });
    let targets = targets.collect();
    let mut bytes = |key| fields.get(key).and_then(|node| reader.bytes(node));
    let room = RoomArgs { max_body: bytes("max-body"), max_spool: bytes("max-spool") };
    let mut noise = |key| fields.get(key).and_then(|node| reader.choice(node));
    let noise = NoiseArgs { probes: noise("probes"), retries: noise("retries") };
    let pace = fields.get("pace").and_then(|node| read_source::pace(reader, node));
    let redact = fields.get("redact").and_then(|node| redact_spec(reader, node));
    Some(File {
        source,
        pace: pace.unwrap_or_default(),
        noise,
        room,
        redact: redact.unwrap_or_default(),
        targets,
        rules: reader.list(fields.get("rules"), read_rules::rule),
    })
}

pub(super) fn required<'a>(
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

/// A detector of one's own.
fn expression(reader: &mut Reader, node: &Node) -> Option<Custom> {
    let fields = reader.fields(node, "expression")?;
    let name = required(reader, &fields, "name", "the kind of its tokens, such as order-number")?;
    let regex = required(reader, &fields, "regex", "what it matches, such as ORD-[0-9]{8}")?;
    let keep_length = fields.get("keep-length").and_then(|node| reader.truth(node));
    let name = reader.text(name)?;
    reader.parsed(regex, |regex| {
        Custom::new(name, regex, keep_length.unwrap_or(false)).map_err(|bad| bad.to_string())
    })
}

fn redact_spec(reader: &mut Reader, node: &Node) -> Option<RedactSpec> {
    let fields = reader.fields(node, "redact")?;
    let presets = [Preset::None, Preset::Credentials, Preset::Pii].map(|it| (it.into(), it));
    let checked = |check: fn(&str) -> Result<(), BadOption>| {
        move |text: &str| check(text).map(|()| text.to_owned()).map_err(|bad| bad.to_string())
    };
    let mut names = |key, check| {
        reader.list(fields.get(key), |reader, node| reader.parsed(node, checked(check)))
    };
    let headers = names("headers", check_header);
    let (form_fields, keep) = (names("fields", check_name), names("keep", check_name));
    let (cookies, paths) = (names("cookies", check_cookie), names("paths", check_segments));
    let mut custom = Vec::new();
    let detect = reader.list(fields.get("detect"), |reader, node| match node.value {
        Value::Map(_) => {
            custom.extend(expression(reader, node));
            None
        }
        _ => reader.choice::<DetectorArg>(node).map(Into::into),
    });
    Some(RedactSpec {
        preset: fields.get("preset").and_then(|node| reader.word(node, &presets)),
        key_file: fields.get("key-file").and_then(|node| reader.text(node)).map(Into::into),
        headers,
        fields: form_fields,
        json: reader
            .list(fields.get("json"), |reader, node| reader.parsed(node, checked(check_path))),
        cookies,
        detect,
        custom,
        paths,
        keep,
        skip: reader.list(fields.get("skip"), |reader, node| {
            reader.choice::<DetectorArg>(node).map(Into::into)
        }),
    })
}
