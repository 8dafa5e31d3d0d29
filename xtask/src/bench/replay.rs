//! Replaying: speed and cost against wrk, memory, lateness, and what a live shadow costs
//! production. Who is compared takes turns.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::capture::{self, Guard, nginx_config};
use super::lab::{cpu_time, in_namespace};
use super::live::interrupt;
use super::load::{Times, ask};
use super::{Contender, median};
use crate::{cargo, root, run_command, setup};

/// How many connections everyone has.
const CONNECTIONS: u32 = 64;

/// How many turns each has.
const ROUNDS: usize = 5;

/// How long wrk asks in each turn; the replayed file takes about as long.
const WRK_SECONDS: u32 = 4;

/// How many requests lateness is measured with: 8 s of them.
const LATE_REQUESTS: u32 = 8_000;

/// The length of the long capture.
const LONG_BYTES: u64 = 1_500_000_000;

/// Requests a second of the live part, and for how long each turn asks.
const LIVE_RATE: u32 = 40_000;
const LIVE_SECONDS: u32 = 5;

/// The headers that a replayed request has, so that nginx has the same to do for wrk.
const HEADERS: [&str; 5] = [
    "Host: shop.example-shadow",
    "Accept: */*",
    "X-Shadow-Request: 1",
    "X-Shadow-Id: 01234567-12-3456",
    "baggage: synthetic_request=true",
];

/// Everything that is measured.
pub(super) const PARTS: [&str; 4] = ["speed", "lateness", "memory", "live"];

/// Measures these parts and prints a table for each. The live part needs root.
pub(super) fn run(parts: &[&str]) -> anyhow::Result<()> {
    setup::ensure_tools(setup::BENCH_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir().context("no folder for the bench")?;
    let mirror = root().join("target/release/mirror").display().to_string();
    let bench = Bench { mirror, scratch: scratch.path().to_owned() };
    let nginx = bench.local_nginx()?;
    for part in parts {
        match *part {
            "speed" => bench.against_wrk(&nginx)?,
            "lateness" => bench.lateness(&nginx)?,
            "memory" => bench.memory(&nginx)?,
            "live" if setup::is_root() => bench.live()?,
            "live" => println!("live: not measured, as network namespaces need root"),
            _ => bail!("{part}: no such part; there are {}", PARTS.join(", ")),
        }
    }
    Ok(())
}

struct Bench {
    mirror: String,
    scratch: PathBuf,
}

struct Nginx {
    url: String,
    _process: Guard,
}

impl Bench {
    /// `mirror replay` of a file with its summary as a report; the contender and where that lies.
    fn replay(&self, file: &Path, url: &str, flags: &[&str]) -> (Contender, PathBuf) {
        let report = self.scratch.join("report.json");
        let (name, report_name) = (file.to_string_lossy(), report.to_string_lossy());
        let mut command = vec![&*self.mirror, "replay", "--from", &*name, "--to", url];
        command.extend(["--report", &*report_name]);
        command.extend(flags);
        (Contender::new("mirror", &command), report)
    }

    fn against_wrk(&self, nginx: &Nginx) -> anyhow::Result<()> {
        let file = self.scratch.join("gets.pcap");
        capture::open_connections(&file, CONNECTIONS)?;
        let (connections, seconds) = (format!("-c{CONNECTIONS}"), format!("-d{WRK_SECONDS}s"));
        let mut command = vec!["wrk", "-t1", &*connections, &*seconds];
        command.extend(HEADERS.iter().flat_map(|header| ["-H", header]));
        let url = format!("{}/item?id=1234", nginx.url);
        command.push(&url);
        let mut wrk = Contender::new("wrk", &command);
        let (mut mirror, report) = self.replay(&file, &nginx.url, &["--speed", "max"]);
        println!("GETs over {CONNECTIONS} connections to nginx on loopback, by turns:");
        let mut turns = Vec::new();
        for round in 1..=ROUNDS {
            let said = wrk.measure_and_hear()?;
            let (ours, theirs) = (mirror.turn()?, wrk.last()?);
            let asked = wrk_number(&said, "requests in")?;
            let wrk_rate = wrk_number(&said, "Requests/sec:")?;
            let answered = number(&read(&report)?, "/replays/0/answered")?;
            let turn = Turn {
                rate: answered / ours.wall.as_secs_f64() / wrk_rate,
                cpu: (ours.cpu.as_secs_f64() / answered) / (theirs.cpu.as_secs_f64() / asked),
            };
            println!(
                "  round {round}: mirror {:9.0} requests/s, {:5.2} s of cpu a million; wrk {wrk_rate:9.0}, {:5.2}; share of the rate {:.2}, ratio of cpu {:.2}",
                answered / ours.wall.as_secs_f64(),
                ours.cpu.as_secs_f64() * 1e6 / answered,
                theirs.cpu.as_secs_f64() * 1e6 / asked,
                turn.rate,
                turn.cpu
            );
            turns.push(turn);
        }
        let rate = median(turns.iter().map(|turn| turn.rate));
        let cpu = median(turns.iter().map(|turn| turn.cpu));
        println!("  share of wrk's requests/s: {rate:.2} (goal: at least 0.80)");
        println!("  cpu a request / wrk's: {cpu:.2} (goal: at most 2.00)");
        fs::remove_file(&file)?;
        Ok(())
    }

    fn lateness(&self, nginx: &Nginx) -> anyhow::Result<()> {
        let file = self.scratch.join("late.pcap");
        capture::rounds(&file, CONNECTIONS, LATE_REQUESTS / CONNECTIONS)?;
        println!("1,000 requests/s from a file, three times:");
        let flags = ["--rate", "1000/s"];
        let (mut mirror, report) = self.replay(&file, &nginx.url, &flags);
        let mut late = Vec::new();
        for _ in 0..3 {
            mirror.turn()?;
            let said = read(&report)?;
            let of = |what: &str| number(&said, &format!("/replays/0/{what}"));
            println!(
                "  {} requests; late p50 {} us, p99 {} us, p99.9 {} us; response p99 {} us",
                of("answered")?,
                of("late/p50_us")?,
                of("late/p99_us")?,
                of("late/p999_us")?,
                of("response/p99_us")?
            );
            late.push(of("late/p99_us")?);
        }
        println!("  p99 lateness: {:.0} us (goal: at most 2,000)", median(late));
        fs::remove_file(&file)?;
        Ok(())
    }

    fn memory(&self, nginx: &Nginx) -> anyhow::Result<()> {
        let file = self.scratch.join("long.pcap");
        capture::long_answers(&file, CONNECTIONS, LONG_BYTES)?;
        let (mut mirror, report) = self.replay(&file, &nginx.url, &["--speed", "max"]);
        let run = mirror.turn()?;
        println!(
            "a capture of {} MB: {} requests in {:.1} s, peak {:.1} MiB (goal: at most 64)",
            fs::metadata(&file)?.len() / 1_000_000,
            number(&read(&report)?, "/replays/0/answered")?,
            run.wall.as_secs_f64(),
            run.peak_kib as f64 / 1024.0
        );
        fs::remove_file(&file)?;
        Ok(())
    }

    fn live(&self) -> anyhow::Result<()> {
        let lab = Lab::new(&self.scratch)?;
        println!("live: {LIVE_RATE} requests/s over veth, {LIVE_SECONDS} s each, by turns:");
        lab.ask()?;
        let (mut ratios, mut delivered, mut noise) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let (alone, again) = (lab.ask()?, lab.ask()?);
            let (shadowed, share, cpu) = lab.ask_shadowed(self)?;
            let [alone, again, shadowed] = [alone, again, shadowed].map(|asked| asked.high);
            println!(
                "  round {round}: production's p99 alone {alone:.0} us and {again:.0} us, shadowed {shadowed:.0} us; {:.3} % delivered, {cpu:.2} s of cpu a million{}",
                100.0 * share,
                losses(&read(&self.scratch.join("report.json"))?)
            );
            ratios.push(shadowed / alone);
            noise.push(again / alone);
            delivered.push(share);
        }
        println!(
            "  production's p99 with mirror / without: {:.2} (goal: at most 1.10; alone / alone: {:.2})",
            median(ratios),
            median(noise)
        );
        println!("  delivered: {:.3} % (goal: at least 99.900 %)", 100.0 * median(delivered));
        Ok(())
    }

    fn local_nginx(&self) -> anyhow::Result<Nginx> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = self.scratch.join("nginx");
        fs::create_dir(&folder)?;
        let config = nginx_config(&folder, &format!("127.0.0.1:{port}"), "hello")?;
        let child =
            Command::new("nginx").arg("-c").arg(&config).spawn().context("nginx: cannot be run")?;
        let mut process = Guard(child);
        capture::wait_for_port(port, &mut process.0)?;
        Ok(Nginx { url: format!("http://127.0.0.1:{port}"), _process: process })
    }
}

/// mirror against wrk in one round.
struct Turn {
    rate: f64,
    cpu: f64,
}

/// The number beside `label` in what wrk prints.
pub(super) fn wrk_number(said: &str, label: &str) -> anyhow::Result<f64> {
    let line = said.lines().find(|line| line.contains(label));
    let line = line.with_context(|| format!("wrk said no {label:?}: {said}"))?;
    line.split_whitespace()
        .find_map(|word| word.parse().ok())
        .with_context(|| format!("no number in {line:?}"))
}

fn read(report: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&fs::read(report)?)?)
}

/// What was lost where, if anything was.
fn losses(report: &Value) -> String {
    let accounts = report["accounts"].as_array().into_iter().flatten();
    let lost =
        accounts.filter(|account| account["dropped"].as_array().is_some_and(|d| !d.is_empty()));
    lost.map(|account| format!("; {} {}", account["name"], account["dropped"])).collect()
}

/// The number at a JSON pointer (RFC 6901).
fn number(value: &Value, pointer: &str) -> anyhow::Result<f64> {
    let number = value.pointer(pointer).and_then(Value::as_f64);
    number.with_context(|| format!("no number at {pointer}"))
}

/// Three namespaces: customers, production, and the target; gone when this is dropped.
struct Lab {
    names: [String; 3],
    _nginx: [Guard; 2],
}

const CUSTOMERS: usize = 0;
const PRODUCTION: usize = 1;

impl Lab {
    fn new(scratch: &Path) -> anyhow::Result<Self> {
        let id = std::process::id();
        let names = ["c", "p", "t"].map(|part| format!("replay{id}{part}"));
        let [customers, production, target] = &names;
        for line in [
            format!("netns add {customers}"),
            format!("netns add {production}"),
            format!("netns add {target}"),
            format!(
                "link add front netns {production} type veth peer name cable netns {customers}"
            ),
            format!("link add back netns {production} type veth peer name cable netns {target}"),
            format!("-n {customers} addr add 10.79.0.2/24 dev cable"),
            format!("-n {production} addr add 10.79.0.1/24 dev front"),
            format!("-n {production} addr add 10.80.0.1/24 dev back"),
            format!("-n {target} addr add 10.80.0.2/24 dev cable"),
            format!("-n {customers} link set cable up"),
            format!("-n {production} link set front up"),
            format!("-n {production} link set back up"),
            format!("-n {target} link set cable up"),
        ] {
            run_command(Command::new("ip").args(line.split(' ')))?;
        }
        let nginx = |name: &str, nice: &str| -> anyhow::Result<Guard> {
            let folder = scratch.join(name);
            fs::create_dir(&folder)?;
            let config = nginx_config(&folder, "8080", "hello")?;
            let command = ["nice", "-n", nice, "nginx", "-c", &config.to_string_lossy()];
            Ok(Guard(in_namespace(name, &command).spawn().context("nginx: cannot be run")?))
        };
        // The target stands for another machine, and gives way as mirror does.
        let nginx = [nginx(production, "0")?, nginx(target, "10")?];
        let lab = Self { names, _nginx: nginx };
        lab.wait_for_nginx(CUSTOMERS, "http://10.79.0.1:8080/")?;
        lab.wait_for_nginx(PRODUCTION, "http://10.80.0.2:8080/")?;
        Ok(lab)
    }

    fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    #[expect(clippy::disallowed_methods, reason = "waits for a real server, with a deadline")]
    fn wait_for_nginx(&self, from: usize, url: &str) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        let answers = || {
            let curl = in_namespace(self.name(from), &["curl", "--silent", url]).output();
            curl.is_ok_and(|output| output.status.success())
        };
        while !answers() {
            ensure!(std::time::Instant::now() < deadline, "not in time: {url} answers");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What the customers saw.
    fn ask(&self) -> anyhow::Result<Times> {
        let there = |command: &[&str]| in_namespace(self.name(CUSTOMERS), command);
        ask(there, "10.79.0.1:8080", LIVE_RATE.into(), LIVE_SECONDS.into())
    }

    /// What they saw while mirror was there, which share of it was delivered to the target, and the
    /// CPU time that mirror took for a million requests.
    fn ask_shadowed(&self, bench: &Bench) -> anyhow::Result<(Times, f64, f64)> {
        let said = bench.scratch.join("mirror.txt");
        let report = bench.scratch.join("report.json");
        let report_name = report.to_string_lossy();
        let command = [
            &*bench.mirror,
            "replay",
            "--from",
            "front",
            "--port",
            "8080",
            "--to",
            "http://10.80.0.2:8080",
            "--report",
            &*report_name,
        ];
        let mut mirror = in_namespace(self.name(PRODUCTION), &command);
        mirror.stdout(Stdio::null()).stderr(fs::File::create(&said)?);
        let mut mirror = Guard(mirror.spawn().context("mirror: cannot be run")?);
        wait_until_said(&said, "attached to", &mut mirror)?;
        let before = cpu_time(mirror.0.id())?;
        let seen = self.ask()?;
        let cpu = cpu_time(mirror.0.id())?.saturating_sub(before);
        interrupt(&mirror)?;
        mirror.0.wait()?;
        let delivered = number(&read(&report)?, "/replays/0/answered")?;
        let (share, cpu) = (delivered / seen.answered, cpu.as_secs_f64() * 1e6 / seen.answered);
        Ok((seen, share, cpu))
    }
}

#[expect(clippy::disallowed_methods, reason = "waits for a real program, with a deadline")]
pub(super) fn wait_until_said(file: &Path, text: &str, program: &mut Guard) -> anyhow::Result<()> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(file)?.contains(text) {
        if program.0.try_wait()?.is_some() || std::time::Instant::now() > deadline {
            bail!("it did not start: {}", fs::read_to_string(file)?);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            // What is left in them ends with them.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}
