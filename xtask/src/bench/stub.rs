//! `cargo xtask bench stub`: `mirror stub` with 10,000 recorded responses of 1 KiB, beside nginx, which gives one fixed
//! response of that length, and WireMock, which has the same stubs. The first two have one thread, WireMock as many as it
//! wants; wrk asks for all paths in turn. Who is compared takes turns.

use std::fs;
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::capture::{self, Guard, nginx_config};
use super::lab::cpu_time;
use super::replay::{wait_until_said, wrk_number};
use super::{Contender, median};
use crate::{cargo, root, setup};

/// How many different requests were recorded.
const STUBS: u32 = 10_000;

/// Bytes of each response's content.
const BODY_BYTES: usize = 1_024;

/// How many turns each has, and how long each is.
const ROUNDS: usize = 5;
const SECONDS: u32 = 5;

/// Measures and prints a table.
pub(super) fn run() -> anyhow::Result<()> {
    setup::ensure_tools(setup::BENCH_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir().context("no folder for the bench")?;
    let recording = scratch.path().join("stubs.jsonl");
    record(&recording)?;
    let script = scratch.path().join("all.lua");
    fs::write(&script, SCRIPT)?;
    let (stub, nginx) = (Server::stub(scratch.path(), &recording)?, Server::nginx(scratch.path())?);
    let wiremock = match setup::ensure_stub_tools() {
        true => Some(Server::wiremock(scratch.path())?),
        false => None,
    };
    if wiremock.is_none() {
        println!("without WireMock: it needs java and npm");
    }
    // What the virtual machine has not compiled yet is no matter of stubs.
    wiremock.as_ref().map(|wiremock| wiremock.turn(&script)).transpose()?;
    println!(
        "{STUBS} stubs of {BODY_BYTES} B, wrk with 64 connections, {SECONDS} s each, by turns:"
    );
    let mut ratios = Vec::new();
    let mut beside_wiremock = Vec::new();
    for round in 1..=ROUNDS {
        let (ours, theirs) = (stub.turn(&script)?, nginx.turn(&script)?);
        println!(
            "  round {round}: mirror {:8.0} requests/s, {:5.2} us of cpu each; nginx {:8.0}, {:5.2}",
            ours.rate, ours.cpu, theirs.rate, theirs.cpu
        );
        ratios.push((ours.rate, ours.cpu, ours.cpu / theirs.cpu));
        if let Some(wiremock) = &wiremock {
            let theirs = wiremock.turn(&script)?;
            println!(
                "           WireMock {:6.0} requests/s, {:5.0} us of cpu each",
                theirs.rate, theirs.cpu
            );
            beside_wiremock.push((theirs.cpu / ours.cpu, ours.rate / theirs.rate));
        }
    }
    let middle = |part: fn(&(f64, f64, f64)) -> f64| median(ratios.iter().map(part));
    println!("  requests/s: {:.0}", middle(|one| one.0));
    println!(
        "  cpu a request: {:.2} us, so {:.0} requests/s of one core (goal: at least 50,000)",
        middle(|one| one.1),
        1e6 / middle(|one| one.1)
    );
    println!("  cpu a request / nginx's: {:.2}", middle(|one| one.2));
    if wiremock.is_some() {
        println!(
            "  WireMock's cpu a request / ours: {:.0}; our requests/s / WireMock's: {:.0}",
            median(beside_wiremock.iter().map(|one| one.0)),
            median(beside_wiremock.iter().map(|one| one.1))
        );
    }
    Ok(())
}

/// Asks for each path in turn, and fails on anything but 200.
const SCRIPT: &str = r#"
local n = 0
request = function()
  n = (n + 7919) % 10000
  return wrk.format("GET", "/v1/users/" .. n .. "?source=web&page=1")
end
done = function(summary)
  if summary.errors.status > 0 then io.write("errors: " .. summary.errors.status .. "\n") end
end
"#;

/// The recording, as `mirror capture` writes it.
fn record(path: &Path) -> anyhow::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    for n in 0..STUBS {
        let target = format!("/v1/users/{n}?page=1&source=web");
        let body = BASE64.encode(format!("{n:0BODY_BYTES$}"));
        let line = serde_json::json!({
            "id": format!("{n}-0"),
            "request": { "method": "GET", "target": target, "headers": [["Host", "users.internal"]] },
            "response": {
                "status": 200,
                "reason": "OK",
                "headers": [
                    ["Server", "users"],
                    ["Content-Type", "text/plain"],
                    ["Content-Length", BODY_BYTES.to_string()],
                ],
                "body": body,
            },
        });
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}

/// The stub of one path, for WireMock.
fn mapping(n: u32) -> serde_json::Value {
    serde_json::json!({
        "request": {
            "method": "GET",
            "urlPath": format!("/v1/users/{n}"),
            "queryParameters": { "source": { "equalTo": "web" }, "page": { "equalTo": "1" } },
        },
        "response": {
            "status": 200,
            "headers": { "Server": "users", "Content-Type": "text/plain" },
            "body": format!("{n:0BODY_BYTES$}"),
        },
    })
}

/// A server under measurement.
struct Server {
    address: String,
    process: Guard,
}

/// What a turn came to: requests a second, and microseconds of CPU for each.
struct Turn {
    rate: f64,
    cpu: f64,
}

impl Server {
    fn stub(scratch: &Path, recording: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let said = scratch.join("stub.txt");
        let child = Command::new(root().join("target/release/mirror"))
            .args(["stub", "--latency", "none", "--listen", &address, "--from"])
            .arg(recording)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()
            .context("mirror: cannot be run")?;
        let mut process = Guard(child);
        wait_until_said(&said, "answers", &mut process)?;
        Ok(Self { address, process })
    }

    fn nginx(scratch: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let config = nginx_config(scratch, &address, &"0".repeat(BODY_BYTES))?;
        let child = Command::new("nginx").arg("-c").arg(&config).spawn();
        let mut process = Guard(child.context("nginx: cannot be run")?);
        let port = address.rsplit(':').next().unwrap_or_default().parse()?;
        capture::wait_for_port(port, &mut process.0)?;
        Ok(Self { address, process })
    }

    /// With the same stubs as mirror has, and without what it keeps for whoever looks at its log.
    fn wiremock(scratch: &Path) -> anyhow::Result<Self> {
        let folder = scratch.join("wiremock");
        fs::create_dir_all(folder.join("mappings"))?;
        let mappings: Vec<_> = (0..STUBS).map(mapping).collect();
        let file = fs::File::create(folder.join("mappings/all.json"))?;
        serde_json::to_writer(BufWriter::new(file), &serde_json::json!({ "mappings": mappings }))?;
        let address = free_address()?;
        let port = address.rsplit(':').next().unwrap_or_default();
        let said = scratch.join("wiremock.txt");
        let child = Command::new("java")
            .args(["-Xmx1g", "-jar"])
            .arg(root().join("target/tools/stubs/wiremock.jar"))
            .args(["--bind-address", "127.0.0.1", "--port", port, "--root-dir"])
            .arg(&folder)
            .args(["--no-request-journal", "--disable-request-logging"])
            .stdout(fs::File::create(&said)?)
            .stderr(Stdio::null())
            .spawn()
            .context("java: cannot be run")?;
        let mut process = Guard(child);
        wait_until_said(&said, "port:", &mut process)?;
        Ok(Self { address, process })
    }

    fn turn(&self, script: &Path) -> anyhow::Result<Turn> {
        let (seconds, script) = (format!("-d{SECONDS}s"), script.to_string_lossy());
        let url = format!("http://{}", self.address);
        let mut wrk = Contender::new("wrk", &["wrk", "-t1", "-c64", &seconds, "-s", &script, &url]);
        let before = cpu_time(self.process.0.id())?;
        let said = wrk.measure_and_hear()?;
        let cpu = cpu_time(self.process.0.id())?.saturating_sub(before);
        anyhow::ensure!(!said.contains("errors:"), "not all were answered: {said}");
        let asked = wrk_number(&said, "requests in")?;
        let rate = wrk_number(&said, "Requests/sec:")?;
        Ok(Turn { rate, cpu: cpu.as_secs_f64() * 1e6 / asked })
    }
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
