//! No more privilege than it takes: without root, and less of it after the start.
//!
//! Every test needs root, so that `cargo test` shows them as ignored; `cargo xtask test` runs them.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use support::netns::{CABLE, Lab, Mirror, patience, succeed, until};
use support::summary::{account, assert_balance};
use support::target::{Behaviour, Target};

/// `nobody`, who owns nothing.
const NOBODY: &str = "65534";

const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;
const SYS_ADMIN: u64 = 1 << 21;
const NET_ADMIN: u64 = 1 << 12;

/// A copy of the program that everybody may run.
fn program(lab: &Lab) -> PathBuf {
    let folder = lab.path("bin");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("mirror");
    fs::copy(support::binary(), &program).unwrap();
    // The lab's own folder is root's alone.
    for path in [folder.parent().unwrap(), &folder, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
}

/// What runs a program as nobody.
fn nobody() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    command
}

/// The program with these file capabilities, run as nobody.
fn as_nobody(lab: &Lab, capabilities: &str) -> Command {
    let program = program(lab);
    succeed(Command::new("setcap").arg(capabilities).arg(&program));
    let mut command = nobody();
    command.arg(program);
    command
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_user_without_root_captures_and_shadows_with_three_file_capabilities() {
    for hook in ["tc", "clsact"] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let target = Target::start(Behaviour::Answer);
            let to = target.url();
            let args = [
                "replay", "--from", CABLE, "--port", "8080", "--to", &to, "--hook", hook, "--json",
            ];
            let nobody = as_nobody(lab, "cap_bpf,cap_perfmon,cap_net_admin=ep");
            let mirror = Mirror::start_as(lab, nobody, &args);
            drop(lab.curl(&["http://10.77.0.1:8080/1", "http://10.77.0.1:8080/2"]));
            target.wait_for(2, patience());
            let said = mirror.said();
            let summary = mirror.summary();
            assert_balance(&summary);
            assert_eq!(account(&summary, "shadow requests"), (2, 2, vec![]), "{summary:#}");
            assert!(!said.contains("socket mark"), "its own traffic is known by its mark: {said}");
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_lacking_is_named() {
    Lab::run(|lab| {
        for (given, lacking) in [
            ("cap_bpf,cap_net_admin=ep", "needs CAP_PERFMON:"),
            ("cap_perfmon,cap_net_admin=ep", "needs CAP_BPF:"),
            ("cap_bpf,cap_perfmon=ep", "needs CAP_NET_ADMIN:"),
        ] {
            let mut nobody = as_nobody(lab, given);
            let output = nobody.args(["inspect", "--from", CABLE, "--port", "1"]).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{told}");
            assert!(told.contains(lacking), "{told}");
        }
    });
}

/// The permitted capabilities of each thread of a process, by its name.
fn permitted(process: u32) -> BTreeMap<String, u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap());
    status
        .map(|status| {
            let field = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
            };
            (field("Name:"), u64::from_str_radix(&field("CapPrm:"), 16).unwrap())
        })
        .collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn root_gives_up_what_it_does_not_need_after_the_start() {
    Lab::run(|lab| {
        lab.start_nginx();
        let args = ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--json"];
        let mut mirror = Mirror::start(lab, &[&args[..], &["--cpu-limit", "50%"]].concat());
        let process = mirror.id();
        let reads = BPF | PERFMON | NET_ADMIN;
        until("both threads have only what they need", || {
            let threads = permitted(process);
            threads.get("mirror") == Some(&reads)
                && threads.get("guard") == Some(&(BPF | SYS_ADMIN))
        });
        // Landlock's rules hold for all threads: each is bound to gain no privilege (prctl(2)).
        for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        }
        drop(lab.curl(&["http://10.77.0.1:8080/"]));
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nobody_reads_what_a_live_run_remembers() {
    Lab::run(|lab| {
        // Ambient capabilities: unlike those of a file, they do not hide memory by themselves.
        let capabilities = "+bpf,+perfmon,+net_admin";
        let mut command = nobody();
        command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
        command.arg(program(lab));
        let args = ["inspect", "--from", CABLE, "--port", "8080", "--summary"];
        let mut mirror = Mirror::start_as(lab, command, &args);
        // The kernel gives root what its owner may not read (proc(5), `/proc/pid`).
        let memory = format!("/proc/{}/mem", mirror.id());
        until("its memory is hidden", || fs::metadata(&memory).unwrap().uid() == 0);
    });
}
