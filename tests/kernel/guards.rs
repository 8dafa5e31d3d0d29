//! Production first: the copying is paused on demand, and mirror samples fewer connections while it
//! takes more than it may.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::support;
use crate::support::netns::{CABLE, Lab, Mirror, succeed, until};
use crate::support::scrape::{ADMIN, endpoint};
use crate::support::summary::{account, assert_balance, dropped};
use crate::support::target::{Behaviour, Target};

const URL: &str = "http://10.77.0.1:8080";

const COUNTS: [&str; 7] = ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--json"];

/// Waits until mirror has said this so many times.
pub(crate) fn says(mirror: &Mirror, what: &str, times: usize) {
    until(what, || mirror.said().matches(what).count() >= times);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_signal_and_a_file_pause_the_copying_without_detaching() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ask = |lab: &Lab, path: &str| drop(lab.curl(&[&format!("{URL}/{path}")]));
        let file = lab.path("pause");
        let pause = ["--pause-file", file.to_str().unwrap()];
        let mut mirror = Mirror::start(lab, &[&COUNTS[..], &pause].concat());
        ask(lab, "1");
        mirror.signal("-USR1");
        says(&mirror, "nothing is copied", 1);
        ask(lab, "2");
        mirror.signal("-USR2");
        says(&mirror, "copies again", 1);
        ask(lab, "3");
        std::fs::write(&file, "").unwrap();
        says(&mirror, "nothing is copied", 2);
        ask(lab, "4");
        // As long as one of them says so, it stays paused.
        mirror.signal("-USR1");
        std::fs::remove_file(&file).unwrap();
        ask(lab, "5");
        mirror.signal("-USR2");
        says(&mirror, "copies again", 2);
        ask(lab, "6");
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "requests"), (3, 3, vec![]), "{summary:#}");
        assert!(dropped(&summary, "kernel", "paused") > 0, "{summary:#}");
        assert!(summary["notes"].to_string().contains(r#"["pauses",2]"#), "{summary:#}");
    });
}

/// A customer that asks on connection after connection until it is dropped.
pub(crate) struct Busy(Child);

impl Busy {
    pub(crate) fn start(lab: &Lab) -> Self {
        let mut wrk = lab.client("wrk");
        wrk.args(["-t1", "-c16", "-d600s", "-H", "Connection: close", URL]);
        Self(wrk.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many packets the server's end of the cable has received, in this thread's namespace.
fn packets_received() -> u64 {
    let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let cable = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{CABLE}:")));
    let packets = cable.and_then(|counts| counts.split_ascii_whitespace().nth(1)?.parse().ok());
    packets.unwrap_or(0)
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_processor_limit_lowers_the_sample_under_load_and_raises_it_afterwards() {
    Lab::run(|lab| {
        lab.start_nginx();
        // Far less than a busy customer costs, and more than an idle link does.
        let limit = format!("{}%", (5 * support::netns::slowness()).min(40));
        let mirror = Mirror::start(lab, &[&COUNTS[..], &["--cpu-limit", &limit]].concat());
        let busy = Busy::start(lab);
        until("the customer is busy", || packets_received() > 1_000);
        // On a slow machine the start alone may take more than the limit.
        let lowered = mirror.said().matches("sample lowered").count();
        says(&mirror, "sample lowered", lowered + 2);
        let raised = mirror.said().matches("sample raised").count();
        drop(busy);
        says(&mirror, "sample raised", raised + 1);
        let summary = mirror.summary();
        assert_balance(&summary);
        assert!(dropped(&summary, "kernel", "load_shed") > 0, "{summary:#}");
        assert!(summary["notes"].to_string().contains("smallest_sample_one_in"), "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_memory_limit_lowers_the_sample() {
    Lab::run(|lab| {
        lab.start_nginx();
        // The ring of 64 MiB is mapped, and read from one end to the other it is resident.
        let flags = ["--memory-limit", "32MiB", "--ring-size", "64MiB"];
        let mirror = Mirror::start(lab, &[&COUNTS[..], &flags].concat());
        let url = format!("{URL}/big");
        let urls: Vec<&str> =
            [&*url; 12].into_iter().flat_map(|url| ["-o", "/dev/null", url]).collect();
        lab.curl(&urls);
        says(&mirror, "MiB are more than --memory-limit 32MiB", 1);
        assert_balance(&mirror.summary());
    });
}

#[test]
fn files_have_no_production_to_guard() {
    let workspace = support::Workspace::new();
    let file = workspace.file("none.pcap", b"");
    support::mirror(&["inspect", "--from", &file, "--cpu-limit", "20%"])
        .exits_with(2)
        .complains(&["--cpu-limit", "leave them out"]);
}

/// Runs a program on a terminal of its own, which closes when the program has said something that
/// stands in its first argument. Ends with the program's exit code.
const TERMINAL: &str = r#"
import os, pty, signal, sys
until, program = sys.argv[1].encode(), sys.argv[2:]
process, terminal = pty.fork()
if process == 0:
    # Ignored where the tests themselves run below nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.execv(program[0], program)
said = b""
while until not in said:
    said += os.read(terminal, 1000)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"#;

/// The filters on the cable.
fn filters() -> String {
    let list = |direction| {
        let mut tc = Command::new("tc");
        let filters = succeed(tc.args(["filter", "show", "dev", CABLE, direction]));
        String::from_utf8_lossy(&filters.stdout).into_owned()
    };
    list("ingress") + &list("egress")
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_terminal_that_closes_ends_a_run_with_its_report_and_without_its_filters() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let (report, url) = (lab.path("report"), target.url());
        let mut terminal = Command::new("python3");
        terminal.args(["-c", TERMINAL, "attached to"]).arg(support::binary());
        terminal.args(["replay", "--from", CABLE, "--port", "8080", "--hook", "clsact"]);
        terminal.args(["--to", &url, "--report"]).arg(&report);
        // Its summary finds no terminal any more, which is the reason for the exit code.
        assert_eq!(terminal.status().unwrap().code(), Some(2));
        let summary: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_balance(&summary);
        assert_eq!(filters(), "");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn nohup_outlives_its_terminal() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut nohup = Command::new("nohup");
        nohup.arg(support::binary());
        let mut mirror = Mirror::start_as(lab, nohup, &COUNTS);
        mirror.signal("-HUP");
        drop(lab.curl(&[&format!("{URL}/1")]));
        let summary = mirror.summary();
        assert_eq!(account(&summary, "requests"), (1, 1, vec![]), "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_reader_of_standard_error_that_ends_costs_nothing() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut mirror = Command::new(support::binary());
        mirror.args(["capture", "--from", CABLE, "--port", "8080", "--json", "--admin", ADMIN]);
        mirror.arg("--to").arg(lab.path("captured.jsonl"));
        let mut mirror = mirror.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(mirror.stderr.take().unwrap());
        let mut lines = said.by_ref().lines().map(Result::unwrap);
        // It is attached by then.
        assert!(lines.any(|line| line.contains("admin: http")));
        drop(said);
        let process = mirror.id().to_string();
        let signal = |name: &str| drop(succeed(Command::new("kill").args([name, &process])));
        for (pause, paused) in [("-USR1", 1.0), ("-USR2", 0.0), ("-USR1", 1.0)] {
            signal(pause);
            until("it has done so, and said it to nobody", || {
                endpoint().scrape().sum("mirror_capture_paused", &[]) == paused
            });
        }
        signal("-INT");
        let output = mirror.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_balance(&summary);
        assert!(summary["notes"].to_string().contains(r#"["pauses",2]"#), "{summary:#}");
    });
}
