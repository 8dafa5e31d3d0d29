//! `cargo xtask lint`: what can be said of a change without running it. Warnings are errors.

mod links;

use std::process::Command;

use crate::test::FEATURES;
use crate::{cargo, cargo_command, root, run_command, setup};

/// Workspaces of their own.
const KERNEL_PROGRAM: &str = "mirror-ebpf/Cargo.toml";
const FUZZ_TARGETS: &str = "fuzz/Cargo.toml";

/// Links, formatting, clippy, documentation and dependencies, the fastest first.
pub(crate) fn run() -> anyhow::Result<()> {
    links::check()?;
    cargo(&["fmt", "--all", "--check"])?;
    for manifest in [KERNEL_PROGRAM, FUZZ_TARGETS] {
        cargo(&["fmt", "--manifest-path", manifest, "--check"])?;
    }
    dependencies()?;
    // For this machine's own target: `core` for BPF is not in rustup's toolchains, and up to the
    // generation of code the kernel program is one program for all targets. Its inline assembly is
    // behind a feature gate, which a stable compiler opens when it is told to.
    clippy(KERNEL_PROGRAM, "target/ebpf", &["--release"], |cargo| {
        cargo.env("RUSTC_BOOTSTRAP", "1")
    })?;
    clippy(FUZZ_TARGETS, "target/fuzz", &[], |cargo| cargo)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--features", FEATURES];
    cargo(&[&clippy[..], &["--", "-D", "warnings"]].concat())?;
    run_command(
        cargo_command()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Clippy for a workspace of its own, built in `folder`.
fn clippy(
    manifest: &str,
    folder: &str,
    flags: &[&str],
    set: impl FnOnce(&mut Command) -> &mut Command,
) -> anyhow::Result<()> {
    let mut command = cargo_command();
    command.args(["clippy", "--manifest-path", manifest, "--target-dir", folder]).args(flags);
    run_command(set(command.args(["--", "-D", "warnings"])))
}

/// Licences, bans and sources by `deny.toml`. A fresh machine goes on without: to build cargo-deny
/// takes longer than everything else here.
fn dependencies() -> anyhow::Result<()> {
    if !setup::on_path_or_cargo_bin("cargo-deny") {
        println!("dependencies were not checked: cargo install --locked cargo-deny");
        return Ok(());
    }
    for manifest in ["Cargo.toml", KERNEL_PROGRAM, FUZZ_TARGETS] {
        run_command(
            cargo_command()
                .args(["deny", "--manifest-path", manifest, "check", "--config"])
                .arg(root().join("deny.toml"))
                .args(["licenses", "bans", "sources"]),
        )?;
    }
    Ok(())
}
