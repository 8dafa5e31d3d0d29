//! Commands at the turning points of a run, as they happen: seen by the target that the run replays to, and that the commands
//! themselves ask.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::netns::{succeed, until};
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, binary, mirror, mirror_with_variables};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A capture of two requests.
fn capture(workspace: &Workspace) -> String {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n");
    let talk = Talk::new().open().client(get("/a")).server(OK).client(get("/b")).server(OK);
    workspace.file("talk.pcap", &talk.close().pcap())
}

/// Writes the file of a run that replays the capture to the target.
fn config(workspace: &Workspace, target: &Target, rest: &str) -> String {
    let (from, to) = (capture(workspace), target.url());
    let text = format!(
        "version: 1\nsource: {{ from: \"{from}\" }}\ntargets: {{ it: {{ url: \"{to}\" }} }}\n{rest}"
    );
    workspace.file("mirror.yaml", text.as_bytes())
}

/// Asks the target for `/HOOK/PASS`, so that it sees commands and shadows in one order.
fn asks(target: &Target) -> String {
    let url = target.url();
    format!("[sh, -c, 'curl -sS -o /dev/null {url}/$MIRROR_HOOK/$MIRROR_PASS']")
}

fn paths(target: &Target) -> Vec<String> {
    target.received().iter().map(|request| request.target()).collect()
}

#[test]
fn commands_run_before_and_after_each_pass_when_nothing_of_it_is_under_way() {
    for pace in ["speed: 1", "speed: max", "rate: 200"] {
        let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
        let asks = asks(&target);
        let hooks = format!(
            "pace: {{ loop: 3, {pace} }}\n\
             hooks: {{ before-run: {asks}, on-ready: {asks}, after-run: {asks} }}\n"
        );
        let run = mirror(&["run", "--config", &config(&workspace, &target, &hooks)]).exits_with(0);
        let wanted = [
            "/before-run/1 /on-ready/1 /a /b /after-run/1",
            "/before-run/2 /a /b /after-run/2",
            "/before-run/3 /a /b /after-run/3",
        ];
        assert_eq!(paths(&target).join(" "), wanted.join(" "), "{pace}");
        let said = run.says("seen 6 = delivered 6").stderr();
        assert!(said.contains("hooks: after-run is done (pass 3)"), "{said}");
    }
}

#[test]
fn commands_know_the_run_and_when_what_it_reads_began() {
    let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
    let told = workspace.path("told");
    let hooks = format!(
        "hooks: {{ before-run: [sh, -c, 'env > \"$0\"', '{}'], timeout: 30s }}\n",
        told.display()
    );
    let config = config(&workspace, &target, &hooks);
    let secret = ("MIRROR_REDACT_KEY", "0123456789abcdef0123456789abcdef");
    mirror_with_variables(&["run", "--config", &config], &[secret]).exits_with(0);
    let told = fs::read_to_string(told).unwrap();
    assert!(!told.contains("0123456789abcdef"), "{told}");
    let value = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name} in {told}")).to_owned()
    };
    let shadow = target.received()[0].header("x-shadow-id").unwrap();
    assert!(shadow.starts_with(&value("MIRROR_RUN")), "{shadow}");
    assert_eq!((value("MIRROR_PASS"), value("MIRROR_PASSES")), ("1".into(), "1".into()));
    // The time of the capture's first packet, as `mirror inspect` has it.
    let lines = mirror(&["inspect", "--from", &workspace_capture(&config), "--json"]).exits_with(0);
    let first = lines.stdout().lines().next().unwrap().to_owned();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let begun = value("MIRROR_CAPTURE_START");
    let second = |time: &str| time[..19].to_owned();
    assert_eq!(second(&begun), second(first["request"]["time"].as_str().unwrap()));
    assert!(value("MIRROR_STARTED") > begun);
}

/// The capture beside a configuration file.
fn workspace_capture(config: &str) -> String {
    Path::new(config).with_file_name("talk.pcap").to_str().unwrap().to_owned()
}

#[test]
fn a_command_that_fails_starts_nothing_and_one_after_a_start_that_failed_still_cleans_up() {
    let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
    let run = |hooks: &str| {
        let config = config(&workspace, &target, hooks);
        mirror(&["run", "--config", &config]).exits_with(2).stderr()
    };
    let said = run("hooks: { before-run: [sh, -c, 'echo no room >&2; exit 3'] }\n");
    assert!(said.contains("no room\n"), "{said}");
    assert!(said.contains("hooks.before-run: sh: it ended with exit status: 3"), "{said}");
    let said = run("hooks: { on-ready: /nowhere/x }\n");
    assert!(said.contains("hooks.on-ready: /nowhere/x: it cannot be run: No such file"), "{said}");
    let said = run("hooks: { before-run: [sleep, '1000'], timeout: 50ms }\n");
    assert!(said.contains("it did not end within 50ms, and was killed"), "{said}");
    let said = run("hooks: { wal-lsn: 'host=/nowhere user=x', before-run: 'true' }\n");
    assert!(said.contains("hooks.wal-lsn: psql"), "{said}");
    let said = run("hooks: { wal-lsn: 'postgres://me:secret@db/shop', before-run: 'true' }\n");
    assert!(said.contains("a connection string without a password"), "{said}");
    assert_eq!(paths(&target), Vec::<String>::new());

    // What was made before goes even if the source cannot be read, and its own failure is told.
    let asks = asks(&target);
    let hooks = format!("hooks: {{ before-run: {asks}, after-run: {asks} }}\n");
    let config = config(&workspace, &target, &hooks);
    fs::write(workspace_capture(&config), "no capture").unwrap();
    let said = mirror(&["run", "--config", &config]).exits_with(2).stderr();
    assert!(said.contains("talk.pcap"), "{said}");
    assert_eq!(paths(&target), ["/before-run/1", "/after-run/1"]);
    let failing = "hooks: { before-run: 'true', after-run: 'false' }\n";
    let config = self::config(&workspace, &target, failing);
    let run = mirror(&["run", "--config", &config]).exits_with(2);
    let said = run.says("seen 2 = delivered 2").stderr();
    assert!(said.contains("hooks.after-run: false: it ended with exit status: 1"), "{said}");
}

fn start(config: &str) -> Child {
    let mut mirror = Command::new(binary());
    mirror.args(["run", "--config", config]).stdin(Stdio::null());
    mirror.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_command_ends_with_the_process_that_waits_for_it() {
    for signal in ["-INT", "-KILL"] {
        let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
        let pid = workspace.path("pid");
        let hooks = format!(
            "hooks: {{ before-run: [sh, -c, 'echo $$ > \"$0.new\"; mv \"$0.new\" \"$0\"; exec sleep 1000', '{}'] }}\n",
            pid.display()
        );
        let mut mirror = start(&config(&workspace, &target, &hooks));
        until("the command runs", || pid.exists());
        succeed(Command::new("kill").args([signal, &mirror.id().to_string()]));
        assert!(!mirror.wait().unwrap().success());
        let process = format!("/proc/{}/stat", fs::read_to_string(&pid).unwrap().trim());
        until("the command is gone", || {
            // Killed, and perhaps not reaped yet by whoever inherited it.
            fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "))
        });
        assert_eq!(paths(&target), Vec::<String>::new());
    }
}

#[test]
fn a_run_that_is_stopped_runs_what_comes_after_it() {
    let (workspace, target) = (Workspace::new(), Target::start(Behaviour::Answer));
    let asks = asks(&target);
    let hooks = format!(
        "pace: {{ loop: 1000000, speed: 1 }}\nhooks: {{ before-run: {asks}, after-run: {asks} }}\n"
    );
    let mut mirror = start(&config(&workspace, &target, &hooks));
    target.wait_for(6, crate::support::netns::patience());
    succeed(Command::new("kill").args(["-TERM", &mirror.id().to_string()]));
    assert!(mirror.wait().unwrap().success());
    let paths = paths(&target);
    let counts = |hook: &str| paths.iter().filter(|path| path.starts_with(hook)).count();
    assert_eq!(counts("/before-run/"), counts("/after-run/"), "{paths:?}");
    assert!(paths.last().unwrap().starts_with("/after-run/"), "{paths:?}");
}
