//! `cargo xtask test` and `cargo xtask lint`.

use std::process::Command;

use crate::{cargo, ebpf, root, run_command, setup};

/// Everything that can run here. What cannot is shown by cargo as ignored, with its reason.
pub(crate) fn run() -> anyhow::Result<()> {
    let tools = setup::ensure_tools(setup::TEST_TOOLS);
    match ebpf::check() {
        // Everything else can be tested without its toolchain: the object is checked in.
        Err(error) if !ebpf::is_ready() => {
            println!("the kernel object was not compared with its source: {error:#}");
        }
        outcome => outcome?,
    }
    cargo(&["test", "--workspace"])?;
    // Beside `mirror`, where the contract's tests look for it; `cargo test` need not put it there.
    cargo(&["build", "--package", "shadow-sample"])?;
    if setup::on_path("tshark") {
        // Ignored by default for their judge alone; their names begin with it.
        let packages = ["test", "--package", "mirror-user", "--lib", "--test", "redaction"];
        cargo(&[&packages[..], &["--", "--ignored", "tshark_"]].concat())?;
    } else {
        println!("the tests that tshark judges were not run: it is not installed");
    }
    if setup::on_path("openssl") {
        let targets = ["test", "--package", "mirror-user", "--test", "targets"];
        cargo(&[&targets[..], &["--", "--ignored", "openssl_"]].concat())?;
    } else {
        println!("the tests with TLS targets were not run: openssl is not installed");
    }
    if setup::ensure_tools(setup::CONTRACT_TOOLS) {
        cargo(&["test", "--package", "mirror-user", "--test", "contract", "--", "--ignored"])?;
    } else {
        println!("the shadow contract was not tested: it needs the programs named above");
    }
    if setup::is_root() && tools {
        // One thread: network namespaces are cheap, the two cores of a small machine are not.
        let targets = setup::KERNEL_TESTS.iter().flat_map(|name| ["--test", name]);
        let mut args = vec!["test", "--package", "mirror-user"];
        args.extend(targets);
        args.extend(["--", "--ignored", "--test-threads=1"]);
        cargo(&args)?;
    } else {
        println!("the kernel tests were not run: they need root and the programs named above");
    }
    Ok(())
}

/// Formatting, clippy and documentation; warnings are errors.
pub(crate) fn lint() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    run_command(
        Command::new(env!("CARGO"))
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(root()),
    )
}

/// Rewrites `pcaps/` from the scenes, then shows what changed.
pub(crate) fn bless() -> anyhow::Result<()> {
    run_command(
        Command::new(env!("CARGO"))
            .args(["test", "--quiet", "--package", "mirror-user", "--test", "pipeline"])
            .env("MIRROR_BLESS", "1")
            .current_dir(root()),
    )?;
    run_command(Command::new("git").args(["status", "--short", "pcaps"]).current_dir(root()))
}
