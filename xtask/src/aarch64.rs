//! `cargo xtask aarch64`: builds `mirror` for 64-bit ARM on another processor, and runs what needs no kernel of its
//! own under QEMU's user emulation: the tests of packets to messages and of comparison, and the whole pipeline over
//! the captures in `pcaps/`, whose results must be those that are checked in.
//!
//! Debian's `rustc-web` brings the compiler, its package of the same version for arm64 the standard library, and
//! `gcc-aarch64-linux-gnu` a linker and a C library.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::{cargo_command, root, run_command, setup};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const RUSTC: &str = "/usr/bin/rustc";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
const STD: &str = "libstd-rust-web-dev";

const TOOLS: &[setup::Tool] = &[
    setup::Tool::new(RUSTC, "rustc-web"),
    setup::Tool::new(LINKER, "gcc-aarch64-linux-gnu"),
    setup::Tool::new("/usr/aarch64-linux-gnu/lib/libc.a", "libc6-dev-arm64-cross"),
    setup::Tool::new(EMULATOR, "qemu-user"),
];

/// The crates whose tests run under emulation: neither sockets nor children.
const PURE: [&str; 2] = ["mirror-wire", "mirror-compare"];

/// Builds and tests. The packages can be installed by root alone.
pub(crate) fn run() -> anyhow::Result<()> {
    ensure!(setup::ensure_tools(TOOLS), "without these packages there is no compiler for {TARGET}");
    let sysroot = standard_library()?;
    let target = root().join("target/aarch64");
    let cargo = |args: &[&str]| {
        let mut command = cargo_command();
        command.args(args).args(["--target", TARGET, "--target-dir"]).arg(&target);
        // Flags by target, so that build scripts and macros are built for this processor.
        let flags = format!("--sysroot {} -Ctarget-feature=+crt-static", sysroot.display());
        command
            .env("RUSTC", RUSTC)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR)
            .env("CC_aarch64_unknown_linux_gnu", LINKER)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTFLAGS");
        run_command(&mut command)
    };
    cargo(&["build", "--release", "--package", "mirror-user", "--bin", "mirror"])?;
    let mirror = target.join(TARGET).join("release/mirror");
    let captures = captures(&mirror)?;
    println!("{captures} captures give what is checked in, read by {}", mirror.display());
    let packages = PURE.iter().flat_map(|name| ["--package", name]);
    let mut args = vec!["test", "--release", "--lib"];
    args.extend(packages);
    cargo(&args)
}

/// A folder with the standard library for the target in it, of the compiler's own version.
fn standard_library() -> anyhow::Result<PathBuf> {
    let folder = root().join("target/tools/aarch64");
    let version = package_version("rustc-web")?;
    let there = folder.join(&version);
    let sysroot = there.join("usr");
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(sysroot);
    }
    println!("fetching {STD} {version} for arm64");
    // Lists and packages of another architecture go into this folder alone: the system's own are left as they are.
    let apt = folder.join("apt");
    for part in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(part))?;
    }
    fs::write(apt.join("state/status"), "")?;
    let apt_get = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        for (name, place) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "state/status"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o").arg(format!("{name}={}", apt.join(place).display()));
        }
        // Its own user could not write here.
        command.args(["-o", "APT::Architecture=arm64", "-o", "APT::Sandbox::User=root", "--quiet"]);
        run_command(command.args(args).current_dir(&apt))
    };
    apt_get(&["update"])?;
    apt_get(&["download", &format!("{STD}={version}")])?;
    let is_package = |path: &PathBuf| path.extension() == Some(OsStr::new("deb"));
    let package = entries(&apt)?.into_iter().find(is_package).context("no package came")?;
    run_command(Command::new("dpkg").arg("--extract").args([&package, &there]))?;
    fs::remove_file(package)?;
    ensure!(sysroot.join("lib/rustlib").join(TARGET).is_dir(), "{STD}: no library in it");
    Ok(sysroot)
}

fn package_version(package: &str) -> anyhow::Result<String> {
    let output =
        Command::new("dpkg-query").args(["--show", "--showformat=${Version}", package]).output()?;
    ensure!(output.status.success(), "{package}: not installed by dpkg");
    Ok(String::from_utf8(output.stdout)?)
}

/// How many captures gave what is checked in.
fn captures(mirror: &Path) -> anyhow::Result<usize> {
    let mut held = 0;
    for capture in entries(&root().join("pcaps"))? {
        if capture.extension() != Some(OsStr::new("pcap")) {
            continue;
        }
        let output = Command::new(EMULATOR)
            .arg(mirror)
            .args(["inspect", "--json", "--redact", "none", "--from"])
            .arg(&capture)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}: {said}", capture.display(), output.status);
        if output.stdout != fs::read(capture.with_extension("jsonl"))? {
            bail!("{}: not what is checked in beside it", capture.display());
        }
        held += 1;
    }
    ensure!(held > 0, "no captures in pcaps/");
    Ok(held)
}

/// The files of a folder, by name.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}
