//! What is reported while a command runs: its form, its levels, and that nobody has to listen.

use std::process::Command;
use std::time::Duration;

use super::one_get;
use super::support::target::{Behaviour, Target};
use super::support::{self, Workspace, mirror};

const NOWHERE: [&str; 3] = ["inspect", "--from", "/nowhere.pcap"];

/// Runs a command that fails, with this in `MIRROR_LOG`; what it wrote to standard error.
fn failing(environment: &str, flags: &[&str]) -> String {
    let mut command = Command::new(support::binary());
    command.args(NOWHERE).args(flags).env("MIRROR_LOG", environment);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{environment:?} {flags:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn events_are_text_or_json() {
    let text = mirror(&NOWHERE).exits_with(2).stderr();
    assert!(text.starts_with("mirror: /nowhere.pcap: "), "{text}");
    let run = mirror(&[&NOWHERE[..], &["--log-format", "json"]].concat()).exits_with(2);
    let events = run.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "run_failed");
    assert_eq!(events[0]["level"], "error");
    assert_eq!(format!("mirror: {}\n", events[0]["message"].as_str().unwrap()), text);
}

#[test]
fn a_flag_says_what_is_written_and_without_it_the_environment() {
    assert!(failing("", &[]).contains("/nowhere.pcap"));
    assert_eq!(failing("off", &[]), "");
    assert!(failing("off", &["--log-level", "error"]).contains("/nowhere.pcap"));
    assert_eq!(failing("info", &["--log-level", "off"]), "");
    // No flag is looked for in what is not read.
    assert!(failing("loud", &["--log-level", "error"]).contains("/nowhere.pcap"));
    let refused = failing("loud", &[]);
    assert!(refused.starts_with("mirror: MIRROR_LOG: \"loud\" is not a level"), "{refused}");
}

#[test]
fn a_warning_is_written_from_its_level_on() {
    let workspace = Workspace::new();
    let whole = one_get();
    let file = workspace.file("cut.pcap", &whole[..whole.len() - 10]);
    for (level, written) in [("warn", 1), ("error", 0), ("error,guard=trace", 0)] {
        let args = ["inspect", "--from", &file, "--log-format", "json", "--log-level", level];
        let events = mirror(&args).exits_with(0).events();
        assert_eq!(events.len(), written, "{level}: {events:?}");
        assert!(events.iter().all(|event| event["event"] == "run_warning"), "{events:?}");
    }
}

#[test]
fn a_run_that_nobody_listens_to_does_what_it_was_asked_for() {
    let target = Target::start(Behaviour::Answer);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let workspace = Workspace::new();
    let file = workspace.file("one.pcap", &one_get());
    for (sent, format) in [(1, "text"), (2, "json")] {
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        // That the first target is not there is reported to nobody.
        let output = Command::new(support::binary())
            .args(["replay", "--from", &file, "--speed", "max", "--log-format", format])
            .args(["--to", &format!("http://{free}"), "--to", &target.url()])
            .stderr(closed)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        target.wait_for(sent, Duration::from_secs(10));
    }
}
