//! Where kernels come from: packages of distributions, unpacked and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{root, run_command};

/// A kernel that can be had.
pub(super) struct Release {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// The beginnings of the names of tests whose subject it lacks: TCX links came with 6.6,
    /// reading an XDP packet of several buffers with 5.18, BIG TCP with 5.19.
    pub(super) lacks: &'static [&'static str],
    origin: Origin,
}

enum Origin {
    /// The newest signed package of this machine's Debian whose name begins so.
    Debian(&'static str),
    /// These packages, with their SHA-256.
    Addresses(&'static [(&'static str, &'static str)]),
}

/// From the oldest on. Debian has no 5.15, the oldest that mirror is meant for; Ubuntu 22.04 does.
pub(super) const KERNELS: [Release; 3] = [
    Release {
        name: "5.15",
        lacks: &["tcx_", "xdp_", "big_tcp_"],
        origin: Origin::Addresses(&[
            (
                "http://archive.ubuntu.com/ubuntu/pool/main/l/linux-signed/linux-image-5.15.0-25-generic_5.15.0-25.25_amd64.deb",
                "ad56f8c442a54d4f5ff2dff010d00321d53e32b543f3a92f3ba4e042d20a71da",
            ),
            (
                "http://archive.ubuntu.com/ubuntu/pool/main/l/linux/linux-modules-5.15.0-25-generic_5.15.0-25.25_amd64.deb",
                "d0ba4087d9e1d497925b3481d3531fba6c2a852855f8019d73b0b1385aa4da1f",
            ),
        ]),
    },
    Release { name: "6.1", lacks: &["tcx_"], origin: Origin::Debian("linux-image-6.1.") },
    Release { name: "6.12", lacks: &[], origin: Origin::Debian("linux-image-6.12.") },
];

/// An unpacked kernel.
pub(super) struct Files {
    /// As `uname -r` says it.
    pub(super) version: String,
    /// The image to boot.
    pub(super) image: PathBuf,
    /// `/lib/modules/VERSION`, with its index.
    pub(super) modules: PathBuf,
}

impl Release {
    /// Fetches and unpacks it, unless that was done before.
    pub(super) fn fetch(&self) -> anyhow::Result<Files> {
        let folder = root().join("target/kernels").join(self.name);
        if let Ok(files) = Files::in_folder(&folder.join("files")) {
            return Ok(files);
        }
        fs::create_dir_all(&folder)?;
        println!("fetching the packages of {}", self.name);
        match self.origin {
            Origin::Debian(prefix) => {
                let package = newest(prefix)?;
                run_command(
                    Command::new("apt-get").arg("download").arg(package).current_dir(&folder),
                )?;
            }
            Origin::Addresses(packages) => {
                for (address, digest) in packages {
                    let name = address.rsplit('/').next().unwrap_or_default();
                    let mut curl = Command::new("curl");
                    curl.args([
                        "--fail",
                        "--silent",
                        "--show-error",
                        "--location",
                        "--remote-name",
                        address,
                    ]);
                    run_command(curl.current_dir(&folder))?;
                    let mut check = Command::new("sh");
                    check.args([
                        "-c",
                        &format!("echo '{digest}  {name}' | sha256sum --check --quiet"),
                    ]);
                    run_command(check.current_dir(&folder)).with_context(|| name.to_owned())?;
                }
            }
        }
        let files = folder.join("files");
        for package in entries(&folder)?.into_iter().filter(|path| ends_with(path, "deb")) {
            run_command(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&files))?;
            fs::remove_file(package)?;
        }
        let found = Files::in_folder(&files)?;
        run_command(Command::new("depmod").arg("--basedir").arg(&files).arg(&found.version))?;
        Ok(found)
    }
}

impl Files {
    fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let modules = entries(&folder.join("lib/modules"))?.pop().context("no modules")?;
        let version = modules.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let image = folder.join(format!("boot/vmlinuz-{version}"));
        ensure!(image.is_file(), "{}: no kernel image", image.display());
        Ok(Self { version, image, modules })
    }
}

/// The newest package of a series: neither unsigned, nor for clouds, nor real-time.
fn newest(prefix: &str) -> anyhow::Result<String> {
    let pattern = format!("^{}[0-9]+.*-amd64$", prefix.replace('.', "\\."));
    let listed = Command::new("apt-cache").args(["search", "--names-only", &pattern]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !name.contains("cloud") && !name.contains("-rt-"))
        .max_by_key(|name| numbers(name))
        .map(str::to_owned)
        .with_context(|| format!("{prefix}*: apt knows no such package; run apt-get update"))
}

/// The numbers in a package's name, which order its versions.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?)
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(numbers("linux-image-6.1.0-56-amd64") > numbers("linux-image-6.1.0-9-amd64"));
        assert!(
            numbers("linux-image-6.12.117+deb12-amd64")
                > numbers("linux-image-6.12.63+deb12-amd64")
        );
    }
}
