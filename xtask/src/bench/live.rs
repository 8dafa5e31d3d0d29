//! What production pays for somebody who captures, and what the capture loses: each measured with
//! and without, by turns, in one run, with tcpdump as a peer throughout.

use std::fmt::Display;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::capture::Guard;
use super::lab::{BIG_BYTES, CABLE, Lab, SERVER, cpu_time};
use crate::{cargo, root, run_command, setup};

/// How many pairs of each measurement there are unless asked otherwise.
pub(super) const ROUNDS: usize = 7;

/// How many streams each captures of which the loss is told.
const STREAMS: usize = 3;

/// How long production is asked in each turn.
const SECONDS: u32 = 3;

/// Requests a second where the rate is fixed.
const RATE: u64 = 40_000;

/// How many seconds of numbered requests prove that none is lost.
const PROOF_SECONDS: u64 = 5;

/// Buffer sizes of tcpdump's `-B` in KiB, of which the best counts.
const TCPDUMP_BUFFERS: [&str; 3] = ["2048", "65536", "524288"];

/// Somebody who captures, and what came of it pair by pair.
struct Contender {
    name: String,
    command: Vec<String>,
    saturated: Vec<Pair<f64>>,
    cpu_per_million: Vec<f64>,
    fixed: Vec<Pair<Times>>,
}

/// The same with the capture and alone.
#[derive(Clone, Copy)]
struct Pair<T> {
    with: T,
    alone: T,
}

/// Median and 99th percentile of requests that are due at a fixed rate, microseconds.
#[derive(Clone, Copy)]
struct Times {
    median: f64,
    high: f64,
}

/// Measures and prints tables. Needs root.
pub(super) fn run(rounds: usize) -> anyhow::Result<()> {
    ensure!(setup::is_root(), "network namespaces need root");
    setup::ensure_tools(setup::BENCH_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir()?;
    let lab = Lab::new(scratch.path())?;
    let contenders = saturate(&lab, rounds)?;
    let proof = prove(&lab, scratch.path())?;
    let bulk = stream(&lab)?;
    close(rounds, &contenders, &proof, &bulk);
    Ok(())
}

pub(super) fn mirror(args: &[&str]) -> Vec<String> {
    let binary = root().join("target/release/mirror").display().to_string();
    [binary].into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect()
}

fn contenders() -> Vec<Contender> {
    let watch = |port| mirror(&["inspect", "--summary", "--json", "--from", CABLE, "--port", port]);
    let peer = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all = vec![
        ("mirror inspect --summary", watch("8080")),
        ("mirror, a port without traffic", watch("9999")),
        ("tcpdump -w /dev/null", peer("tcpdump -i srv -w /dev/null port 8080")),
    ];
    if setup::on_path("gor") {
        let line = "gor --input-raw :8080 --output-null --input-raw-track-response";
        all.push(("gor --output-null", peer(line)));
    }
    let contender = |(name, command): (&str, Vec<String>)| Contender {
        name: name.to_owned(),
        command,
        saturated: Vec::new(),
        cpu_per_million: Vec::new(),
        fixed: Vec::new(),
    };
    all.into_iter().map(contender).collect()
}

/// Both with as many requests as there can be and with a fixed rate of them.
fn saturate(lab: &Lab, rounds: usize) -> anyhow::Result<Vec<Contender>> {
    let mut contenders = contenders();
    wrk(lab)?;
    for round in 1..=rounds {
        for contender in &mut contenders {
            let alone = wrk(lab)?;
            let (with, cpu) = during(lab, &contender.command, || wrk(lab))?;
            contender.saturated.push(Pair { with, alone });
            let millions = with * f64::from(SECONDS) / 1e6;
            contender.cpu_per_million.push(cpu.as_secs_f64() / millions);
            let alone = load(lab, u64::from(SECONDS))?;
            let (with, _) = during(lab, &contender.command, || load(lab, u64::from(SECONDS)))?;
            contender.fixed.push(Pair { with, alone });
            println!("round {round} of {rounds}: {}", contender.name);
        }
    }
    Ok(contenders)
}

/// What `measure` gives while the command captures, and the CPU time that it took meanwhile.
fn during<T>(
    lab: &Lab,
    command: &[String],
    measure: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, Duration)> {
    let mut child = Guard(lab.server(command, Stdio::null())?);
    lab.wait_until_attached(&mut child.0)?;
    let before = cpu_time(child.0.id())?;
    let measured = measure()?;
    let used = cpu_time(child.0.id())?.saturating_sub(before);
    interrupt(&child)?;
    child.0.wait()?;
    Ok((measured, used))
}

pub(super) fn interrupt(child: &Guard) -> anyhow::Result<()> {
    run_command(Command::new("kill").args(["-INT", &child.0.id().to_string()]))
}

/// Requests a second.
fn wrk(lab: &Lab) -> anyhow::Result<f64> {
    let (duration, url) = (format!("-d{SECONDS}s"), format!("http://{SERVER}/"));
    let output = lab.client(&["wrk", "-t1", "-c32", &duration, &url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .with_context(|| format!("wrk said no rate: {text}"))
}

/// Numbered requests at the fixed rate, by [`super::load`] on the customers' side.
fn load(lab: &Lab, seconds: u64) -> anyhow::Result<Times> {
    let this = std::env::current_exe()?.display().to_string();
    let (rate, seconds) = (RATE.to_string(), seconds.to_string());
    let output = lab.client(&[&this, "bench", "load", SERVER, &rate, &seconds]).output()?;
    let told: Vec<f64> = numbers(&said(&output)?);
    let [_, median, high, ..] = told.as_slice() else { anyhow::bail!("the load told nothing") };
    Ok(Times { median: median / 1e3, high: high / 1e3 })
}

fn said(output: &Output) -> anyhow::Result<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {stderr}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether every numbered request at the fixed rate was seen, and how often.
struct Proof {
    asked: u64,
    missed: u64,
    repeated: u64,
    in_kernel: Vec<(String, u64)>,
}

/// Has `mirror` write every request as JSON, and looks for each number.
fn prove(lab: &Lab, folder: &Path) -> anyhow::Result<Proof> {
    let file = folder.join("numbers.jsonl");
    let flags = ["capture", "--json", "--no-bodies", "--from", CABLE, "--port", "8080", "--to"];
    let command = mirror(&[&flags[..], &[&file.to_string_lossy()]].concat());
    let summary = folder.join("summary.json");
    let mut child = Guard(lab.server(&command, File::create(&summary)?.into())?);
    lab.wait_until_attached(&mut child.0)?;
    load(lab, PROOF_SECONDS)?;
    interrupt(&child)?;
    child.0.wait()?;
    let asked = RATE * PROOF_SECONDS;
    let mut seen = vec![0_u32; usize::try_from(asked)?];
    for line in std::io::BufRead::lines(std::io::BufReader::new(File::open(&file)?)) {
        let exchange: Value = serde_json::from_str(&line?)?;
        let target = exchange.pointer("/request/target").and_then(Value::as_str);
        let number = target.and_then(|target| target.strip_prefix("/n/")?.parse::<usize>().ok());
        if let Some(seen) = number.and_then(|number| seen.get_mut(number)) {
            *seen += 1;
        }
    }
    let summary: Value = serde_json::from_reader(File::open(summary)?)?;
    Ok(Proof {
        asked,
        missed: seen.iter().filter(|seen| **seen == 0).count() as u64,
        repeated: seen.iter().filter(|seen| **seen > 1).count() as u64,
        in_kernel: lost_in_kernel(&summary)?.1,
    })
}

/// Of a summary: packets that the kernel program wanted, and those that it lost, by reason.
pub(super) fn lost_in_kernel(summary: &Value) -> anyhow::Result<(u64, Vec<(String, u64)>)> {
    let accounts = summary.get("accounts").and_then(Value::as_array).context("no accounts")?;
    let account = accounts.iter().find(|account| account.get("name") == Some(&"kernel".into()));
    let account = account.context("no account of the kernel")?;
    let delivered = account.get("delivered").and_then(Value::as_u64).context("no count")?;
    let dropped = account.get("dropped").and_then(Value::as_array).context("no reasons")?;
    let lost: Vec<(String, u64)> = dropped
        .iter()
        .filter_map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_u64()?)))
        .filter(|(why, _)| ["ring_full", "too_large", "unreadable"].contains(&why.as_str()))
        .collect();
    let wanted = delivered + lost.iter().map(|(_, n)| n).sum::<u64>();
    Ok((wanted, lost))
}

/// What was lost of long streams.
struct Bulk {
    name: String,
    /// Packets lost of packets wanted, and the stream's speed in Gbit/s.
    streams: Vec<(u64, u64, f64)>,
}

impl Bulk {
    fn fractions(&self) -> Vec<f64> {
        self.streams.iter().map(|(lost, wanted, _)| *lost as f64 / *wanted as f64).collect()
    }
}

/// One connection that carries [`BIG_BYTES`], captured by each.
fn stream(lab: &Lab) -> anyhow::Result<Vec<Bulk>> {
    let bulk = |name: String| Bulk { name, streams: Vec::new() };
    let mut all = vec![bulk("mirror inspect --summary".to_owned())];
    all.extend(TCPDUMP_BUFFERS.map(|size| bulk(format!("tcpdump -w /dev/null -B {size}"))));
    for round in 1..=STREAMS {
        let mut places = all.iter_mut();
        if let Some(bulk) = places.next() {
            let args = ["inspect", "--summary", "--json", "--from", CABLE, "--port", "8080"];
            let (speed, output) = stream_once(lab, &mirror(&args))?;
            let (wanted, lost) = lost_in_kernel(&serde_json::from_slice(&output.stdout)?)?;
            bulk.streams.push((lost.iter().map(|(_, n)| n).sum(), wanted, speed));
        }
        for (bulk, size) in places.zip(TCPDUMP_BUFFERS) {
            let line = format!("tcpdump -i {CABLE} -w /dev/null -B {size} tcp src port 8080");
            let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (speed, output) = stream_once(lab, &line)?;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let count = |what: &str| {
                let line = told.lines().find(|line| line.contains(what));
                let n = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                n.with_context(|| format!("tcpdump told no {what}: {told}"))
            };
            bulk.streams.push((count("dropped by kernel")?, count("received by filter")?, speed));
        }
        println!("stream {round} of {STREAMS}");
    }
    Ok(all)
}

/// Fetches `/big` while the command captures; the stream's speed, and what the command said.
fn stream_once(lab: &Lab, command: &[String]) -> anyhow::Result<(f64, Output)> {
    let mut child = lab.server(command, Stdio::piped())?;
    let rest = lab.wait_until_attached(&mut child)?;
    let url = format!("http://{SERVER}/big");
    let curl = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{time_total}", &url];
    let fetched = said(&lab.client(&curl).output()?)?;
    let seconds: f64 = fetched.trim().parse().context("curl told no time")?;
    run_command(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    let mut output = child.wait_with_output()?;
    output.stderr = rest.join().unwrap_or_default();
    Ok((BIG_BYTES as f64 * 8.0 / 1e9 / seconds, output))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}

/// All pairs, then their medians.
fn close(rounds: usize, contenders: &[Contender], proof: &Proof, bulk: &[Bulk]) {
    let kept = |pair: &Pair<f64>| pair.with / pair.alone;
    let ratio =
        |pick: fn(&Times) -> f64| move |pair: &Pair<Times>| pick(&pair.with) / pick(&pair.alone);
    let (medians, highs) = (ratio(|times| times.median), ratio(|times| times.high));
    println!("\nAll pairs ({rounds} each; with the capture / alone)");
    for contender in contenders {
        let rates = contender.saturated.iter().map(|it| format!("{:.0}/{:.0}", it.with, it.alone));
        println!("  {}\n    requests/s  {}", contender.name, list(rates));
        let times = |pick: fn(&Times) -> f64| {
            let pairs = contender.fixed.iter();
            list(pairs.map(|it| format!("{:.0}/{:.0}", pick(&it.with), pick(&it.alone))))
        };
        println!("    p50 us      {}", times(|times| times.median));
        println!("    p99 us      {}", times(|times| times.high));
    }
    println!("\nPrice: wrk -t1 -c32 at saturation, and {RATE} requests/s due at a fixed rate");
    println!("  {:34} kept   CPU s/million   p50     p99    (medians of {rounds} ratios)", "");
    for contender in contenders {
        println!(
            "  {:34} {:.3}  {:13.2}   {:.3}   {:.3}",
            contender.name,
            median(contender.saturated.iter().map(kept)),
            median(contender.cpu_per_million.iter().copied()),
            median(contender.fixed.iter().map(medians)),
            median(contender.fixed.iter().map(highs)),
        );
    }
    println!("  goals: mirror kept 0.85, CPU 1.0, p50 1.05, p99 1.10; without traffic kept 0.97");
    println!(
        "\nLoss: {} numbered requests at {RATE}/s: {} missed, {} seen more than once; lost in the kernel: {}",
        proof.asked,
        proof.missed,
        proof.repeated,
        if proof.in_kernel.is_empty() {
            "nothing".to_owned()
        } else {
            format!("{:?}", proof.in_kernel)
        },
    );
    println!(
        "\nBulk: one stream of {} GB, packets lost of packets wanted",
        BIG_BYTES / 1_000_000_000
    );
    for bulk in bulk {
        let each = bulk
            .streams
            .iter()
            .map(|(lost, wanted, speed)| format!("{lost}/{wanted} ({speed:.1} Gbit/s)"));
        println!("  {:34} {:.4}  {}", bulk.name, median(bulk.fractions()), list(each));
    }
}
