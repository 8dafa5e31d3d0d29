//! What production pays: what it keeps of its rate, what its customers wait, and what whoever
//! captures takes of the processors; with and without, by turns.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{command, interrupt, load, mirror};
use crate::bench::capture::Guard;
use crate::bench::lab::{CABLE, Lab, SERVER, cpu_time};
use crate::bench::load::Times;
use crate::setup;

/// How long production is asked in each turn: as often as it can answer, and at the fixed rate.
const SATURATED_SECONDS: u64 = 2;
const PACED_SECONDS: u64 = 3;

/// How much two turns of the same may differ, so that both saw the same machine: one whose cores are
/// shared may be a quarter slower for seconds.
const STEADY: f64 = 0.05;

/// How many pairs are tried for each that is wanted, before the machine counts as too unsteady.
pub(in crate::bench) const TRIES: usize = 6;

/// Somebody who captures, and what came of it pair by pair.
pub(super) struct Contender {
    pub(super) name: String,
    command: Vec<String>,
    /// Requests a second.
    pub(super) saturated: Vec<Pair<f64>>,
    /// Pairs that were not steady.
    pub(super) set_aside: usize,
    pub(super) cpu_per_million: Vec<f64>,
    pub(super) paced: Vec<Pair<Times>>,
}

/// The same with the capture and alone.
pub(in crate::bench) struct Pair<T> {
    pub(in crate::bench) with: T,
    pub(in crate::bench) alone: T,
}

/// Measures all of them by turns, both with as many requests as there can be and with a fixed rate of
/// them.
pub(super) fn measure(
    lab: &Lab,
    mut contenders: Vec<Contender>,
    rounds: usize,
) -> anyhow::Result<Vec<Contender>> {
    wrk(lab, SATURATED_SECONDS)?;
    for round in 1..=rounds {
        for contender in &mut contenders {
            contender.saturate(lab)?;
            contender.pace(lab)?;
            println!("round {round} of {rounds}: {}", contender.name);
        }
    }
    // Every contender gets as many steady pairs: a table of fewer says less than it seems to.
    for contender in &mut contenders {
        while contender.saturated.len() < rounds {
            ensure!(
                contender.set_aside < TRIES * rounds,
                "the machine is too unsteady: of {} pairs with {} only {} saw one speed before, \
                 during and after; try again when nothing else runs, or with fewer --rounds",
                contender.set_aside + contender.saturated.len(),
                contender.name,
                contender.saturated.len(),
            );
            contender.saturate(lab)?;
        }
    }
    Ok(contenders)
}

/// Who captures, and somebody who has nothing to capture; and `other`, another build of `mirror`.
pub(super) fn captors(other: Option<&str>) -> Vec<Contender> {
    let watch = |port| ["inspect", "--summary", "--json", "--from", CABLE, "--port", port];
    let peer = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut all = vec![
        ("mirror inspect --summary", mirror(&watch("8080"))),
        ("mirror, a port without traffic", mirror(&watch("9999"))),
        ("tcpdump -w /dev/null", peer("tcpdump -i srv -w /dev/null port 8080")),
    ];
    if let Some(other) = other {
        all.push(("the first by the other build", command(other, &watch("8080"))));
    }
    if setup::on_path("gor") {
        let line = "gor --input-raw :8080 --output-null --input-raw-track-response";
        all.push(("gor --output-null", peer(line)));
    }
    all.into_iter().map(|(name, command)| Contender::new(name, command)).collect()
}

impl Contender {
    fn new(name: &str, command: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            command,
            saturated: Vec::new(),
            set_aside: 0,
            cpu_per_million: Vec::new(),
            paced: Vec::new(),
        }
    }

    /// Alone, twice with, and alone again; set aside unless both pairs of the same agree.
    fn saturate(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let mean = |(one, other): (f64, f64)| f64::midpoint(one, other);
        let before = wrk(lab, SATURATED_SECONDS)?;
        let (with, cpu) = during(lab, &self.command, || {
            Ok((wrk(lab, SATURATED_SECONDS)?, wrk(lab, SATURATED_SECONDS)?))
        })?;
        let alone = (before, wrk(lab, SATURATED_SECONDS)?);
        if is_steady(with) && is_steady(alone) {
            self.saturated.push(Pair { with: mean(with), alone: mean(alone) });
            let millions = (with.0 + with.1) * SATURATED_SECONDS as f64 / 1e6;
            self.cpu_per_million.push(cpu.as_secs_f64() / millions);
        } else {
            self.set_aside += 1;
        }
        Ok(())
    }

    fn pace(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let alone = load(lab, PACED_SECONDS)?;
        let (with, _) = during(lab, &self.command, || load(lab, PACED_SECONDS))?;
        self.paced.push(Pair { with, alone });
        Ok(())
    }
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

/// True if both turns saw the same machine.
pub(in crate::bench) fn is_steady((one, other): (f64, f64)) -> bool {
    (one / other - 1.0).abs() <= STEADY
}

/// Requests a second, over so many seconds.
pub(in crate::bench) fn wrk(lab: &Lab, seconds: u64) -> anyhow::Result<f64> {
    let (duration, url) = (format!("-d{seconds}s"), format!("http://{SERVER}/"));
    let output = lab.client(&["wrk", "-t1", "-c32", &duration, &url]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .with_context(|| format!("wrk said no rate: {text}"))
}
