//! What production pays: what it keeps of its rate, what its customers wait, and what whoever
//! captures takes of the processors; with and without, by turns.

use std::process::Stdio;
use std::time::Duration;

use super::{command, interrupt, load, mirror};
use crate::bench::capture::Guard;
use crate::bench::lab::{CABLE, Lab, cpu_time};
use crate::bench::load::Times;
use crate::bench::saturated::{Pair, Saturated, TURN_SECONDS, twice, wrk};
use crate::setup;

/// How long production is asked in each turn at the fixed rate.
const PACED_SECONDS: u64 = 3;

/// Somebody who captures, and what came of it pair by pair.
pub(super) struct Contender {
    pub(super) name: String,
    command: Vec<String>,
    pub(super) saturated: Saturated,
    pub(super) cpu_per_million: Vec<f64>,
    pub(super) paced: Vec<Pair<Times>>,
}

/// Measures all of them by turns, both with as many requests as there can be and with a fixed rate of
/// them.
pub(super) fn measure(
    lab: &Lab,
    mut contenders: Vec<Contender>,
    rounds: usize,
) -> anyhow::Result<Vec<Contender>> {
    wrk(lab, TURN_SECONDS)?;
    for round in 1..=rounds {
        for contender in &mut contenders {
            contender.saturate(lab)?;
            contender.pace(lab)?;
            println!("round {round} of {rounds}: {}", contender.name);
        }
    }
    for contender in &mut contenders {
        while contender.saturated.lacks(rounds, &contender.name)? {
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
            saturated: Saturated::default(),
            cpu_per_million: Vec::new(),
            paced: Vec::new(),
        }
    }

    fn saturate(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let beside = || during(lab, &self.command, || twice(lab));
        if let Some((cpu, answered)) = self.saturated.measure(lab, beside)? {
            self.cpu_per_million.push(cpu.as_secs_f64() * 1e6 / answered);
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
