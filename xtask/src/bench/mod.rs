//! `cargo xtask bench WHAT`: measured side by side with peers, in one run, as ratios. These
//! figures speak of this machine and this moment; only ratios of one run mean something.

mod capture;
mod compare;
mod lab;
mod live;
mod load;
mod offline;
mod program;
mod replay;
mod rules;
mod saturated;
mod shadow;
mod stub;

use std::fmt;
use std::fs::File;
use std::io::Seek;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use wait4::Wait4;

/// How often each command is run; the table shows medians.
const ROUNDS: usize = 5;

/// Runs the bench that `args` name.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    match args {
        ["live", options @ ..] => live::run(&Options::of(options)?),
        ["kernel"] => program::run(),
        // By `live`, in the customers' namespace.
        ["load", address, rate, seconds] => {
            load::run(address.parse()?, rate.parse()?, seconds.parse()?)
        }
        ["offline", options @ ..] => offline::run(&Options::of(options)?),
        ["shadow", "plot"] => shadow::plot(),
        ["shadow", options @ ..] => shadow::run(&Options::of(options)?),
        // By `shadow`, in the server's namespace.
        ["late", address] => shadow::serve_late(address.parse()?),
        ["rules"] => rules::run(),
        ["compare"] => compare::run(),
        ["compare", "pairs"] => compare::pairs(),
        ["stub"] => stub::run(),
        ["replay"] => replay::run(&replay::PARTS),
        ["replay", parts @ ..] => replay::run(parts),
        _ => bail!(
            "usage: cargo xtask bench offline [--pcap FILE] [--beside BINARY], live or shadow [--rounds N] [--beside BINARY], shadow plot, kernel, rules, compare [pairs], stub, or replay [speed|lateness|memory|live]…"
        ),
    }
}

/// What a bench can be told.
#[derive(Default)]
struct Options<'a> {
    /// How many steady pairs of each measurement are wanted.
    rounds: Option<usize>,
    /// A capture to read instead of one made now.
    pcap: Option<&'a Path>,
    /// Another build of `mirror`, measured in the same run: what a change costs.
    beside: Option<&'a str>,
}

impl<'a> Options<'a> {
    fn of(args: &[&'a str]) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let (pairs, rest) = args.as_chunks();
        ensure!(rest.is_empty(), "{}: needs a value", rest.concat());
        for [name, value] in pairs {
            match *name {
                "--rounds" => options.rounds = Some(value.parse()?),
                "--pcap" => options.pcap = Some(Path::new(*value)),
                "--beside" => options.beside = Some(value),
                name => bail!("{name}: not an option of this bench"),
            }
        }
        Ok(options)
    }
}

/// The middle one.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One command under measurement.
struct Contender {
    name: &'static str,
    command: Vec<String>,
    runs: Vec<Run>,
}

/// What one run cost.
#[derive(Clone, Copy)]
struct Run {
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
}

impl Contender {
    fn new(name: &'static str, command: &[&str]) -> Self {
        Self {
            name,
            command: command.iter().map(|&part| part.to_owned()).collect(),
            runs: Vec::new(),
        }
    }

    /// Runs the command once, its output thrown away.
    fn measure(&mut self) -> anyhow::Result<()> {
        self.run_into(File::create("/dev/null")?)
    }

    /// Runs the command once; what it cost.
    fn turn(&mut self) -> anyhow::Result<Run> {
        self.measure()?;
        self.last()
    }

    /// Runs the command once; what it printed.
    fn measure_and_hear(&mut self) -> anyhow::Result<String> {
        let mut said = tempfile::tempfile()?;
        self.run_into(said.try_clone()?)?;
        said.rewind()?;
        Ok(std::io::read_to_string(said)?)
    }

    fn last(&self) -> anyhow::Result<Run> {
        self.runs.last().copied().with_context(|| format!("{}: never ran", self.name))
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
    fn run_into(&mut self, stdout: File) -> anyhow::Result<()> {
        let Some((program, args)) = self.command.split_first() else {
            bail!("{}: no command", self.name);
        };
        let started = std::time::Instant::now();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{program}: cannot be run"))?;
        let used = child.wait4()?;
        let wall = started.elapsed();
        ensure!(used.status.success(), "{}: ended with {}", self.command.join(" "), used.status);
        let cpu = used.rusage.utime + used.rusage.stime;
        // The kernel tells the peak in KiB (getrusage(2)), the crate in bytes.
        self.runs.push(Run { wall, cpu, peak_kib: used.rusage.maxrss / 1024 });
        Ok(())
    }

    fn median<T: Ord + Copy>(&self, part: impl Fn(&Run) -> T) -> Option<T> {
        let mut parts: Vec<T> = self.runs.iter().map(part).collect();
        parts.sort_unstable();
        parts.get(parts.len() / 2).copied()
    }

    fn wall(&self) -> Duration {
        self.median(|run| run.wall).unwrap_or_default()
    }

    fn cpu(&self) -> Duration {
        self.median(|run| run.cpu).unwrap_or_default()
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peak = self.median(|run| run.peak_kib).unwrap_or_default();
        write!(
            f,
            "{:28} wall {:8.3} s   cpu {:8.3} s   peak {:8.1} MiB   ({} runs)",
            self.name,
            self.wall().as_secs_f64(),
            self.cpu().as_secs_f64(),
            peak as f64 / 1024.0,
            self.runs.len()
        )
    }
}
