//! What the capture loses: of numbered requests, and of one connection at full speed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::Context;
use serde_json::Value;

use super::{RATE, interrupt, load, mirror, said};
use crate::bench::capture::Guard;
use crate::bench::lab::{BIG_BYTES, CABLE, Lab, SERVER};
use crate::run_command;

/// How many streams each captures of which the loss is told.
const STREAMS: usize = 3;

/// How many seconds of numbered requests prove that none is lost.
const PROOF_SECONDS: u64 = 5;

/// Buffer sizes of tcpdump's `-B` in KiB, of which the best counts.
const TCPDUMP_BUFFERS: [&str; 3] = ["2048", "65536", "524288"];

/// Whether every numbered request at the fixed rate was seen, and how often.
pub(super) struct Proof {
    pub(super) asked: u64,
    pub(super) missed: u64,
    pub(super) repeated: u64,
    pub(super) in_kernel: Vec<(String, u64)>,
}

/// Has `mirror` write every request as JSON, and looks for each number.
pub(super) fn prove(lab: &Lab, folder: &Path) -> anyhow::Result<Proof> {
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
    for line in BufReader::new(File::open(&file)?).lines() {
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
pub(in crate::bench) fn lost_in_kernel(
    summary: &Value,
) -> anyhow::Result<(u64, Vec<(String, u64)>)> {
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
pub(super) struct Bulk {
    pub(super) name: String,
    /// Packets lost of packets wanted, and the stream's speed in Gbit/s.
    pub(super) streams: Vec<(u64, u64, f64)>,
}

impl Bulk {
    pub(super) fn fractions(&self) -> Vec<f64> {
        self.streams.iter().map(|(lost, wanted, _)| *lost as f64 / *wanted as f64).collect()
    }
}

/// One connection that carries [`BIG_BYTES`], captured by each.
pub(super) fn stream(lab: &Lab) -> anyhow::Result<Vec<Bulk>> {
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
