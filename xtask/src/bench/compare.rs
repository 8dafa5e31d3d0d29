//! `cargo xtask bench compare`: what `mirror compare` and Diffy's algorithm find among regressions and noise; what
//! comparing a pair costs, measured by criterion; and how many pairs a second one core compares and stores while a
//! page looks on.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::capture::{self, Guard};
use super::lab::cpu_time;
use crate::{cargo, root};

/// Pairs of each kind that are compared.
const PAIRS: u32 = 40_000;
/// Pairs a second that one core is to compare.
const GOAL: f64 = 5_000.0;
/// What all of it may take of memory.
const MOST_MIB: f64 = 256.0;

/// What is found in the pairs.
#[derive(Clone, Copy)]
enum Kind {
    /// One of ten differs in one member.
    Few,
    /// Each differs in 17 members.
    Many,
}

pub(super) fn run() -> anyhow::Result<()> {
    let zoo = ["test", "--release", "--package", "mirror-compare", "--test", "zoo"];
    let printed = ["--", "--nocapture", "--include-ignored", "--test-threads=1"];
    cargo(&[&zoo[..], &printed].concat())?;
    cargo(&["bench", "--package", "mirror-compare", "--bench", "pair"])?;
    pairs()
}

/// Two recordings with a store and a page that looks on, all on one core.
pub(super) fn pairs() -> anyhow::Result<()> {
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    println!(
        "\n{PAIRS} pairs of 2 KiB JSON in two recordings, a store, a page that looks on; one core (goals: {GOAL:.0} pairs/s, \
         {MOST_MIB:.0} MiB)"
    );
    for (name, kind) in [("1 of 10 differs in 1 member", Kind::Few), ("each in 17", Kind::Many)] {
        let measured = measure(kind)?;
        println!("  {name:28} {measured}");
    }
    Ok(())
}

/// What a run came to.
struct Measured {
    /// From its start until all was compared and stored, both recordings read.
    took: Duration,
    cpu: Duration,
    peak_mib: f64,
    /// What the page was told, and what it asked for.
    looks: usize,
    compared: u64,
    stored: u64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = f64::from(PAIRS);
        write!(
            f,
            "{:6.0} pairs/s   {:5.1} us of CPU a pair   peak {:5.1} MiB   {} looks   {} compared, {} stored",
            pairs / self.took.as_secs_f64(),
            self.cpu.as_secs_f64() * 1e6 / pairs,
            self.peak_mib,
            self.looks,
            self.compared,
            self.stored,
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn measure(kind: Kind) -> anyhow::Result<Measured> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (from, with, store) = (path("prod.pcap"), path("candidate.pcap"), path("pairs.db"));
    record(Path::new(&from), |_| "19.994")?;
    record(Path::new(&with), |n| match kind {
        Kind::Few if n % 10 != 0 => "19.994",
        Kind::Few => "19.994,\"new\":1",
        Kind::Many => "19.99",
    })?;
    let binary = root().join("target/release/mirror");
    let started = std::time::Instant::now();
    let mut child = Guard(
        Command::new("taskset")
            .args(["--cpu-list", "0"])
            .arg(binary)
            .args(["compare", "--from", &from, "--with", &with, "--store", &store, "--json"])
            .args(["--dashboard", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(File::create(path("report.json"))?)
            .stderr(Stdio::piped())
            .spawn()
            .context("taskset: cannot be run")?,
    );
    let mut said = BufReader::new(child.0.stderr.take().context("a pipe")?);
    let address = wait_for(&mut said, "dashboard: http://")?;
    let address = address.split('/').next().unwrap_or_default().to_owned();
    let page = look_on(address.clone())?;
    wait_for(&mut said, "dashboard: all is compared")?;
    let (took, cpu) = (started.elapsed(), cpu_time(child.0.id())?);
    let peak_mib = peak_mib(child.0.id())?;
    let overview: Value = serde_json::from_str(&get(&address, "/api/v1/overview")?)?;
    drop(child);
    let looks = page.join().ok().context("the page ended early")?;
    let (compared, stored) =
        (delivered(&overview, "exchanges")?, delivered(&overview, "stored pairs")?);
    ensure!(compared == u64::from(PAIRS), "only {compared} pairs were compared: {overview:#}");
    Ok(Measured { took, cpu, peak_mib, looks, compared, stored })
}

/// Writes a recording of a shop that lists 17 products, at this price each.
fn record(file: &Path, price: impl Fn(u32) -> &'static str) -> anyhow::Result<()> {
    capture::exchanges(file, PAIRS, |n| {
        let price = price(n);
        let item = |at: u32| {
            format!(
                r#"{{"id":{at},"sku":"SKU-{at}","title":"A product with a name, number {at}","price":{price},"stock":{},"tags":["red","new"]}}"#,
                at * 7
            )
        };
        let items: Vec<String> = (0..17).map(item).collect();
        let body = format!(r#"{{"total":17,"page":{n},"items":[{}]}}"#, items.join(","));
        let request = format!("GET /products?page={n} HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: private\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        (request, answer)
    })
    .map(drop)
}

/// Reads lines until one begins so; what is behind that.
fn wait_for(said: &mut impl BufRead, start: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 {
        if let Some(rest) = line.trim_end().split(start).nth(1) {
            return Ok(rest.to_owned());
        }
        line.clear();
    }
    anyhow::bail!("it ended before it said {start:?}")
}

/// A page that is open until its server ends: each time it is told of news, it asks for the overview, the last
/// requests and the first endpoint. How often it did.
fn look_on(address: String) -> anyhow::Result<JoinHandle<usize>> {
    let mut events = TcpStream::connect(&address)?;
    write!(events, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let look = move |address: &str| -> anyhow::Result<()> {
        for path in ["overview", "requests", "endpoints/GET%20%2Fproducts", "rules"] {
            get(address, &format!("/api/v1/{path}"))?;
        }
        Ok(())
    };
    Ok(thread::spawn(move || {
        let lines = BufReader::new(events).lines().map_while(Result::ok);
        let news = lines.filter(|line| line.starts_with("event: change"));
        news.map_while(|_| look(&address).ok()).count()
    }))
}

/// The body of an answer.
fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no head")?;
    Ok(body.to_owned())
}

/// The most memory that a process had so far.
fn peak_mib(id: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("no peak")? / 1024.0)
}

/// What the last account whose name begins so delivered.
fn delivered(overview: &Value, start: &str) -> anyhow::Result<u64> {
    let accounts = overview.pointer("/health/accounts").and_then(Value::as_array);
    let is_it = |account: &&Value| {
        account.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with(start))
    };
    let account = accounts.context("no accounts")?.iter().rfind(is_it);
    account
        .and_then(|account| account.get("delivered")?.as_u64())
        .with_context(|| format!("no {start}"))
}
