//! What production pays: nginx and wrk over a veth pair between two network namespaces, with and
//! without somebody who captures, by turns.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::capture::Guard;
use crate::{cargo, root, run_command, setup};

/// How many rounds, in each of which everyone has a turn.
const ROUNDS: usize = 7;

/// How long wrk asks in each turn.
const SECONDS: u32 = 4;

/// The server's end of the cable.
const CABLE: &str = "srv";

/// Who captures during a turn.
struct Turn {
    name: &'static str,
    command: Option<Vec<String>>,
    shares: Vec<f64>,
    cpu_per_million: Vec<f64>,
}

/// Measures and prints a table. Needs root.
pub(super) fn run() -> anyhow::Result<()> {
    ensure!(setup::is_root(), "network namespaces need root");
    setup::ensure_tools(setup::BENCH_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir()?;
    let lab = Lab::new(scratch.path())?;
    let mirror = root().join("target/release/mirror").display().to_string();
    let watch = |port: &str| {
        let command = [&mirror, "inspect", "--summary", "--from", CABLE, "--port", port];
        Some(command.map(str::to_owned).to_vec())
    };
    let tcpdump = ["tcpdump", "-i", CABLE, "-w", "/dev/null", "port", "8080"];
    let turn =
        |name, command| Turn { name, command, shares: Vec::new(), cpu_per_million: Vec::new() };
    let mut turns = vec![
        turn("mirror inspect --summary", watch("8080")),
        turn("mirror, a port without traffic", watch("9999")),
        turn("tcpdump -w /dev/null", Some(tcpdump.map(str::to_owned).to_vec())),
        turn("nobody (noise)", None),
    ];
    lab.wrk()?;
    for round in 1..=ROUNDS {
        for turn in &mut turns {
            let alone = lab.wrk()?;
            let (rate, cpu) = turn.take(&lab)?;
            turn.shares.push(rate / alone);
            turn.cpu_per_million.push(cpu.as_secs_f64() * 1e6 / (rate * f64::from(SECONDS)));
            println!(
                "round {round}  {:32} {rate:9.0} requests/s, alone {alone:9.0}, kept {:.3}",
                turn.name,
                rate / alone
            );
        }
    }
    println!(
        "\nmedians of {ROUNDS} pairs: share of requests/s kept, CPU seconds of the capturing process a million requests"
    );
    for turn in &mut turns {
        println!(
            "  {:32} {:.3}   {:.2}",
            turn.name,
            median(&mut turn.shares),
            median(&mut turn.cpu_per_million)
        );
    }
    println!(
        "  (goals: mirror at least 0.85 and at most 1.0 s; a port without traffic at least 0.97)"
    );
    Ok(())
}

pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Turn {
    /// wrk's rate while the command runs, and the CPU time that the command took meanwhile.
    fn take(&self, lab: &Lab) -> anyhow::Result<(f64, Duration)> {
        let Some(command) = &self.command else { return Ok((lab.wrk()?, Duration::ZERO)) };
        let mut child = Guard(lab.server(command)?);
        lab.wait_until_attached(&mut child.0)?;
        let before = cpu_time(child.0.id())?;
        let rate = lab.wrk()?;
        let used = cpu_time(child.0.id())?.saturating_sub(before);
        run_command(Command::new("kill").args(["-INT", &child.0.id().to_string()]))?;
        child.0.wait()?;
        Ok((rate, used))
    }
}

/// User and system time of a process: fields 14 and 15 of its `stat`, in hundredths of a second.
pub(super) fn cpu_time(id: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process ended")?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

/// Two namespaces and nginx, gone when this is dropped.
struct Lab {
    server: String,
    client: String,
    _nginx: Guard,
}

impl Lab {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let (server, client) =
            (format!("bench{}s", std::process::id()), format!("bench{}c", std::process::id()));
        for line in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("link add {CABLE} netns {server} type veth peer name cli netns {client}"),
            format!("-n {server} link set lo up"),
            format!("-n {server} addr add 10.78.0.1/24 dev {CABLE}"),
            format!("-n {client} addr add 10.78.0.2/24 dev cli"),
            format!("-n {server} link set {CABLE} up"),
            format!("-n {client} link set cli up"),
        ] {
            run_command(Command::new("ip").args(line.split(' ')))?;
        }
        let name = folder.display();
        let config = folder.join("nginx.conf");
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; user root; pid {name}/pid; error_log stderr crit;\n\
                 events {{}}\n\
                 http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {name}/b;\n\
                 proxy_temp_path {name}/p; fastcgi_temp_path {name}/f; uwsgi_temp_path {name}/u; scgi_temp_path {name}/s;\n\
                 server {{ listen 8080; location / {{ return 200 \"hello\"; }} }} }}\n"
            ),
        )?;
        let nginx = in_namespace(&server, &["nginx", "-c", &config.to_string_lossy()]).spawn()?;
        let lab = Self { server, client, _nginx: Guard(nginx) };
        lab.until("nginx answers", || {
            let curl =
                in_namespace(&lab.client, &["curl", "--silent", "http://10.78.0.1:8080/"]).output();
            curl.is_ok_and(|output| output.status.success())
        })?;
        Ok(lab)
    }

    fn server(&self, command: &[String]) -> anyhow::Result<Child> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut child = in_namespace(&self.server, &command);
        child.stdout(Stdio::null()).stderr(Stdio::piped());
        child.spawn().with_context(|| format!("{}: cannot be run", command.join(" ")))
    }

    /// Both mirror and tcpdump say so on standard error once they capture.
    fn wait_until_attached(&self, child: &mut Child) -> anyhow::Result<()> {
        let mut stderr = child.stderr.take().context("a pipe")?;
        let mut said = String::new();
        let mut byte = [0];
        while stderr.read(&mut byte)? == 1 {
            said.push(char::from(byte[0]));
            if said.ends_with('\n')
                && (said.contains("attached to") || said.contains("listening on"))
            {
                // Whoever writes to a closed pipe would end; let it go on without a reader.
                std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
                return Ok(());
            }
        }
        bail!("the capture ended: {said}")
    }

    /// Requests a second.
    fn wrk(&self) -> anyhow::Result<f64> {
        let duration = format!("-d{SECONDS}s");
        let output = in_namespace(
            &self.client,
            &["wrk", "-t1", "-c32", &duration, "http://10.78.0.1:8080/"],
        )
        .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
        rate.and_then(|rate| rate.trim().parse().ok())
            .with_context(|| format!("wrk said no rate: {text}"))
    }

    #[expect(clippy::disallowed_methods, reason = "waits for a real server, with a deadline")]
    fn until(&self, what: &str, condition: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !condition() {
            ensure!(std::time::Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A command that becomes the process in the namespace, so that its id is the child's.
pub(super) fn in_namespace(name: &str, command: &[&str]) -> Command {
    let mut ip = Command::new("ip");
    ip.args(["netns", "exec", name]).args(command);
    ip
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            // What is left in them ends with them.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}
