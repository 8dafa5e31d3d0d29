//! `cargo xtask fuzz SECONDS [TARGET]…`: fuzz targets for so long each, one after the other, seeded
//! from the captures of this repository.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{cargo, root, run_command, setup};

/// How long each target runs in CI.
const SMOKE_SECONDS: u32 = 10;

/// The targets of `fuzz/`, each with the longest input that is worth its time.
const TARGETS: [(&str, u32); 17] = [
    ("decode", 4_096),
    ("tcp", 8_192),
    ("http", 16_384),
    ("lift", 16_384),
    ("diff", 16_384),
    ("compare-rules", 4_096),
    ("templates", 4_096),
    ("kept", 16_384),
    ("page", 4_096),
    ("redact", 16_384),
    ("beginnings", 4_096),
    ("har", 8_192),
    ("envelope", 4_096),
    ("pipeline", 262_144),
    ("stub", 8_192),
    ("config", 8_192),
    ("convert", 8_192),
];

/// A short run of each target where a nightly compiler is present; elsewhere `tests/outside/hostile.rs`
/// alone stands for it.
pub(crate) fn smoke() -> anyhow::Result<()> {
    if has_nightly() {
        return run(SMOKE_SECONDS, &[]);
    }
    println!("the fuzz targets were not run: CI runs them where a nightly compiler is present");
    Ok(())
}

fn has_nightly() -> bool {
    let version = Command::new("rustc").args(["+nightly", "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

/// `cargo fuzz`. Its sanitizer and coverage flags are nightly's; a stable compiler takes them, too,
/// when it is told to (`RUSTC_BOOTSTRAP`).
fn cargo_fuzz() -> Command {
    let mut command = Command::new("cargo");
    if has_nightly() {
        command.arg("+nightly").env_remove("RUSTUP_TOOLCHAIN");
    } else {
        command.env("RUSTC_BOOTSTRAP", "1");
    }
    command.args(["fuzz", "run"]).current_dir(root());
    command
}

/// Fuzzes each target that `names` lists, or every one, for `seconds`; fails with the first finding,
/// whose input cargo-fuzz keeps.
pub(crate) fn run(seconds: u32, names: &[&str]) -> anyhow::Result<()> {
    let chosen: Vec<_> =
        TARGETS.iter().filter(|(target, _)| names.is_empty() || names.contains(target)).collect();
    ensure!(
        names.is_empty() || chosen.len() == names.len(),
        "fuzz targets: {}",
        TARGETS.map(|(target, _)| target).join(", ")
    );
    if !setup::on_path_or_cargo_bin("cargo-fuzz") {
        cargo(&["install", "--locked", "cargo-fuzz"])?;
    }
    seed()?;
    for (target, max_len) in chosen {
        println!("{target}: {seconds} s");
        run_command(
            cargo_fuzz()
                .args([target, "--"])
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-max_len={max_len}"))
                .arg("-print_final_stats=1"),
        )
        .with_context(|| format!("{target}: a finding; its input is in fuzz/artifacts/{target}"))?;
    }
    Ok(())
}

/// Captures are inputs of the whole pipeline as they are, samples those of the importers.
fn seed() -> anyhow::Result<()> {
    for (target, folder, ending) in
        [("pipeline", "pcaps", "pcap"), ("convert", "deploy/samples/imports", "yaml")]
    {
        let corpus = root().join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        for entry in fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|known| known == ending)
                && let Some(name) = path.file_name()
            {
                fs::copy(&path, corpus.join(name))?;
            }
        }
    }
    let corpus = root().join("fuzz/corpus/config");
    fs::create_dir_all(&corpus)?;
    let every_key = "mirror-user/src/config/file/tests/everything.yaml";
    fs::copy(root().join(every_key), corpus.join("everything.yaml"))?;
    Ok(())
}
