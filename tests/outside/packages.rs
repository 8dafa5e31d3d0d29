//! What is shipped beside the binary: the unit, as systemd reads it, and examples, as mirror reads them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{self, Workspace, mirror};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn unit() -> String {
    fs::read_to_string(deploy().join("systemd/mirror.service")).unwrap()
}

#[test]
fn every_example_is_valid() {
    let files = fs::read_dir(deploy().join("examples")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3);
    for file in files {
        mirror(&["config", "check", file.to_str().unwrap()]).exits_with(0).says("valid");
    }
}

#[test]
fn the_book_has_every_document() {
    let docs = deploy().join("../docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    for file in fs::read_dir(docs).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        assert!(!is_page || summary.contains(&format!("]({name})")), "{name}");
    }
}

#[test]
fn the_unit_has_the_capabilities_that_doctor_asks_for() {
    let unit = unit();
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        let line = format!("{key}=CAP_BPF CAP_PERFMON CAP_NET_ADMIN");
        assert!(unit.lines().any(|it| it == line), "no {line}");
    }
}

#[test]
#[ignore = "needs systemd-analyze: cargo xtask test"]
fn systemd_reads_the_unit_without_complaint() {
    let workspace = Workspace::new();
    // Where it is not installed, systemd would miss the program.
    let text = unit().replace("/usr/bin/mirror", support::binary().to_str().unwrap());
    let file = workspace.file("mirror.service", text.as_bytes());
    let mut analyze = Command::new("systemd-analyze");
    let output = analyze.args(["verify", "--man=no", "--recursive-errors=no", &file]);
    let output = output.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
#[ignore = "needs systemd-analyze: cargo xtask test"]
fn systemd_finds_the_unit_well_confined() {
    // In tenths of its scale from 0 (sealed off) to 10; 1.9 with the three capabilities and the network.
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--threshold=20"]);
    let output = analyze.arg(deploy().join("systemd/mirror.service")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
