//! `cargo xtask ebpf`: builds the kernel object from `mirror-ebpf`, which is checked in so that
//! everyone else needs neither LLVM nor a compiler with `core` for BPF.
//!
//! Two toolchains can build it. On Debian, `rustc-web` brings a compiler with a ready-made `core`
//! for `bpfel-unknown-none`; elsewhere rustup's nightly builds `core` itself. Either links with
//! `bpf-linker`. The compiler's version is checked in beside the object: the same compiler must
//! give the same bytes, another one is told and its object must pass the kernel tests.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::{cargo_command, root, run_command, setup};

const TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 4] =
    ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "llvm-22"];
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
const LINKER: &str = "bpf-linker@0.13.0";

/// What the checked-in object is compared with.
enum Compiler {
    /// Debian's, with a ready-made `core`.
    Debian,
    /// rustup's nightly, which builds `core`.
    Nightly,
}

/// Builds the object and refreshes the checked-in one.
pub(crate) fn build() -> anyhow::Result<()> {
    let compiler = toolchain()?;
    let object = compile(&compiler)?;
    fs::write(checked_in(), &object)?;
    fs::write(recorded_version(), format!("{}\n", version(&compiler)?))?;
    println!("{}: {} bytes", checked_in().display(), object.len());
    Ok(())
}

/// Builds the object and compares it with the checked-in one.
pub(crate) fn check() -> anyhow::Result<()> {
    let compiler = toolchain()?;
    let fresh = compile(&compiler)?;
    let recorded =
        fs::read_to_string(recorded_version()).context("mirror-ebpf.o.rustc: not there")?;
    let present = version(&compiler)?;
    let same = fs::read(checked_in())? == fresh;
    if recorded.trim() == present {
        ensure!(
            same,
            "mirror-ebpf.o is not what its source gives: run `cargo xtask ebpf` and commit the result"
        );
        println!("the checked-in kernel object is what its source gives");
    } else if !same {
        println!(
            "the kernel object was made by another compiler\n  recorded: {recorded}  present:  {present}"
        );
        println!("the fresh object takes its place for the tests that follow");
        fs::write(checked_in(), fresh)?;
    }
    Ok(())
}

/// True when the object can be built here without installing anything.
pub(crate) fn is_ready() -> bool {
    find_compiler().is_some() && setup::on_path_or_cargo_bin("bpf-linker")
}

fn checked_in() -> PathBuf {
    root().join("mirror-ebpf/mirror-ebpf.o")
}

fn recorded_version() -> PathBuf {
    root().join("mirror-ebpf/mirror-ebpf.o.rustc")
}

/// A compiler and a linker, installed where that may be done.
fn toolchain() -> anyhow::Result<Compiler> {
    let may_install = setup::is_root() && setup::on_path("apt-get");
    let compiler = match find_compiler() {
        Some(compiler) => compiler,
        None if may_install => {
            println!("installing {}", DEBIAN_PACKAGES.join(" "));
            setup::apt_install(&DEBIAN_PACKAGES)?;
            find_compiler().context("Debian's packages brought no compiler for BPF")?
        }
        None => bail!(
            "no compiler for {TARGET}: as root on Debian `apt-get install {}`, elsewhere \
             `rustup toolchain install nightly --component rust-src`",
            DEBIAN_PACKAGES.join(" ")
        ),
    };
    if !setup::on_path_or_cargo_bin("bpf-linker") {
        if may_install && !Path::new(LLVM_PREFIX).join("lib").is_dir() {
            setup::apt_install(&DEBIAN_PACKAGES)?;
        }
        println!("installing {LINKER}");
        run_command(
            cargo_command()
                .args(["install", LINKER, "--no-default-features", "--features", "llvm-22"])
                .env("LLVM_PREFIX", LLVM_PREFIX),
        )
        .with_context(|| format!("{LINKER} needs LLVM 22's development files in {LLVM_PREFIX}"))?;
    }
    Ok(compiler)
}

fn find_compiler() -> Option<Compiler> {
    let debian_core = Path::new("/usr/lib/rustlib").join(TARGET);
    if Path::new(DEBIAN_RUSTC).is_file() && debian_core.is_dir() {
        return Some(Compiler::Debian);
    }
    let sysroot = Command::new("rustc")
        .args(["+nightly", "--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).ok()?.trim());
    sysroot.join("lib/rustlib/src/rust/library/core").is_dir().then_some(Compiler::Nightly)
}

fn version(compiler: &Compiler) -> anyhow::Result<String> {
    let output = match compiler {
        Compiler::Debian => Command::new(DEBIAN_RUSTC).arg("--version").output()?,
        Compiler::Nightly => Command::new("rustc").args(["+nightly", "--version"]).output()?,
    };
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Compiles, links and strips; returns the object's bytes.
fn compile(compiler: &Compiler) -> anyhow::Result<Vec<u8>> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home =
        cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor HOME is set")?;
    run_command(
        Command::new("cargo").args(["fetch", "--locked"]).current_dir(root().join("mirror-ebpf")),
    )?;
    let mut flags = vec!["-Cdebuginfo=2".to_owned(), "-Clink-arg=--btf".to_owned()];
    // Paths of this machine must not get into the object.
    flags.push(format!("--remap-path-prefix={}=mirror", root().display()));
    for registry in fs::read_dir(cargo_home.join("registry/src"))? {
        flags.push(format!("--remap-path-prefix={}=crates", registry?.path().display()));
    }
    let target = root().join("target/ebpf");
    let mut command = Command::new("cargo");
    match compiler {
        Compiler::Debian => {
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").args(["build"]);
        }
        Compiler::Nightly => {
            command.args(["+nightly", "build", "-Zbuild-std=core"]);
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let path =
        env::join_paths([cargo_home.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    run_command(
        command
            .args(["--release", "--locked", "--target", TARGET, "--target-dir"])
            .arg(&target)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("PATH", path)
            // Set by the cargo that runs this task, and meant for its own toolchain.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTFLAGS")
            .current_dir(root().join("mirror-ebpf")),
    )?;
    let linked = target.join(TARGET).join("release/mirror-ebpf");
    let stripped = target.join("mirror-ebpf.o");
    // DWARF is ten times the program; the kernel and the loader read BTF alone.
    let mut objcopy = Command::new(objcopy()?);
    objcopy.arg("--strip-debug");
    for (name, placeless) in placeless_names(&fs::read(&linked)?) {
        objcopy.arg(format!("--redefine-sym={name}={placeless}"));
    }
    run_command(objcopy.arg(&linked).arg(&stripped))?;
    fs::read(&stripped).with_context(|| format!("{}: cannot be read", stripped.display()))
}

/// The symbols that say where the object was built, each with a name that does not. The compiler's
/// names of functions that are not inlined hold a number of up to eleven digits that cargo makes of
/// the checkout's path (`Cs`, the digits, `_` and the name of the crate; RFC 2603 has them optional).
fn placeless_names(object: &[u8]) -> BTreeMap<String, String> {
    const CRATE: &str = "_11mirror_ebpf";
    let strings = object.split(|byte| *byte == 0).filter_map(|text| str::from_utf8(text).ok());
    let symbols = strings.filter(|text| text.starts_with("_R"));
    symbols
        .filter_map(|symbol| {
            let (path, rest) = symbol.split_once(CRATE)?;
            // What comes before the crate's root are letters for the kinds of what is within it.
            let root = path.rfind('_')?;
            let digits = root + path.get(root..)?.find("Cs")? + "C".len();
            let name = format!("{}{}{rest}", path.get(..digits)?, CRATE.trim_start_matches('_'));
            Some((symbol.to_owned(), name))
        })
        .collect()
}

/// LLVM's objcopy; GNU's does not know BPF.
fn objcopy() -> anyhow::Result<PathBuf> {
    let of_prefix = Path::new(LLVM_PREFIX).join("bin/llvm-objcopy");
    if of_prefix.is_file() {
        return Ok(of_prefix);
    }
    ensure!(
        setup::on_path("llvm-objcopy"),
        "llvm-objcopy: not found; install LLVM's tools (Debian: llvm-22)"
    );
    Ok("llvm-objcopy".into())
}

#[cfg(test)]
mod tests {
    use super::placeless_names;

    #[test]
    fn the_checkouts_place_is_taken_out_of_names_whatever_its_length() {
        for digits in ["4P8JtJwZbbD", "bmtVSwZahP", "Cs9Cs", ""] {
            let symbol = format!("_RINvNtCs{digits}_11mirror_ebpf3log4tellNtNtB4_6packet3SkbEB4_");
            let object = format!("code\0{symbol}\0mirror_xdp\0_RNvCs1_4core5panic\0");
            let names = placeless_names(object.as_bytes());
            let placeless = "_RINvNtC11mirror_ebpf3log4tellNtNtB4_6packet3SkbEB4_".to_owned();
            assert_eq!(names.into_iter().collect::<Vec<_>>(), [(symbol, placeless)]);
        }
    }
}
