//! Reading a capture: full reassembly, parsing and pairing against tools that do less or the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::{Contender, Options, ROUNDS, Run, capture, median};
use crate::{cargo, root, setup};

/// How many connections the generated captures hold open at a time.
const OPEN_CONNECTIONS: [u32; 3] = [1_000, 10_000, 100_000];

/// Name of another build of `mirror` in the table.
const OTHER: &str = "the same by the other build";

/// Measures on a given capture, or on one made now.
pub(super) fn run(options: &Options<'_>) -> anyhow::Result<()> {
    setup::ensure_tools(setup::BENCH_TOOLS);
    cargo(&["build", "--release", "--package", "mirror-user"])?;
    let scratch = tempfile::tempdir().context("no folder for the bench")?;
    let made = scratch.path().join("mixed.pcap");
    let file = match options.pcap {
        Some(file) => file,
        None => {
            capture::mixed(&made)?;
            &made
        }
    };
    against_peers(file, scratch.path(), options)?;
    many_connections(scratch.path())
}

fn against_peers(file: &Path, scratch: &Path, options: &Options<'_>) -> anyhow::Result<()> {
    let size =
        fs::metadata(file).with_context(|| format!("{}: cannot be read", file.display()))?.len();
    println!(
        "{} ({} MB), page cache warm, medians of interleaved runs:",
        file.display(),
        size / 1_000_000
    );
    let name = file.to_string_lossy();
    let mirror = root().join("target/release/mirror");
    let mirror = mirror.to_string_lossy();
    let flows = scratch.join("flows");
    let flows = flows.to_string_lossy();
    let mut contenders = vec![
        Contender::new("cat", &["cat", &name]),
        Contender::new("tcpdump -w /dev/null", &["tcpdump", "-r", &name, "-w", "/dev/null"]),
        Contender::new(
            "mirror inspect --summary",
            &[&mirror, "inspect", "--summary", "--from", &name],
        ),
        Contender::new(
            "mirror inspect --json",
            &[&mirror, "inspect", "--redact", "none", "--json", "--no-bodies", "--from", &name],
        ),
        Contender::new("tcpflow (streams only)", &["tcpflow", "-o", &flows, "-r", &name]),
        Contender::new("tcpflow -a", &["tcpflow", "-a", "-o", &flows, "-r", &name]),
    ];
    if let Some(other) = options.beside {
        let command = [other, "inspect", "--summary", "--from", &name];
        contenders.push(Contender::new(OTHER, &command));
    }
    contenders.retain(|contender| {
        contender
            .command
            .first()
            .is_some_and(|program| program.contains('/') || setup::on_path(program))
    });
    // Not held: a child's peak memory (getrusage(2)) begins with that of its parent at the fork.
    std::io::copy(&mut fs::File::open(file)?, &mut std::io::sink())
        .context("warming the page cache")?;
    for _ in 0..options.rounds.unwrap_or(ROUNDS) {
        for contender in &mut contenders {
            contender.measure()?;
            // tcpflow writes a file for each stream and refuses to overwrite none of them.
            fs::remove_dir_all(&*flows).or_else(|error| {
                if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
            })?;
        }
    }
    // Once: tshark takes a hundred times as long as all others together.
    let mut tshark = Contender::new("tshark -Y http", &["tshark", "-r", &name, "-Y", "http"]);
    if setup::on_path("tshark") {
        tshark.measure()?;
        contenders.push(tshark);
    }
    for contender in &contenders {
        println!("  {contender}");
    }
    let find = |name: &str| contenders.iter().find(|contender| contender.name == name);
    if let (Some(mirror), Some(tcpdump), Some(tcpflow)) =
        (find("mirror inspect --summary"), find("tcpdump -w /dev/null"), find("tcpflow -a"))
    {
        let wall = mirror.wall().as_secs_f64() / tcpdump.wall().as_secs_f64();
        let cpu = mirror.cpu().as_secs_f64() / tcpflow.cpu().as_secs_f64();
        println!("  wall of mirror inspect --summary / tcpdump: {wall:.2} (goal: at most 2.50)");
        println!("  cpu of mirror inspect --summary / tcpflow -a: {cpu:.3} (goal: at most 0.200)");
    }
    if let (Some(mirror), Some(other)) = (find("mirror inspect --summary"), find(OTHER)) {
        let pairs = || mirror.runs.iter().zip(&other.runs);
        let ratio = |part: fn(&Run) -> Duration| {
            median(pairs().map(|(it, other)| part(it).as_secs_f64() / part(other).as_secs_f64()))
        };
        println!(
            "  mirror inspect --summary / the other build, median of {} pairs: cpu {:.3}, wall {:.3}",
            pairs().count(),
            ratio(|run| run.cpu),
            ratio(|run| run.wall)
        );
    }
    Ok(())
}

fn many_connections(scratch: &Path) -> anyhow::Result<()> {
    let mirror = root().join("target/release/mirror");
    let mirror = mirror.to_string_lossy();
    println!("cost by the number of open connections, the same number of packets each:");
    for connections in OPEN_CONNECTIONS {
        let file = scratch.join(format!("open-{connections}.pcap"));
        let packets = capture::open_connections(&file, connections)?;
        let name = file.to_string_lossy();
        let mut mirror = Contender::new("", &[&mirror, "inspect", "--summary", "--from", &name]);
        for _ in 0..ROUNDS {
            mirror.measure()?;
        }
        let nanos = mirror.cpu().as_nanos() as f64 / packets as f64;
        let peak = mirror.median(|run| run.peak_kib).unwrap_or_default() / 1024;
        println!("  {connections:7} open: {nanos:6.0} ns of cpu a packet, peak {peak} MiB");
        fs::remove_file(&file)?;
    }
    Ok(())
}
