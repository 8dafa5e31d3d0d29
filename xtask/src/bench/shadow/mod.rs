//! What production pays for shadows: its rate at saturation and its p99 at fixed rates, while mirror shadows it to a target
//! that responds, one that responds late and one that went away; each measured with and without, by turns, in one run,
//! with a comparison and tcpdump as peers.
//!
//! Target and production share a host of few cores here, which is the worst case: what the target takes is taken from
//! production, too.

mod late;
mod plot;
mod turn;

use std::collections::BTreeMap;

pub(super) use self::late::serve as serve_late;
pub(super) use self::plot::run as plot;
use self::turn::{Contender, Paced, RATES, contenders};
use super::lab::Lab;
use super::live::list;
use super::{Options, median};

/// How many pairs of each measurement there are unless asked otherwise.
const ROUNDS: usize = 7;

/// Measures and prints tables. Needs root.
pub(super) fn run(options: &Options<'_>) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let lab = Lab::with_mirror(scratch.path())?;
    let _target = lab.target(scratch.path())?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut contenders = contenders(options.beside);
    for round in 1..=rounds {
        for contender in &mut contenders {
            contender.saturate(&lab, scratch.path())?;
            for rate in RATES {
                contender.pace(&lab, scratch.path(), rate)?;
            }
            println!("round {round} of {rounds}: {}", contender.name);
        }
    }
    for contender in &mut contenders {
        while contender.saturated.lacks(rounds, &contender.name)? {
            contender.saturate(&lab, scratch.path())?;
        }
    }
    close(&contenders);
    Ok(())
}

/// All pairs, then what they come to.
fn close(contenders: &[Contender]) {
    println!("\nAll pairs (with / alone)");
    for contender in contenders {
        let rates =
            contender.saturated.pairs.iter().map(|it| format!("{:.0}/{:.0}", it.with, it.alone));
        println!("  {}\n    requests/s    {}", contender.name, list(rates));
        println!(
            "    set aside, as the machine's speed changed meanwhile: {}",
            contender.saturated.set_aside
        );
        for (rate, pairs) in &contender.paced {
            let highs = pairs.iter().map(|it| format!("{:.0}/{:.0}", it.with, it.alone));
            println!("    p99 at {rate:6} {}", list(highs));
        }
    }
    println!(
        "\nMedians: kept of saturated wrk -t1 -c32, p99 with / alone at fixed rates, share delivered"
    );
    let rates = RATES.map(|rate| format!("p99 at {rate}  delivered"));
    println!("  {:34} kept   delivered   CPU s/million   {}", "", rates.join("   "));
    for contender in contenders {
        let kept = median(contender.saturated.pairs.iter().map(|it| it.with / it.alone));
        let [delivered, cpu] = [&contender.delivered, &contender.cpu_per_million]
            .map(|all| median(all.iter().copied()));
        let paced = |(_, pairs): (&u64, &Vec<Paced>)| {
            let ratio = median(pairs.iter().map(|it| it.with / it.alone));
            let share = median(pairs.iter().map(|it| it.delivered));
            format!("{ratio:12.2}  {share:9.3}")
        };
        let paced: Vec<String> = contender.paced.iter().map(paced).collect();
        println!(
            "  {:34} {kept:.3}  {delivered:9.3}   {cpu:13.2}   {}",
            contender.name,
            paced.join("   ")
        );
    }
    println!(
        "  goals: kept 0.85 with a healthy target, 0.95 with one that takes nothing; p99 1.10 at 10,000 and 20,000 with all delivered, 1.25 at 40,000"
    );
}

/// Results by rate.
type ByRate = BTreeMap<u64, Vec<Paced>>;
