//! `cargo xtask corpus DIR`: what `mirror inspect --json` makes of captures, held against what
//! trusted tools made of them.
//!
//! `DIR` holds captures and `expected/NAME.tsv`, one row a message. The grade of a row says how far
//! the tools agreed: A and A- are exact, B exact as far as it is filled, T exact for
//! encapsulations that `mirror` claims, C only a range of counts.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cargo;

/// One direction of one connection; port reuse puts several connections under one key, in order.
type StreamKey = (String, String, &'static str);

/// A message as the expectation or as `mirror` tells it; empty fields are not compared.
#[derive(Clone, Debug, Default)]
struct Row {
    grade: String,
    counts: String,
    fields: [String; 6],
}

const FIELDS: [&str; 6] = ["method", "uri", "host", "status", "body_len", "body_sha256"];

/// How one capture compares.
struct Verdict {
    name: String,
    agreed: usize,
    disagreements: Vec<String>,
}

/// Compares every capture of `directory` (or only those whose name contains `only`) and prints a
/// table. Fails when any message of a grade other than C disagrees.
pub(crate) fn run(directory: &Path, only: Option<&str>) -> anyhow::Result<()> {
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let mirror = crate::root().join("target/release/mirror");
    let mut names: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("{}: cannot be listed", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| expected_file(path).is_some_and(|file| file.is_file()))
        .filter(|path| only.is_none_or(|part| path.to_string_lossy().contains(part)))
        .collect();
    names.sort();
    ensure!(!names.is_empty(), "{}: holds no capture with expected/NAME.tsv", directory.display());

    let verdicts: Vec<Verdict> =
        names.iter().map(|path| compare(&mirror, path)).collect::<Result<_, _>>()?;
    for verdict in verdicts.iter().filter(|verdict| !verdict.disagreements.is_empty()) {
        println!("{verdict}");
    }
    let agreed: usize = verdicts.iter().map(|verdict| verdict.agreed).sum();
    let disagreed: usize = verdicts.iter().map(|verdict| verdict.disagreements.len()).sum();
    let whole = verdicts.iter().filter(|verdict| verdict.disagreements.is_empty()).count();
    println!("captures: {} agree wholly, {} do not", whole, verdicts.len() - whole);
    println!("messages: {agreed} agree, {disagreed} do not");
    ensure!(disagreed == 0, "{disagreed} disagreements");
    Ok(())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} agree", self.name, self.agreed)?;
        for disagreement in &self.disagreements {
            write!(f, "\n    {disagreement}")?;
        }
        Ok(())
    }
}

fn expected_file(capture: &Path) -> Option<PathBuf> {
    let name = capture.file_name()?.to_str()?;
    Some(capture.parent()?.join("expected").join(format!("{name}.tsv")))
}

fn compare(mirror: &Path, capture: &Path) -> anyhow::Result<Verdict> {
    let expected_file = expected_file(capture).context("a capture needs a name")?;
    let expected = read_expected(&expected_file)?;
    let found = inspect(mirror, capture)?;
    let name = capture.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut verdict = Verdict { name, agreed: 0, disagreements: Vec::new() };
    for (key, rows) in &expected {
        let messages = found.get(key).map(Vec::as_slice).unwrap_or_default();
        compare_stream(key, rows, messages, &mut verdict);
    }
    for (key, messages) in found.iter().filter(|(key, _)| !expected.contains_key(*key)) {
        let (client, server, direction) = key;
        let n = messages.len();
        verdict
            .disagreements
            .push(format!("{client} {server} {direction}: {n} found, none expected"));
    }
    Ok(verdict)
}

fn compare_stream(key: &StreamKey, rows: &[Row], messages: &[Row], verdict: &mut Verdict) {
    let (client, server, direction) = key;
    let place = format!("{client} {server} {direction}");
    if rows.iter().any(|row| row.grade == "C") {
        let counts: Vec<usize> = rows
            .iter()
            .flat_map(|row| row.counts.split('/'))
            .filter_map(|n| n.parse().ok())
            .collect();
        let (least, most) =
            (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        if (least..=most).contains(&messages.len()) {
            verdict.agreed += rows.len();
        } else {
            verdict
                .disagreements
                .push(format!("{place}: {} found, {least} to {most} expected (C)", messages.len()));
        }
        return;
    }
    for (index, row) in rows.iter().enumerate() {
        let Some(message) = messages.get(index) else {
            verdict.disagreements.push(format!("{place} {index}: not found ({})", row.grade));
            continue;
        };
        let differs: Vec<String> = FIELDS
            .iter()
            .zip(row.fields.iter().zip(&message.fields))
            .filter(|(_, (want, have))| !want.is_empty() && want != have)
            .map(|(field, (want, have))| match *field {
                "status" | "body_len" => format!("{field} {have} instead of {want}"),
                field => field.to_owned(),
            })
            .collect();
        if differs.is_empty() {
            verdict.agreed += 1;
        } else {
            verdict.disagreements.push(format!(
                "{place} {index}: {} ({})",
                differs.join(", "),
                row.grade
            ));
        }
    }
    if messages.len() > rows.len() {
        verdict.disagreements.push(format!(
            "{place}: {} found, {} expected",
            messages.len(),
            rows.len()
        ));
    }
}

fn read_expected(file: &Path) -> anyhow::Result<BTreeMap<StreamKey, Vec<Row>>> {
    let bytes = fs::read(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut streams: BTreeMap<StreamKey, Vec<Row>> = BTreeMap::new();
    for line in text.split('\n').skip(1).filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [
            client,
            cport,
            server,
            sport,
            dir,
            _,
            method,
            uri,
            host,
            status,
            _,
            len,
            sha,
            _,
            grade,
            _,
            counts,
        ] = columns[..]
        else {
            anyhow::bail!("{}: a row has {} columns instead of 17", file.display(), columns.len());
        };
        // Interim responses are told inside their exchange, not as messages of their own.
        if dir == "res" && status.starts_with('1') && status != "101" {
            continue;
        }
        let key = (format!("{client}:{cport}"), format!("{server}:{sport}"), direction(dir));
        streams.entry(key).or_default().push(Row {
            grade: grade.to_owned(),
            counts: counts.trim_end().to_owned(),
            fields: [method, uri, host, status, len, sha].map(str::to_owned),
        });
    }
    Ok(streams)
}

fn direction(dir: &str) -> &'static str {
    if dir == "req" { "requests" } else { "responses" }
}

fn inspect(mirror: &Path, capture: &Path) -> anyhow::Result<BTreeMap<StreamKey, Vec<Row>>> {
    let output = Command::new(mirror)
        .args(["inspect", "--json", "--no-bodies", "--from"])
        .arg(capture)
        .output()
        .with_context(|| format!("{}: cannot be run", mirror.display()))?;
    // A capture of an unsupported link type is refused with exit code 2; it then agrees only with
    // an expectation of nothing.
    ensure!(output.status.code().is_some(), "{}: mirror was ended by a signal", capture.display());
    let mut exchanges: Vec<Value> = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        exchanges.push(serde_json::from_slice(line).context("a line of inspect --json")?);
    }
    exchanges.sort_by_key(|exchange| id_order(&exchange["id"]));
    let mut streams: BTreeMap<StreamKey, Vec<Row>> = BTreeMap::new();
    for exchange in &exchanges {
        for (side, message) in
            [("requests", &exchange["request"]), ("responses", &exchange["response"])]
        {
            if message.is_null() {
                continue;
            }
            let key = (endpoint(&exchange["client"]), endpoint(&exchange["server"]), side);
            let fields = ["method", "target", "host", "status", "body_length", "body_sha256"];
            streams.entry(key).or_default().push(Row {
                fields: fields.map(|field| text_of(&message[field])),
                ..Row::default()
            });
        }
    }
    Ok(streams)
}

/// `12-3` sorts by connection, then by place.
fn id_order(id: &Value) -> (u64, u64) {
    let id = id.as_str().unwrap_or_default();
    let (connection, index) = id.split_once('-').unwrap_or((id, "0"));
    (connection.parse().unwrap_or(u64::MAX), index.parse().unwrap_or(u64::MAX))
}

/// `[::1]:80` is written `::1:80` in the expectations.
fn endpoint(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace(['[', ']'], "")
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
