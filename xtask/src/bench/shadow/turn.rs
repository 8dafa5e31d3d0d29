//! One turn: production alone, then with somebody beside it once that has settled.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::ByRate;
use crate::bench::capture::Guard;
use crate::bench::lab::{CABLE, Lab, SERVER, TARGET, cpu_time, in_namespace};
use crate::bench::live::{command, interrupt, mirror};
use crate::bench::load::ask;
use crate::bench::saturated::{Saturated, twice, wrk};

/// Requests a second where the rate is fixed.
pub(super) const RATES: [u64; 3] = [10_000, 20_000, 40_000];

/// How long production is asked in each turn at a fixed rate.
const PACED_SECONDS: u64 = 3;

/// How long it is asked before that, so that whoever gives way has done so: the guard looks once a second.
const SETTLING_SECONDS: u64 = 6;

/// Where the target listens that is late, and the one that goes away.
const LATE: &str = "127.0.0.1:8082";
const LATE_URL: &str = "http://127.0.0.1:8082";

/// What becomes of the shadows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The target of the lab responds, or there is none.
    Healthy,
    /// It responds after a second.
    Late,
    /// It is ended once mirror has attached.
    Gone,
}

/// Somebody beside production, and what came of it pair by pair.
pub(super) struct Contender {
    pub(super) name: String,
    somebody: Somebody,
    pub(super) saturated: Saturated,
    /// The share of production's requests that the target responded to, at saturation.
    pub(super) delivered: Vec<f64>,
    pub(super) cpu_per_million: Vec<f64>,
    /// p99 in microseconds, by rate.
    pub(super) paced: ByRate,
}

/// The same with somebody beside it and alone, at a fixed rate.
pub(super) struct Paced {
    pub(super) with: f64,
    pub(super) alone: f64,
    pub(super) delivered: f64,
}

/// Who shadows, and who only captures; and `other`, another build of `mirror`.
pub(super) fn contenders(other: Option<&str>) -> Vec<Contender> {
    let send = |name, to| [name, "--json", "--from", CABLE, "--port", "8080", "--to", to];
    let peer = "tcpdump -i srv -w /dev/null port 8080".split(' ').map(str::to_owned).collect();
    let mut all = vec![
        Contender::new("replay", mirror(&send("replay", TARGET)), Target::Healthy),
        Contender::new("replay, target 1 s late", mirror(&send("replay", LATE_URL)), Target::Late),
        Contender::new("replay, target gone", mirror(&send("replay", LATE_URL)), Target::Gone),
        Contender::new("compare", mirror(&send("compare", TARGET)), Target::Healthy),
        Contender::new("tcpdump -w /dev/null", peer, Target::Healthy),
    ];
    if let Some(other) = other {
        let ours = command(other, &send("replay", TARGET));
        all.push(Contender::new("replay by the other build", ours, Target::Healthy));
    }
    all
}

/// Whose command runs beside production.
struct Somebody {
    command: Vec<String>,
    target: Target,
}

/// What was found beside somebody.
struct Turn<T> {
    found: T,
    /// CPU time in seconds that it took while that was measured.
    cpu: f64,
    /// Requests that its targets responded to, from its start.
    delivered: f64,
}

impl Contender {
    fn new(name: &str, command: Vec<String>, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            somebody: Somebody { command, target },
            saturated: Saturated::default(),
            delivered: Vec::new(),
            cpu_per_million: Vec::new(),
            paced: ByRate::new(),
        }
    }

    /// Beside production when it is asked as often as it can answer.
    pub(super) fn saturate(&mut self, lab: &Lab, scratch: &Path) -> anyhow::Result<()> {
        let settle = || wrk(lab, SETTLING_SECONDS);
        let beside = || {
            let (settling, turn) = self.somebody.beside(lab, scratch, settle, || twice(lab))?;
            Ok((turn.found, (settling, turn)))
        };
        if let Some(((settling, turn), answered)) = self.saturated.measure(lab, beside)? {
            let asked = settling * SETTLING_SECONDS as f64 + answered;
            self.delivered.push(turn.delivered / asked);
            self.cpu_per_million.push(turn.cpu * 1e6 / answered);
        }
        Ok(())
    }

    /// With and alone at a fixed rate.
    pub(super) fn pace(&mut self, lab: &Lab, scratch: &Path, rate: u64) -> anyhow::Result<()> {
        let load = |seconds| ask(|command| lab.client(command), SERVER, rate, seconds);
        let alone = load(PACED_SECONDS)?.high;
        let measure = || load(PACED_SECONDS);
        let settle = || load(SETTLING_SECONDS);
        let (settling, turn) = self.somebody.beside(lab, scratch, settle, measure)?;
        let delivered = turn.delivered / (settling.answered + turn.found.answered);
        let paced = Paced { with: turn.found.high, alone, delivered };
        self.paced.entry(rate).or_default().push(paced);
        Ok(())
    }
}

impl Somebody {
    /// What `measure` gives beside it, after `settle`.
    fn beside<S, T>(
        &self,
        lab: &Lab,
        scratch: &Path,
        settle: impl FnOnce() -> anyhow::Result<S>,
        measure: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(S, Turn<T>)> {
        let summary = scratch.join("summary.json");
        let shadows = self.command.iter().any(|word| word == "--to");
        let late = (self.target != Target::Healthy).then(|| start_late(lab)).transpose()?;
        let output = File::create(&summary)?;
        let mut child = Guard(lab.server(&self.command, output.into())?);
        lab.wait_until_attached(&mut child.0)?;
        let _late = late.filter(|_| self.target == Target::Late);
        let settled = settle()?;
        let before = cpu_time(child.0.id())?;
        let found = measure()?;
        let cpu = cpu_time(child.0.id())?.saturating_sub(before).as_secs_f64();
        interrupt(&child)?;
        child.0.wait()?;
        let delivered = if shadows { delivered(&summary)? } else { 0.0 };
        Ok((settled, Turn { found, cpu, delivered }))
    }
}

/// How many requests the target responded to.
fn delivered(summary: &Path) -> anyhow::Result<f64> {
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary)?)?;
    // A comparison tells of pairs.
    let answered = summary.pointer("/replays/0/answered").or_else(|| summary.pointer("/pairs"));
    answered.and_then(Value::as_f64).context("no replay in the summary")
}

/// Starts the target that is late, in the server's namespace.
fn start_late(lab: &Lab) -> anyhow::Result<Guard> {
    let this = std::env::current_exe()?.display().to_string();
    let mut late = in_namespace(lab.server_name(), &[&this, "bench", "late", LATE]);
    let mut late = Guard(late.stdout(Stdio::piped()).spawn()?);
    let mut said = String::new();
    let stdout = late.0.stdout.take().context("a pipe")?;
    BufReader::new(stdout).read_line(&mut said)?;
    ensure!(said.starts_with("listening"), "the late target did not start");
    Ok(late)
}
