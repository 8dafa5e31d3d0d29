//! `cargo xtask kernels`: boots older kernels in QEMU and runs the kernel tests on each.
//!
//! A kernel comes from its distribution's own package and is unpacked under `target/kernels`; nothing
//! is installed. The guest has this machine's files as its root, read-only over 9p with a memory
//! overlay on top, so that the test binary, nginx, curl and the rest are the very same ones. It
//! has no network beyond the namespaces that the tests make.

mod guest;
mod initramfs;
mod package;

use anyhow::{Context, bail, ensure};

use self::guest::{Accelerator, Guest, Outcome};
use self::package::{KERNELS, Release};
use crate::setup;
use crate::test::kernel_test;

/// Runs the tests on the kernels named, such as `6.1`; on all that are known when none is. What follows
/// `--` are parts of the names of tests. `--emulate` leaves KVM aside.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let end = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
    let (args, filters) = args.split_at(end);
    let filters = filters.get(1..).unwrap_or_default();
    let (flags, names): (Vec<&str>, Vec<&str>) =
        args.iter().copied().partition(|arg| arg.starts_with("--"));
    let accelerator = match flags.as_slice() {
        [] => Accelerator::best(),
        ["--emulate"] => Accelerator::Software,
        _ => bail!("{}: no such flag; there is --emulate", flags.join(" ")),
    };
    let releases: Vec<&Release> =
        KERNELS.iter().filter(|kernel| names.is_empty() || names.contains(&kernel.name)).collect();
    ensure!(
        releases.len() == names.len() || names.is_empty(),
        "known kernels: {}",
        KERNELS.map(|kernel| kernel.name).join(", ")
    );
    ensure!(
        setup::ensure_tools(setup::TEST_TOOLS) && setup::ensure_tools(setup::GUEST_TOOLS),
        "the guests need these programs"
    );
    let test = kernel_test()?;
    let mut rows = Vec::new();
    for release in releases {
        let files = release.fetch()?;
        println!("\n== {} ({}), {accelerator}", release.name, files.version);
        let guest = Guest { files: &files, accelerator, test: &test, filters, skip: release.lacks };
        let outcome = guest.run().with_context(|| files.version.clone())?;
        rows.push((files.version, outcome));
    }
    println!("\n| kernel, {accelerator} | passed | failed | skipped |\n|---|---|---|---|");
    for (version, Outcome { passed, failed, skipped }) in &rows {
        println!("| {version} | {passed} | {failed} | {skipped} |");
    }
    ensure!(rows.iter().all(|(_, outcome)| outcome.failed == 0), "not every test passed");
    Ok(())
}
