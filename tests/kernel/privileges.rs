//! No more privilege than it takes: without root, and less of it after the start.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use crate::support;
use crate::support::netns::{CABLE, Lab, Mirror, patience, succeed, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::{account, assert_balance};
use crate::support::target::{Behaviour, Target};

/// `nobody`, who owns nothing.
const NOBODY: &str = "65534";

const BPF: u64 = 1 << 39;
const PERFMON: u64 = 1 << 38;
const SYS_ADMIN: u64 = 1 << 21;
const NET_ADMIN: u64 = 1 << 12;
const DAC_READ_SEARCH: u64 = 1 << 2;
const DAC_OVERRIDE: u64 = 1 << 1;

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
            assert!(!said.contains("did not take note"), "its own sockets are known: {said}");
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

/// A thread of a running mirror.
#[derive(Debug)]
struct Thread {
    name: String,
    /// Its permitted capabilities, one bit for each.
    permitted: u64,
    /// Bound to gain no privilege (prctl(2)), as every thread is that Landlock's rules hold for.
    confined: bool,
}

/// Every thread of a process. One that ends meanwhile is left out.
fn threads(process: u32) -> Vec<Thread> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok());
    status
        .map(|status| {
            let field = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
            };
            Thread {
                name: field("Name:"),
                permitted: u64::from_str_radix(&field("CapPrm:"), 16).unwrap(),
                confined: field("NoNewPrivs:") == "1",
            }
        })
        .collect()
}

/// Waits until the process has these threads and no others, each with its capabilities alone, and
/// confined.
#[track_caller]
fn assert_threads(process: u32, wanted: &[(&str, u64)]) {
    let sorted = |threads: &[Thread]| {
        let mut found: Vec<(String, u64)> =
            threads.iter().map(|thread| (thread.name.clone(), thread.permitted)).collect();
        found.sort();
        found
    };
    let mut wanted: Vec<(String, u64)> =
        wanted.iter().map(|(name, permitted)| ((*name).to_owned(), *permitted)).collect();
    wanted.sort();
    until(&format!("each thread has only what it needs: {wanted:x?}"), || {
        let now = threads(process);
        sorted(&now) == wanted && now.iter().all(|thread| thread.confined)
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn root_gives_up_what_it_does_not_need_after_the_start_in_every_thread() {
    const READS: u64 = BPF | PERFMON | NET_ADMIN;
    let (main, guard) = (("mirror", READS), ("guard", BPF | SYS_ADMIN));
    Lab::run(move |lab| {
        lab.start_nginx();
        let from = ["--from", CABLE, "--port", "8080", "--json", "--for", "1h"];
        let mut mirror = Mirror::start(lab, &[&["inspect", "--summary"], &from[..]].concat());
        assert_threads(mirror.id(), &[main, guard, ("timer", 0)]);
        drop(lab.curl(&["http://10.77.0.1:8080/"]));
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");

        let target = Target::start(Behaviour::Answer);
        let file = |name: &str| lab.path(name).to_str().unwrap().to_owned();
        let (url, report, log) = (target.url(), file("report"), file("log"));
        let to = ["--to", &url, "--report", &report, "--log-requests", &log];
        let admin = ["--admin", ADMIN];
        let mut mirror = Mirror::start(lab, &[&["replay"], &to[..], &admin, &from].concat());
        let replay = [("replay", BPF), ("request log", 0), ("admin", 0)];
        assert_threads(mirror.id(), &[&[main, guard, ("timer", 0)], &replay[..]].concat());
        drop(lab.curl(&["http://10.77.0.1:8080/"]));
        target.wait_for(1, patience());
        endpoint().scrape().assert_sums_hold();
        assert_threads(mirror.id(), &[&[main, guard, ("timer", 0)], &replay[..]].concat());
        drop(mirror.summary());

        let listener = std::os::unix::net::UnixListener::bind(lab.path("socket")).unwrap();
        let config = lab.path("mirror.yaml");
        let text = format!(
            "version: 1\nsource: {{ from: [{CABLE}], ports: [8080] }}\n\
             targets: {{ one: {{ url: '{url}' }}, two: {{ url: 'unix:{}' }} }}\n",
            lab.path("socket").display()
        );
        fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap();
        let mut mirror = Mirror::start(lab, &["run", "--config", config]);
        // The one that looks after the file opens what a changed one names.
        let opens = READS | SYS_ADMIN | DAC_OVERRIDE | DAC_READ_SEARCH;
        let replays = [("replay", BPF), ("replay", BPF | DAC_OVERRIDE)];
        assert_threads(mirror.id(), &[&[main, guard, ("config", opens)], &replays[..]].concat());
        drop(listener);
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
