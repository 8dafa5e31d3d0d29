//! `cargo xtask corpus DIR`: what `mirror inspect --json` makes of captures, held against what
//! trusted tools made of them.
//!
//! `DIR` holds captures and `expected/NAME.tsv`, one row a message. The grade of a row says how far
//! the tools agreed: A and A- are exact, B exact as far as it is filled, T exact for
//! encapsulations that `mirror` claims, C only a range of counts.
//!
//! `tests/corpus-disputes.tsv` lists the readings that `mirror` stands by, one a line: capture, client,
//! class (a heading of "Where tools disagree" in `docs/limits.md`). What differs there is printed
//! apart. An entry behind which nothing differs any more is an error, so the list cannot go stale.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::test::build_all;

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
    /// Disagreements that are listed as disputes, with their class.
    stood_by: Vec<(String, String)>,
}

/// By capture and client (address and port, or `*` for all of a capture): why it is stood by.
type Disputes = BTreeMap<(String, String), String>;

/// Compares every capture of `directory` (or only those whose name contains `only`) and prints a
/// table. Fails when any message of a grade other than C disagrees.
pub(crate) fn run(directory: &Path, only: Option<&str>) -> anyhow::Result<()> {
    // The build that the tests use: optimising another would take longer than all captures do.
    build_all()?;
    let mirror = crate::root().join("target/debug/mirror");
    let mut names: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| format!("{}: cannot be listed", directory.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| expected_file(path).is_some_and(|file| file.is_file()))
        .filter(|path| only.is_none_or(|part| path.to_string_lossy().contains(part)))
        .collect();
    names.sort();
    ensure!(!names.is_empty(), "{}: holds no capture with expected/NAME.tsv", directory.display());

    let disputes = read_disputes(&crate::root().join("tests/corpus-disputes.tsv"))?;
    let verdicts: Vec<Verdict> =
        names.iter().map(|path| compare(&mirror, path, &disputes)).collect::<Result<_, _>>()?;
    for verdict in verdicts.iter().filter(|verdict| !verdict.disagreements.is_empty()) {
        println!("{verdict}");
    }
    let mut classes: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for verdict in &verdicts {
        for (class, _) in &verdict.stood_by {
            let (messages, captures) = classes.entry(class).or_default();
            *messages += 1;
            captures.insert(&verdict.name);
        }
    }
    for (class, (messages, captures)) in &classes {
        let captures = captures.iter().copied().collect::<Vec<_>>().join(", ");
        println!("stood by: {class}: {messages} in {captures}");
    }
    let stale: Vec<&(String, String)> = disputes
        .keys()
        .filter(|(name, client)| {
            verdicts.iter().any(|verdict| {
                verdict.name == *name
                    && !verdict.stood_by.iter().any(|(_, place)| client_is(client, place))
            })
        })
        .collect();
    ensure!(stale.is_empty(), "disputes that are none any more: {stale:?}");
    let agreed: usize = verdicts.iter().map(|verdict| verdict.agreed).sum();
    let disagreed: usize = verdicts.iter().map(|verdict| verdict.disagreements.len()).sum();
    let differ = verdicts.iter().filter(|verdict| !verdict.disagreements.is_empty()).count();
    let disputed = verdicts
        .iter()
        .filter(|verdict| verdict.disagreements.is_empty() && !verdict.stood_by.is_empty())
        .count();
    let whole = verdicts.len() - differ - disputed;
    println!("captures: {whole} agree wholly, {disputed} stood by, {differ} do not");
    let stood_by: usize = verdicts.iter().map(|verdict| verdict.stood_by.len()).sum();
    println!("messages: {agreed} agree, {stood_by} stood by, {disagreed} do not");
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

/// True when `place` (client, server, …) is of the client that a dispute names.
fn client_is(client: &str, place: &str) -> bool {
    client == "*" || place.split(' ').next() == Some(client)
}

fn read_disputes(file: &Path) -> anyhow::Result<Disputes> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [capture, client, class] => {
                Ok(((capture.to_owned(), client.to_owned()), class.to_owned()))
            }
            _ => anyhow::bail!("{}: not capture, client, class: {line}", file.display()),
        })
        .collect()
}

fn compare(mirror: &Path, capture: &Path, disputes: &Disputes) -> anyhow::Result<Verdict> {
    let expected_file = expected_file(capture).context("a capture needs a name")?;
    let expected = read_expected(&expected_file)?;
    let found = inspect(mirror, capture)?;
    let name = capture.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut verdict = Verdict { name, agreed: 0, disagreements: Vec::new(), stood_by: Vec::new() };
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
    for place in std::mem::take(&mut verdict.disagreements) {
        let dispute = disputes
            .iter()
            .find(|((name, client), _)| *name == verdict.name && client_is(client, &place));
        match dispute {
            Some((_, class)) => verdict.stood_by.push((class.clone(), place)),
            None => verdict.disagreements.push(place),
        }
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
    // The rows are those of the tool that was trusted most. Behind a hole it may have stopped where
    // another went on, so as many as any of them counted are no disagreement.
    let most = rows.iter().flat_map(|row| row.counts.split('/')).filter_map(|n| n.parse().ok());
    if messages.len() > most.max().unwrap_or(0).max(rows.len()) {
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
        let key =
            (address_and_port(client, cport), address_and_port(server, sport), direction(dir));
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
        .args(["inspect", "--redact", "none", "--json", "--no-bodies", "--from"])
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
    let text = value.as_str().unwrap_or_default();
    let (address, port) = text.rsplit_once(':').unwrap_or((text, ""));
    address_and_port(address.trim_matches(['[', ']']), port)
}

/// One spelling of an address, whichever of its several (RFC 5952) it was written in.
fn address_and_port(address: &str, port: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => format!("{address}:{port}"),
        Err(_) => format!("{address}:{port}"),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
