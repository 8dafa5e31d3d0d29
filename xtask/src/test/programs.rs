//! The test programs that cargo builds, and where each must run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cargo_command;

/// A test binary.
pub(crate) struct Program {
    /// As in `cargo test --test NAME`, or the package's name for its unit tests.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The folder of its package, where cargo starts it.
    folder: PathBuf,
}

impl Program {
    /// What cargo says of one artifact, where that is a test binary.
    fn of(message: &Value) -> Option<Self> {
        message.pointer("/profile/test")?.as_bool().filter(|is_test| *is_test)?;
        let path = PathBuf::from(message.get("executable")?.as_str()?);
        let name = message.pointer("/target/name")?.as_str()?.to_owned();
        let manifest = Path::new(message.get("manifest_path")?.as_str()?);
        Some(Self { name, path, folder: manifest.parent()?.to_owned() })
    }

    /// True for the one that needs root and a kernel.
    pub(crate) fn is_kernel_test(&self) -> bool {
        self.name == "kernel"
    }

    /// The command that runs it.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder);
        command
    }
}

/// What the image and the packages have on, and a plain build has not.
pub(crate) const FEATURES: &str =
    "mirror-user/kubernetes mirror-user/nats mirror-user/otlp mirror-user/parquet";

/// Builds every test binary of the workspace and the programs that they start, the sample
/// service included. One build serves all stages: with other flags cargo would choose other
/// features and compile tokio and all above it again.
pub(crate) fn build_all() -> anyhow::Result<Vec<Program>> {
    let mut command = cargo_command();
    command.args(["build", "--workspace", "--bins", "--tests", "--features", FEATURES]);
    command.arg("--message-format=json-render-diagnostics");
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the tests do not build");
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let programs: Vec<Program> = messages
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| Program::of(&message))
        .collect();
    ensure!(!programs.is_empty(), "cargo named no test binary");
    Ok(programs)
}

/// The examples in the documentation, which cargo alone can build and run: with the same features, so that
/// nothing is built anew.
pub(super) fn doc_tests() -> Command {
    let mut command = cargo_command();
    command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--features", FEATURES]);
    command
}

/// Builds the tests that need a kernel, and says where cargo put them.
pub(crate) fn kernel_test() -> anyhow::Result<PathBuf> {
    let mut programs = build_all()?.into_iter();
    let kernel = programs.find(Program::is_kernel_test).context("cargo named no kernel tests")?;
    Ok(kernel.path)
}
