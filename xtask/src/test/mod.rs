//! `cargo xtask test` and `cargo xtask bless`.

mod outcome;
mod programs;

use std::process::Command;

use anyhow::ensure;

use self::outcome::Outcome;
use self::programs::doc_tests;
pub(crate) use self::programs::{FEATURES, build_all, kernel_test};
use crate::setup::ensure_tools;
use crate::{cargo_command, ebpf, root, run_command, setup};

/// Tests that are ignored where their judge or server is missing.
struct Judged {
    program: &'static str,
    /// What the names of these tests contain.
    filter: &'static str,
    /// Installs its tools; true when they are there.
    are_there: fn() -> bool,
}

const JUDGED: [Judged; 15] = [
    Judged { program: "mirror_user", filter: "tshark_", are_there: || ensure_tools(setup::TSHARK) },
    Judged { program: "outside", filter: "::tshark_", are_there: || ensure_tools(setup::TSHARK) },
    Judged {
        program: "outside",
        filter: "::promtool_",
        are_there: || ensure_tools(setup::PROMTOOL),
    },
    Judged { program: "outside", filter: "::openssl_", are_there: || ensure_tools(setup::OPENSSL) },
    Judged { program: "outside", filter: "::systemd_", are_there: || ensure_tools(setup::SYSTEMD) },
    Judged { program: "outside", filter: "::chart_", are_there: setup::ensure_chart_tools },
    Judged { program: "outside", filter: "::otlp_", are_there: setup::ensure_collector },
    Judged { program: "outside", filter: "::duckdb_", are_there: setup::ensure_duckdb },
    Judged { program: "outside", filter: "::nats_", are_there: setup::ensure_nats },
    Judged { program: "outside", filter: "::wiremock_", are_there: setup::ensure_stub_tools },
    Judged {
        program: "outside",
        filter: "::openapi_spec_validator_",
        are_there: setup::ensure_openapi_tools,
    },
    Judged { program: "outside", filter: "::har_validator_", are_there: setup::ensure_stub_tools },
    Judged {
        program: "outside",
        filter: "::chromium_",
        are_there: || ensure_tools(setup::CHROMIUM),
    },
    Judged {
        program: "outside",
        filter: "contract::",
        are_there: || ensure_tools(setup::DATABASE_TOOLS),
    },
    Judged {
        program: "outside",
        filter: "::postgresql_",
        are_there: || ensure_tools(setup::DATABASE_TOOLS),
    },
];

/// Those that are run when they are asked for: what they need is large.
const OPTIONAL: [(&str, Judged); 1] = [(
    "debezium",
    Judged { program: "outside", filter: "::debezium_", are_there: setup::ensure_debezium },
)];

/// The beginning of the names of tests that `cargo xtask kubernetes` runs.
pub(crate) const REAL_API_SERVER: &str = "real_api_server_";

/// Everything that can run here, each program whatever became of the one before. All failures, what
/// was left out and why, and the sums stand at the end.
pub(crate) fn run(optional: &[&str]) -> anyhow::Result<()> {
    let known = |name: &&&str| OPTIONAL.iter().any(|(known, _)| known == *name);
    ensure!(optional.iter().all(|name| known(&name)), "--with takes: debezium");

    let tools = ensure_tools(setup::TEST_TOOLS);
    let mut outcome = Outcome::default();
    match outcome.time("kernel object", ebpf::check) {
        // Everything else can be tested without its toolchain: the object is checked in.
        Err(error) if !ebpf::is_ready() => {
            println!("the kernel object was not compared with its source: {error:#}");
        }
        Err(error) => outcome.fail(&error),
        Ok(()) => {}
    }
    let programs = outcome.time("build", build_all)?;
    for program in &programs {
        outcome.run(&program.name, &mut program.command())?;
    }
    outcome.run("documentation", &mut doc_tests())?;
    let asked = OPTIONAL.into_iter().filter(|(name, _)| optional.contains(name));
    for Judged { program: name, filter, are_there } in
        JUDGED.into_iter().chain(asked.map(|(_, judged)| judged))
    {
        if are_there() {
            for program in programs.iter().filter(|program| program.name == name) {
                outcome.takes_up(name, filter);
                outcome.run(name, program.command().args(["--ignored", filter]))?;
            }
        }
    }
    if setup::is_root() && tools {
        for program in programs.iter().filter(|program| program.is_kernel_test()) {
            outcome.takes_up(&program.name, "");
            // One thread: network namespaces are cheap, the two cores of a small machine are not.
            let mut command = program.command();
            command.args(["--ignored", "--test-threads=1", "--skip", REAL_API_SERVER]);
            outcome.run(&program.name, &mut command)?;
        }
    }
    println!("\n{outcome}");
    ensure!(outcome.is_good(), "not every test passed");
    Ok(())
}

/// Rewrites `pcaps/` from the scenes, then shows what changed.
pub(crate) fn bless() -> anyhow::Result<()> {
    run_command(
        cargo_command()
            .args([
                "test",
                "--quiet",
                "--package",
                "mirror-user",
                "--test",
                "outside",
                "pipeline::",
            ])
            .env("MIRROR_BLESS", "1"),
    )?;
    run_command(Command::new("git").args(["status", "--short", "pcaps"]).current_dir(root()))
}
