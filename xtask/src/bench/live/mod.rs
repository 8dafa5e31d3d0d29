//! What production pays for somebody who captures, and what the capture loses: each measured with
//! and without, by turns, in one run, with tcpdump as a peer throughout.

mod loss;
mod price;

use std::fmt::Display;
use std::process::{Command, Output};

use anyhow::ensure;

pub(super) use self::loss::lost_in_kernel;
use self::loss::{Bulk, Proof, prove, stream};
use self::price::{Contender, captors, measure};
use super::capture::Guard;
use super::lab::{BIG_BYTES, Lab, SERVER};
use super::load::{Times, ask};
use super::saturated::Pair;
use super::{Options, median};
use crate::{root, run_command};

/// How many pairs of each measurement there are unless asked otherwise.
const ROUNDS: usize = 7;

/// Requests a second where the rate is fixed.
const RATE: u64 = 40_000;

/// Measures and prints tables. Needs root.
pub(super) fn run(options: &Options<'_>) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let lab = Lab::with_mirror(scratch.path())?;
    let contenders = measure(&lab, captors(options.beside), options.rounds.unwrap_or(ROUNDS))?;
    let proof = prove(&lab, scratch.path())?;
    let bulk = stream(&lab)?;
    close(&contenders, &proof, &bulk);
    Ok(())
}

pub(super) fn mirror(args: &[&str]) -> Vec<String> {
    command(&root().join("target/release/mirror").display().to_string(), args)
}

pub(super) fn command(binary: &str, args: &[&str]) -> Vec<String> {
    [binary].iter().chain(args).map(|&part| part.to_owned()).collect()
}

pub(super) fn interrupt(child: &Guard) -> anyhow::Result<()> {
    run_command(Command::new("kill").args(["-INT", &child.0.id().to_string()]))
}

/// Numbered requests at the fixed rate.
fn load(lab: &Lab, seconds: u64) -> anyhow::Result<Times> {
    ask(|command| lab.client(command), SERVER, RATE, seconds)
}

fn said(output: &Output) -> anyhow::Result<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {stderr}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" ")
}

/// All pairs, then what they come to.
fn close(contenders: &[Contender], proof: &Proof, bulk: &[Bulk]) {
    pairs(contenders);
    price(contenders);
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

fn pairs(contenders: &[Contender]) {
    println!("\nAll pairs (with the capture / alone)");
    for contender in contenders {
        let rates =
            contender.saturated.pairs.iter().map(|it| format!("{:.0}/{:.0}", it.with, it.alone));
        println!("  {}\n    requests/s  {}", contender.name, list(rates));
        println!(
            "    set aside, as the machine's speed changed meanwhile: {}",
            contender.saturated.set_aside
        );
        let times = |pick: fn(&Times) -> f64| {
            let pairs = contender.paced.iter();
            list(pairs.map(|it| format!("{:.0}/{:.0}", pick(&it.with), pick(&it.alone))))
        };
        println!("    p50 us      {}", times(|times| times.median));
        println!("    p99 us      {}", times(|times| times.high));
    }
}

fn price(contenders: &[Contender]) {
    let kept = |pair: &Pair<f64>| pair.with / pair.alone;
    let ratio =
        |pick: fn(&Times) -> f64| move |pair: &Pair<Times>| pick(&pair.with) / pick(&pair.alone);
    let (medians, highs) = (ratio(|times| times.median), ratio(|times| times.high));
    println!("\nPrice: wrk -t1 -c32 at saturation, and {RATE} requests/s due at a fixed rate");
    println!(
        "  {:34} kept   CPU s/million   p50     p99 (medians)   p99 of all turns together, us",
        ""
    );
    for contender in contenders {
        let with = together(contender.paced.iter().map(|pair| &pair.with));
        let alone = together(contender.paced.iter().map(|pair| &pair.alone));
        println!(
            "  {:34} {:.3}  {:13.2}   {:.3}   {:13.3}   {with:.0}/{alone:.0} = {:.3}",
            contender.name,
            median(contender.saturated.pairs.iter().map(kept)),
            median(contender.cpu_per_million.iter().copied()),
            median(contender.paced.iter().map(medians)),
            median(contender.paced.iter().map(highs)),
            with / alone,
        );
    }
}

/// The 99th percentile of all turns' requests, of which each has as many.
fn together<'a>(turns: impl Iterator<Item = &'a Times>) -> f64 {
    let mut all: Vec<f64> = turns.flat_map(|times| times.permilles.iter().copied()).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}
