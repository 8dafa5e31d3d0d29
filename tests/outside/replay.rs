//! A capture replayed to real targets: what arrived, in which order, when, and how failure is told.

use std::fs::{DirEntry, File};
use std::io::Write;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::netns::until;
use crate::support::summary::balanced;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{self, Workspace, mirror};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const PATIENCE: Duration = Duration::from_secs(10);

fn get(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example:8080\r\naCCept:  */*\r\nCookie: a=1; b=2\r\n\r\n"
    )
}

fn replay(talk: &Talk, target: &Target, flags: &[&str]) -> support::Run {
    let workspace = Workspace::new();
    let file = workspace.file("talk.pcap", &talk.pcap());
    let to = format!("http://{}", target.address());
    let mut args = vec!["replay", "--from", &file, "--to", &to, "--json"];
    args.extend(flags);
    mirror(&args)
}

/// The account of the replay sink: seen, delivered, and each dropped reason.
fn replayed(run: &support::Run) -> (u64, u64, Vec<(String, u64)>) {
    let summary: serde_json::Value = serde_json::from_str(&run.stdout()).expect("a JSON summary");
    balanced(&summary, "shadow requests")
}

#[test]
fn requests_arrive_in_order_marked_and_otherwise_byte_for_byte() {
    let target = Target::start(Behaviour::Answer);
    let talk = Talk::new().open().client(get("/1")).server(OK).client(get("/2")).server(OK).close();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (2, 2, vec![]));
    let received = target.wait_for(2, PATIENCE);
    for (request, path) in received.iter().zip(["/1", "/2"]) {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        let before_marks = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example-shadow:8080\r\naCCept:  */*\r\nCookie: a=1; b=2\r\n"
        );
        assert!(head.starts_with(&before_marks), "{head}");
        assert!(head.contains("\r\nX-Shadow-Request: 1\r\n"), "{head}");
        assert!(head.contains("\r\nbaggage: synthetic_request=true\r\n"), "{head}");
        assert!(head.contains("\r\nX-Shadow-Id: "), "{head}");
    }
}

#[test]
fn a_shadow_is_never_shadowed_again() {
    let target = Target::start(Behaviour::Answer);
    let shadow = "GET /s HTTP/1.1\r\nHost: a.example\r\nx-shadow-request: 1\r\n\r\n";
    let talk = Talk::new().open().client(shadow).server(OK).client(get("/1")).server(OK).close();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (1, 1, vec![]));
    assert!(run.stdout().contains(r#"["already_shadow",1]"#), "{}", run.stdout());
    assert_eq!(target.wait_for(1, PATIENCE).len(), 1);
}

#[test]
fn a_request_that_is_not_whole_is_never_sent() {
    let target = Target::start(Behaviour::Answer);
    let post = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nonly this much";
    let talk = Talk::new().open().client(get("/1")).server(OK).client(post).reset();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (2, 1, vec![("incomplete".to_owned(), 1)]));
    assert_eq!(target.wait_for(1, PATIENCE).len(), 1);
}

#[test]
fn what_can_be_read_in_two_ways_is_sent_only_when_asked() {
    let post = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let talk = Talk::new().open().client(post).server(OK).close();
    let target = Target::start(Behaviour::Answer);
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (1, 0, vec![("ambiguous".to_owned(), 1)]));
    let run = replay(&talk, &target, &["--speed", "max", "--ambiguous", "send"]).exits_with(0);
    assert_eq!(replayed(&run), (1, 1, vec![]));
    let head = String::from_utf8_lossy(&target.wait_for(1, PATIENCE)[0].head).into_owned();
    assert!(head.contains("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), "{head}");
}

#[test]
fn recorded_time_is_kept_and_can_be_divided() {
    let talk = Talk::new()
        .open()
        .client(get("/1"))
        .server(OK)
        .pause_millis(400)
        .client(get("/2"))
        .server(OK)
        .close();
    let workspace = Workspace::new();
    for (speed, part) in [("1", 1), ("4", 4)] {
        let log = workspace.path(speed);
        let log = log.to_str().unwrap();
        let target = Target::start(Behaviour::Answer);
        replay(&talk, &target, &["--speed", speed, "--log-requests", log]).exits_with(0);
        assert_eq!(target.wait_for(2, PATIENCE).len(), 2);
        let lines = std::fs::read_to_string(log).unwrap();
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // When each was due; it may have been sent later, by as much as the machine was busy.
        let due = |n: usize| {
            lines[n]["sent_us"].as_u64().unwrap() - lines[n]["late_us"].as_u64().unwrap()
        };
        let captured = |n: usize| lines[n]["captured_ns"].as_u64().unwrap() / 1_000;
        let (gap, wanted) = (due(1) - due(0), (captured(1) - captured(0)) / part);
        // Each of the four figures is cut to whole microseconds.
        assert!(gap.abs_diff(wanted) <= 2, "speed {speed}: {gap} us apart, not {wanted}");
    }
}

#[test]
fn a_target_that_never_responds_costs_counted_requests() {
    let target = Target::start(Behaviour::Silence);
    let talk = Talk::new().open().client(get("/1")).server(OK).client(get("/2")).server(OK).close();
    let run =
        replay(&talk, &target, &["--speed", "max", "--answer-timeout", "200ms"]).exits_with(0);
    let (seen, delivered, _) = replayed(&run);
    assert_eq!((seen, delivered), (2, 0));
}

#[test]
fn a_target_that_resets_costs_counted_requests() {
    let target = Target::start(Behaviour::AnswerAndReset(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart".to_vec(),
    ));
    let talk = Talk::new().open().client(get("/1")).server(OK).client(get("/2")).server(OK).close();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    let (seen, delivered, _) = replayed(&run);
    assert_eq!((seen, delivered), (2, 0));
}

#[test]
fn host_can_be_kept_named_or_the_targets_own() {
    let talk = Talk::new().open().client(get("/1")).server(OK).close();
    let policies = [
        ("keep", Some("shop.example:8080")),
        ("staging.example", Some("staging.example")),
        ("target", None),
    ];
    for (policy, host) in policies {
        let target = Target::start(Behaviour::Answer);
        let own = target.address().to_string();
        let host = host.unwrap_or(&own);
        replay(&talk, &target, &["--speed", "max", "--host", policy]).exits_with(0);
        let received = target.wait_for(1, PATIENCE);
        let head = String::from_utf8_lossy(&received[0].head).into_owned();
        assert!(head.contains(&format!("\r\nHost: {host}\r\n")), "{policy}: {head}");
    }
}

#[test]
fn probes_and_retries_are_counted_and_sent_only_when_asked() {
    let attempt = |n: u8| {
        format!(
            "GET /a HTTP/1.1\r\nHost: a\r\nx-request-id: 7\r\nx-envoy-attempt-count: {n}\r\n\r\n"
        )
    };
    let probe = "GET /healthz HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.31\r\n\r\n";
    let talk = Talk::new()
        .open()
        .client(attempt(1))
        .server(OK)
        .client(probe)
        .server(OK)
        .client(attempt(2))
        .server(OK)
        .close();
    let target = Target::start(Behaviour::Answer);
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (1, 1, vec![]));
    let run = run.says(r#"["probe",1]"#).says(r#"["retry",1]"#);
    let requests: serde_json::Value = serde_json::from_str(&run.stdout()).expect("JSON");
    let cleared = requests["accounts"].as_array().expect("accounts").iter();
    let cleared = cleared.filter(|account| account["name"] == "cleared").collect::<Vec<_>>();
    assert_eq!((&cleared[0]["seen"], &cleared[0]["delivered"]), (&3.into(), &1.into()));
    let all = ["--speed", "max", "--probes", "keep", "--retries", "keep"];
    assert_eq!(replayed(&replay(&talk, &target, &all).exits_with(0)), (3, 3, vec![]));
}

#[test]
fn the_trace_of_a_shadow_is_its_own_unless_kept() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let get = format!("GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: {parent}\r\n\r\n");
    let talk = Talk::new().open().client(get).server(OK).close();
    let seen = |flags: &[&str]| {
        let target = Target::start(Behaviour::Answer);
        replay(&talk, &target, &[&["--speed", "max"], flags].concat()).exits_with(0);
        let received = target.wait_for(1, PATIENCE);
        (received[0].header("traceparent"), received[0].header("x-shadow-traceparent"))
    };
    assert_eq!(seen(&["--trace", "keep"]), (Some(parent.to_owned()), None));
    assert_eq!(seen(&["--trace", "off"]), (None, None));
    let (own, captured) = seen(&[]);
    assert_eq!(captured.as_deref(), Some(parent));
    assert_ne!(own.expect("a trace")[3..35], parent[3..35]);
}

/// Two sessions of two requests each.
fn four_gets() -> Vec<u8> {
    let talk = |client: &str, name: &str| {
        Talk::between(client, "10.0.0.1:8080")
            .open()
            .client(get(&format!("/{name}1")))
            .server(OK)
            .client(get(&format!("/{name}2")))
            .server(OK)
            .close()
    };
    interleaved(&[talk("10.0.0.2:40000", "a"), talk("10.0.0.3:40000", "b")])
}

fn replay_four(target: &Target, flags: &[&str]) -> support::Run {
    let workspace = Workspace::new();
    let file = workspace.file("four.pcap", &four_gets());
    let to = format!("http://{}", target.address());
    let mut args = vec!["replay", "--from", &file, "--to", &to, "--json"];
    args.extend(flags);
    mirror(&args)
}

#[test]
fn a_capture_is_replayed_several_times_over() {
    for pace in [&["--speed", "max"][..], &["--speed", "1"], &["--rate", "5000/s"]] {
        let target = Target::start(Behaviour::Answer);
        let run = replay_four(&target, &[pace, &["--loop", "3"]].concat()).exits_with(0);
        assert_eq!(replayed(&run), (12, 12, vec![]), "{pace:?}");
        let received = target.wait_for(12, PATIENCE);
        let again = received.iter().filter(|request| request.target() == "/a1").count();
        assert_eq!(again, 3);
        let mut names: Vec<_> = received.iter().map(|r| r.header("x-shadow-id")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 12, "each has a name of its own");
    }
}

#[test]
fn copies_multiply_sessions_and_a_pool_bounds_connections() {
    let target = Target::start(Behaviour::Answer);
    let flags = ["--speed", "max", "--copies", "5", "--connections", "pooled:3"];
    let run = replay_four(&target, &flags).exits_with(0);
    assert_eq!(replayed(&run), (20, 20, vec![]));
    assert_eq!(target.wait_for(20, PATIENCE).len(), 20);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout()).unwrap();
    let connected = summary["replays"][0]["connected"].as_u64().unwrap();
    assert!((1..=3).contains(&connected), "{connected} connections");
}

#[test]
fn requests_of_a_proxys_connection_can_be_sent_independently() {
    let target = Target::start(Behaviour::Hold);
    let gets =
        (0..4).fold(Talk::new().open(), |talk, n| talk.client(get(&format!("/{n}"))).server(OK));
    let release = std::thread::scope(|scope| {
        // All are asked while none is answered.
        let all = scope.spawn(|| {
            target.wait_for(4, PATIENCE);
            target.release();
        });
        let run = replay(&gets.close(), &target, &["--connections", "independent:4"]);
        all.join().unwrap();
        run
    });
    assert_eq!(replayed(&release.exits_with(0)), (4, 4, vec![]));
}

#[test]
fn what_meets_a_closing_connection_is_sent_again_and_counted() {
    let target = Target::start(Behaviour::AnswerOnce);
    let talk = Talk::new().open().client(get("/1")).server(OK).client(get("/2")).server(OK).close();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert_eq!(replayed(&run), (2, 2, vec![]));
    run.says(r#"{"name":"resent","counts":[["connection_was_closing",1]]}"#);
}

#[test]
fn a_part_of_a_capture_is_replayed() {
    // A request each 5 ms after the handshakes, from 2026-01-02T03:04:05.003Z on.
    for (flags, wanted) in [
        (["--from-time", "1ms"], 2),
        (["--to-time", "1ms"], 2),
        (["--from-time", "2026-01-02T03:04:05.004Z"], 2),
        (["--to-time", "2020-01-01T00:00:00Z"], 0),
    ] {
        let target = Target::start(Behaviour::Answer);
        let flags = [&flags[..], &["--speed", "max"]].concat();
        let (seen, delivered, dropped) = replayed(&replay_four(&target, &flags).exits_with(0));
        assert_eq!((seen, delivered), (4, wanted), "{flags:?}");
        assert_eq!(dropped, [("outside_time".to_owned(), 4 - wanted)]);
    }
}

#[test]
fn long_pauses_of_a_capture_can_be_cut() {
    let target = Target::start(Behaviour::Answer);
    let talk = Talk::new().open().client(get("/1")).server(OK).at_millis(3_600_000);
    let talk = talk.client(get("/2")).server(OK).close();
    let run = replay(&talk, &target, &["--max-gap", "20ms"]).exits_with(0);
    assert_eq!(replayed(&run), (2, 2, vec![]));
    for flags in [&["--speed", "max"][..], &["--rate", "5"]] {
        let flags = [&["--max-gap", "1s"], flags].concat();
        assert!(replay(&talk, &target, &flags).exits_with(2).stderr().contains("--max-gap"));
    }
}

#[test]
fn what_was_not_sent_is_reported_by_flaw_and_cause() {
    let target = Target::start(Behaviour::Answer);
    let twice = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let upgrade = "GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let torn = "POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour";
    let talk = |n: u16, request: &str| {
        let client = format!("10.0.0.2:{}", 40_000 + n);
        Talk::between(&client, "10.0.0.1:8080").open().client(request)
    };
    let talks = [
        talk(0, twice).server(OK).close(),
        talk(1, upgrade).server("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n").close(),
        talk(2, torn).reset(),
    ];
    let workspace = Workspace::new();
    let file = workspace.file("talks.pcap", &interleaved(&talks));
    let url = target.url();
    let run = mirror(&["replay", "--from", &file, "--to", &url, "--speed", "max", "--json"]);
    let run = run.exits_with(0);
    assert_eq!(replayed(&run).0, 3);
    run.says(r#"{"name":"ambiguous by flaw","counts":[["length_and_transfer_encoding",1]]}"#)
        .says(r#"{"name":"incomplete by cause","counts":[["reset",1]]}"#)
        .says(r#"{"name":"tunnel by kind","counts":[["upgrade",1]]}"#);
}

#[test]
fn a_target_that_does_not_know_the_host_is_told_what_to_try() {
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let target = Target::start(Behaviour::AnswerWith(not_found.clone()));
    let hint = "use --host keep";
    let told = |flags: &[&str]| {
        let flags = [&["--speed", "max"], flags].concat();
        replay_four(&target, &flags).exits_with(0).stderr().contains(hint)
    };
    assert!(told(&[]));
    assert!(!told(&["--host", "keep"]));
    // Production does not know it either.
    let production = String::from_utf8(not_found).unwrap();
    let talk = Talk::new().open().client(get("/1")).server(production).close();
    let run = replay(&talk, &target, &["--speed", "max"]).exits_with(0);
    assert!(!run.stderr().contains(hint), "{}", run.stderr());
}

#[test]
fn what_only_files_have_is_refused_for_interfaces() {
    for flags in [["--max-gap", "5s"], ["--loop", "2"], ["--from-time", "1s"], ["--speed", "2"]] {
        let base = ["replay", "--from", "nope0", "--port", "80", "--to", "http://127.0.0.1:1"];
        let run = mirror(&[&base[..], &flags].concat()).exits_with(2);
        run.complains(&[flags[0], "leave it out"]);
    }
}

#[test]
fn standard_input_cannot_be_read_twice() {
    mirror(&["replay", "--from", "-", "--to", "http://127.0.0.1:1", "--loop", "2"])
        .exits_with(2)
        .complains(&["--loop", "write it to a file"]);
}

#[test]
fn bounds_decide_the_exit_code() {
    let broken = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec();
    let target = Target::start(Behaviour::AnswerWith(broken));
    let all = ["--speed", "max"];
    replay_four(&target, &all).exits_with(0);
    for (bound, code) in
        [("errors>1%", 1), ("errors>100%", 0), ("dropped>0", 0), ("5xx>=4", 1), ("max>1h", 0)]
    {
        replay_four(&target, &[&all[..], &["--fail-on", bound]].concat()).exits_with(code);
    }
    let flags = ["--fail-on", "dropped>0", "--fail-on", "answered<5"];
    let run = replay_four(&target, &[&all[..], &flags].concat()).exits_with(1);
    let summary: serde_json::Value = serde_json::from_str(&run.stdout()).unwrap();
    let verdicts = &summary["replays"][0]["verdicts"];
    assert_eq!(verdicts[0]["failed"], false);
    assert_eq!(
        (verdicts[1]["failed"].as_bool(), verdicts[1]["measured"].as_str()),
        (Some(true), Some("4"))
    );
}

#[test]
fn report_and_log_have_every_request() {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let (report, log) = (workspace.path("report.json"), workspace.path("log.jsonl"));
    let (report, log) = (report.to_str().unwrap(), log.to_str().unwrap());
    let flags = ["--speed", "1", "--from-time", "1ms", "--report", report, "--log-requests", log];
    replay_four(&target, &flags).exits_with(0);
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let replay = &report["replays"][0];
    assert_eq!((&replay["answered"], &replay["classes"][1]), (&2.into(), &2.into()));
    assert!(replay["response"]["p99_us"].as_u64() >= replay["service"]["p99_us"].as_u64());
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    let (answered, dropped): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line["status"] == 200);
    assert_eq!((answered.len(), dropped.len()), (2, 2));
    for line in answered {
        let [late, service, response] =
            ["late_us", "service_us", "response_us"].map(|name| line[name].as_u64().unwrap());
        assert!(response >= service && response >= late, "{line}");
        assert_eq!(line["method"], "GET");
    }
    for line in dropped {
        assert_eq!(
            (line["dropped"].as_str(), &line["service_us"]),
            (Some("outside_time"), &serde_json::Value::Null)
        );
    }
}

#[test]
fn a_full_disk_costs_reports_and_is_said() {
    let target = Target::start(Behaviour::Answer);
    let flags = ["--speed", "max", "--report", "/dev/full", "--log-requests", "/dev/full"];
    let run = replay_four(&target, &flags).exits_with(0);
    assert_eq!(replayed(&run), (4, 4, vec![]));
    let stderr = run.stderr();
    assert!(stderr.contains("request log: 4 lines were lost: No space left"), "{stderr}");
    assert!(stderr.contains("/dev/full: the report could not be written"), "{stderr}");
    assert!(run.stdout().contains(r#"["lost",4]"#), "{}", run.stdout());
}

/// One request of each of these connections, which are open at the same time.
fn many(connections: Range<u32>) -> Vec<u8> {
    let talks: Vec<Talk> = connections
        .map(|n| Talk::between(&format!("10.1.{}.{}:40000", n / 250, n % 250 + 1), "10.0.0.1:80"))
        .map(|talk| talk.open().client(get("/1")))
        .collect();
    interleaved(&talks)
}

/// What replays 100 of them from its standard input, within these soft and hard limits of descriptors.
fn many_within(soft: u32, hard: u32, target: &Target, flags: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$0\" \"$@\"")])
        .arg(support::binary())
        .args(["replay", "--from", "-", "--to", &target.url(), "--json", "--speed", "max"])
        .args(["--max-connections", "100"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Lets it read all of them, and says what became of them, and what was said.
fn outcome_of_many(mut mirror: Child) -> (serde_json::Value, String) {
    mirror.stdin.take().unwrap().write_all(&many(0..100)).unwrap();
    let output = mirror.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn the_soft_limit_of_descriptors_is_no_limit() {
    let target = Target::start(Behaviour::Answer);
    let mirror = many_within(40, 400, &target, &[]).spawn().unwrap();
    let (summary, said) = outcome_of_many(mirror);
    assert_eq!(balanced(&summary, "shadow requests"), (100, 100, vec![]), "{said}");
    assert_eq!(said, "");
}

#[test]
fn where_descriptors_are_few_there_are_fewer_connections_and_no_request_is_lost() {
    let target = Target::start(Behaviour::Answer);
    let mirror = many_within(80, 80, &target, &[]).spawn().unwrap();
    let (summary, said) = outcome_of_many(mirror);
    assert_eq!(balanced(&summary, "shadow requests"), (100, 100, vec![]), "{said}");
    assert_eq!(said.matches("each target gets 40 at most").count(), 1, "{said}");
}

/// Length of a pcap file's own header, behind which packets follow.
const FILE_HEADER: usize = 24;

#[test]
fn want_of_descriptors_is_reported_once_and_is_not_the_targets_failure() {
    let target = Target::start(Behaviour::Hold);
    let workspace = Workspace::new();
    let said = workspace.path("said");
    let mut mirror = many_within(400, 400, &target, &["--breaker", "50%", "--retry-unsent", "1"])
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    mirror.stdin.as_mut().unwrap().write_all(&many(0..1)).unwrap();
    // When this one has come, all is open that is opened at the start.
    target.wait_for(1, PATIENCE);
    let process = mirror.id();
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let number = |entry: std::io::Result<DirEntry>| {
        entry.unwrap().file_name().to_str().unwrap().parse::<u32>().unwrap()
    };
    let taken: Vec<u32> = descriptors.map(number).collect();
    // Three numbers below it are free.
    let limit = (0..).filter(|number| !taken.contains(number)).nth(3).unwrap();
    let mut prlimit = Command::new("prlimit");
    prlimit.args(["--pid", &process.to_string(), &format!("--nofile={limit}:{limit}")]);
    assert!(prlimit.status().unwrap().success());
    mirror.stdin.take().unwrap().write_all(&many(1..100)[FILE_HEADER..]).unwrap();
    let lacks = || std::fs::read_to_string(&said).unwrap();
    until("it says so", || lacks().contains("no descriptor is left"));
    target.release();
    let output = mirror.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", lacks());
    let summary = serde_json::from_slice(&output.stdout).unwrap();
    let (_, answered, dropped) = balanced(&summary, "shadow requests");
    assert!((4..100).contains(&answered), "{dropped:?}");
    assert_eq!(dropped, [("no_descriptor".to_owned(), 100 - answered)]);
    assert_eq!(lacks().lines().count(), 1, "once, and no breaker opens for it: {}", lacks());
}
