//! `cargo xtask dist`: the static binary, and with it a tarball, a `.deb`, an `.rpm`, a list of what is
//! inside (SBOM), checksums, and what an image is built from, all in `target/dist`.
//!
//! The binary is linked with glibc's static libraries, so that it needs nothing of the host or image
//! that it gets into. `mirror-user/Cargo.toml` lists the files of the packages.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::test::FEATURES;
use crate::{cargo_command, root, run_command};

/// What makes packages and the SBOM: crates with the version that is installed, below `target/tools`.
const TOOLS: [(&str, &str); 3] =
    [("cargo-deb", "^3.8"), ("cargo-generate-rpm", "^0.21"), ("cargo-cyclonedx", "^0.5")];

/// Builds everything and shows what came of it.
pub(crate) fn run() -> anyhow::Result<()> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let folder = root().join("target/dist");
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    let stage = folder.join("stage");
    fs::create_dir_all(&stage)?;
    let binary = build(&target)?;
    fs::copy(&binary, stage.join("mirror"))?;
    generate(&stage)?;
    let name = format!("mirror-{}-{target}", env!("CARGO_PKG_VERSION"));
    image_context(&folder)?;
    tarball(&folder, &name)?;
    for (tool, version) in TOOLS {
        install(tool, version)?;
    }
    let out = folder.to_str().context("target/dist: not UTF-8")?;
    let manifest = ["--package", "mirror-user"];
    with_tools(&[&["deb", "--no-build", "--no-strip", "--output", out], &manifest[..]].concat())?;
    with_tools(&["generate-rpm", "--output", out, "--package", "mirror-user"])?;
    sbom(&folder, &name)?;
    checksums(&folder)?;
    for file in files(&folder)? {
        let bytes = fs::metadata(folder.join(&file))?.len();
        println!("{bytes:>11}  {file}");
    }
    Ok(())
}

/// The folder that an image is made of: the one of the last `cargo xtask dist`, or one that is built now.
pub(crate) fn image() -> anyhow::Result<PathBuf> {
    let there = root().join("target/dist/image");
    if there.join("mirror").is_file() {
        return Ok(there);
    }
    let binary = build(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    let folder = root().join("target/dist");
    let stage = folder.join("stage");
    fs::create_dir_all(&stage)?;
    fs::copy(&binary, stage.join("mirror"))?;
    image_context(&folder)?;
    Ok(folder.join("image"))
}

/// The static binary.
fn build(target: &str) -> anyhow::Result<PathBuf> {
    let mut command = cargo_command();
    command.args(["build", "--release", "--package", "mirror-user", "--bin", "mirror"]);
    command.args(["--features", FEATURES]);
    // With a target, the flags are not those of build scripts and macros, which must be dynamic.
    command.args(["--target", target]).env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    if let Some(commit) = commit() {
        command.env("MIRROR_COMMIT", commit);
    }
    run_command(&mut command)?;
    Ok(root().join("target").join(target).join("release/mirror"))
}

/// The commit, with a mark where files differ from it; `None` outside a checkout.
fn commit() -> Option<String> {
    let args = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"];
    let output =
        Command::new("git").args(args).current_dir(root()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Completions and manual pages, by the binary itself.
fn generate(stage: &Path) -> anyhow::Result<()> {
    let mirror = stage.join("mirror");
    let completions = stage.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, file) in [("bash", "mirror.bash"), ("zsh", "_mirror"), ("fish", "mirror.fish")] {
        let output = Command::new(&mirror).args(["completions", shell]).output()?;
        ensure!(output.status.success(), "mirror completions {shell}: {}", output.status);
        fs::write(completions.join(file), output.stdout)?;
    }
    let man = stage.join("man");
    fs::create_dir_all(&man)?;
    run_command(Command::new(&mirror).args(["man", "--to"]).arg(&man))?;
    // Without a name and a time inside, so that the same pages give the same bytes.
    run_command(Command::new("gzip").args(["-9", "-n", "-r"]).arg(&man))
}

/// What `deploy/container/Containerfile` copies: the binary, and the authorities that this machine trusts.
fn image_context(folder: &Path) -> anyhow::Result<()> {
    let image = folder.join("image");
    fs::create_dir_all(&image)?;
    let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
    fs::copy(authorities, image.join("ca-certificates.crt"))
        .with_context(|| format!("{}: install ca-certificates", authorities.display()))?;
    fs::copy(folder.join("stage/mirror"), image.join("mirror"))?;
    fs::copy(root().join("deploy/container/Containerfile"), image.join("Containerfile"))?;
    Ok(())
}

/// The tarball: the binary, what was generated, and what packages have beside them.
fn tarball(folder: &Path, name: &str) -> anyhow::Result<()> {
    let top = folder.join(name);
    run_command(Command::new("cp").arg("-r").arg(folder.join("stage")).arg(&top))?;
    for path in [
        "deploy",
        "docs",
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        run_command(Command::new("cp").arg("-r").arg(root().join(path)).arg(&top))?;
    }
    let file = folder.join(format!("{name}.tar.gz"));
    run_command(
        Command::new("tar")
            .args(["--create", "--gzip", "--sort=name", "--owner=0", "--group=0", "--mtime=@0"])
            .args(["--numeric-owner", "--directory"])
            .arg(folder)
            .arg("--file")
            .arg(file)
            .arg(name),
    )?;
    fs::remove_dir_all(top).map_err(Into::into)
}

/// What is inside, as CycloneDX: each crate with its version and licence.
fn sbom(folder: &Path, name: &str) -> anyhow::Result<()> {
    let file = format!("{name}.cdx");
    with_tools(&[
        "cyclonedx",
        "--manifest-path",
        "mirror-user/Cargo.toml",
        "--format",
        "json",
        "--target",
        "all",
        "--override-filename",
        &file,
    ])?;
    // It writes beside each manifest of the workspace.
    let file = format!("{file}.json");
    fs::copy(root().join("mirror-user").join(&file), folder.join(&file))?;
    for package in packages()? {
        match fs::remove_file(package.join(&file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The folders of the workspace's packages.
fn packages() -> anyhow::Result<Vec<PathBuf>> {
    let output = cargo_command().args(["metadata", "--no-deps", "--format-version=1"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    let folder = |package: &Value| {
        Path::new(package.get("manifest_path")?.as_str()?).parent().map(Path::to_owned)
    };
    Ok(packages.iter().filter_map(folder).collect())
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn checksums(folder: &Path) -> anyhow::Result<()> {
    let output = Command::new("sha256sum").args(files(folder)?).current_dir(folder).output()?;
    ensure!(output.status.success(), "sha256sum: {}", output.status);
    fs::write(folder.join("SHA256SUMS"), output.stdout).map_err(Into::into)
}

/// The files of the folder itself, by name.
fn files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Installs a crate's program below `target/tools`, unless it is there.
fn install(name: &str, version: &str) -> anyhow::Result<()> {
    if tools().join("bin").join(name).is_file() {
        return Ok(());
    }
    println!("installing {name} {version}");
    let mut command = cargo_command();
    // Unoptimized: it takes longer to build it than it ever runs.
    command.args(["install", "--debug", "--locked", "--version", version, "--root"]);
    run_command(command.arg(tools()).arg(name))
}

/// A subcommand of cargo that [`install`] brought.
fn with_tools(args: &[&str]) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools().join("bin")).chain(std::env::split_paths(&path));
    run_command(cargo_command().args(args).env("PATH", std::env::join_paths(folders)?))
}
