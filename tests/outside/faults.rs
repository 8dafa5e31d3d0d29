//! Targets that fail in every way that targets fail in: the others get everything, every request has one
//! outcome, and memory stays flat. `docs/replay.md` has the same as a table.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::support::memory::peak_until_its_end;
use crate::support::netns::{patience, until};
use crate::support::summary::{account, balanced};
use crate::support::target::{Behaviour, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, binary, free_address, mirror};

/// What any of these runs may hold.
const MOST_KIB: u64 = 64 << 10;

/// So many connections with so many requests each.
const CONNECTIONS: u16 = 6;
const REQUESTS: u16 = 4;
const ALL: u64 = CONNECTIONS as u64 * REQUESTS as u64;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn capture() -> Vec<u8> {
    let talk = |n: u16| {
        let mut talk = Talk::between(&format!("10.0.0.2:{}", 40_000 + n), "10.0.0.1:8080").open();
        for path in 0..REQUESTS {
            let get = format!("GET /{n}/{path} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            talk = talk.client(get).server(ANSWER);
        }
        talk.close()
    };
    interleaved(&(0..CONNECTIONS).map(talk).collect::<Vec<_>>())
}

/// What became of the requests to a target that fails, beside one that does not: those that were
/// answered, and the reasons of the others.
fn beside_a_good_one(to: &str, flags: &[&str]) -> (u64, Vec<(String, u64)>) {
    let good = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let file = workspace.file("gets.pcap", &capture());
    let mut child = Command::new(binary())
        .args(["replay", "--from", &file, "--json", "--to", to, "--to", &good.url()])
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let summary = thread::spawn(|| serde_json::from_reader::<_, Value>(stdout).unwrap());
    let peak_kib = peak_until_its_end(&child);
    let summary = summary.join().unwrap();
    assert!(child.wait().unwrap().success(), "{summary:#}");
    assert!(peak_kib < MOST_KIB, "{peak_kib} KiB");
    assert_eq!(account(&summary, &format!("to {}", good.url())), (ALL, ALL, vec![]));
    let (seen, answered, dropped) = balanced(&summary, &format!("to {to}"));
    assert_eq!(seen, ALL, "{summary:#}");
    (answered, dropped)
}

const MAX: [&str; 2] = ["--speed", "max"];

/// All of them, for this one reason.
fn all(why: &str) -> (u64, Vec<(String, u64)>) {
    (0, vec![(why.to_owned(), ALL)])
}

#[test]
fn a_target_that_refuses() {
    assert_eq!(
        beside_a_good_one(&format!("http://{}", free_address()), &MAX),
        all("connect_refused")
    );
}

#[test]
fn a_target_that_resets_in_the_middle_of_a_response() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let target = Target::start(Behaviour::AnswerAndReset(part));
    let (answered, dropped) = beside_a_good_one(&target.url(), &MAX);
    assert_eq!(answered, 0);
    // The reset may be seen as the close that it also is.
    assert!(dropped.iter().all(|(why, _)| why == "reset" || why == "closed"), "{dropped:?}");
}

#[test]
fn a_target_that_never_responds() {
    let target = Target::start(Behaviour::Silence);
    let flags = [&MAX[..], &["--answer-timeout", "200ms"]].concat();
    assert_eq!(beside_a_good_one(&target.url(), &flags), all("answer_timeout"));
}

#[test]
fn a_target_that_responds_with_garbage() {
    let target = Target::start(Behaviour::AnswerAndClose(b"SSH-2.0-none\r\n".to_vec()));
    assert_eq!(beside_a_good_one(&target.url(), &MAX), all("bad_answer"));
}

#[test]
fn a_target_that_responds_with_100_mb() {
    let target = Target::start(Behaviour::AnswerLong(100_000_000));
    assert_eq!(beside_a_good_one(&target.url(), &MAX), (ALL, vec![]));
}

#[test]
fn a_target_that_closes_connections_silently() {
    let target = Target::start(Behaviour::AnswerAndClose(ANSWER.into()));
    // At the recorded times, so that it is closed when the next request is due.
    let (answered, dropped) = beside_a_good_one(&target.url(), &["--speed", "0.1"]);
    // One that goes out while the close comes is sent once more.
    assert_eq!((answered, dropped), (ALL, vec![]));
}

#[test]
fn a_target_that_closes_connections_while_requests_go_out() {
    let target = Target::start(Behaviour::AnswerOnce);
    assert_eq!(beside_a_good_one(&target.url(), &MAX), (ALL, vec![]));
    // Switched off, every second one is lost: the first of a connection is answered.
    let flags = [&MAX[..], &["--idle-close", "drop"]].concat();
    let target = Target::start(Behaviour::AnswerOnce);
    assert_eq!(
        beside_a_good_one(&target.url(), &flags),
        (ALL / 2, vec![("closed".to_owned(), ALL / 2)])
    );
}

#[test]
fn a_target_that_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    // As a server does that was asked in another language. Ends with the process.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert_eq!(beside_a_good_one(&url, &MAX), all("handshake_failed"));
}

#[test]
fn a_target_without_an_address() {
    // RFC 6761 §6.4: no name under it ever has one.
    assert_eq!(beside_a_good_one("http://staging.invalid:8080", &MAX), all("connect_failed"));
}

#[test]
fn a_target_that_responds_before_the_request_is_complete() {
    let target = Target::start(Behaviour::AnswerEarly);
    let body = vec![b'x'; 3 << 20];
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let talk = Talk::new().open().client([head.as_bytes(), &body].concat()).server(ANSWER).close();
    let workspace = Workspace::new();
    let file = workspace.file("post.pcap", &talk.pcap());
    let run = mirror(&["replay", "--from", &file, "--to", &target.url(), "--json"]);
    let summary: Value = serde_json::from_str(&run.exits_with(0).stdout()).unwrap();
    assert_eq!(account(&summary, "shadow requests"), (1, 1, vec![]), "413 is an answer");
}

/// How many bytes stand before the first packet of a classic pcap file.
const PCAP_HEADER_BYTES: usize = 24;

/// Asks once more in a capture that is being written, on a connection of its own.
fn ask(capture: &mut impl Write, n: u16) {
    let talk = Talk::between(&format!("10.0.0.2:{}", 1_024 + n), "10.0.0.1:8080")
        .open()
        .client(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .server(ANSWER)
        .close();
    let bytes = talk.pcap();
    let (_, packets) = bytes.split_at(if n == 0 { 0 } else { PCAP_HEADER_BYTES });
    capture.write_all(packets).expect("mirror reads on");
}

#[test]
fn a_target_that_disappears_and_returns() {
    let target = Target::start(Behaviour::Answer);
    let (address, to) = (target.address(), target.url());
    let good = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let log = workspace.path("requests.jsonl");
    let mut child = Command::new(binary())
        .args(["replay", "--from", "-", "--speed", "max", "--json", "--to", &to])
        .args(["--to", &good.url(), "--breaker-rest", "100ms", "--log-requests"])
        .arg(&log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut capture = child.stdin.take().unwrap();
    let mut asked = 0;
    let mut ask_until = |what: &str, condition: &dyn Fn() -> bool| {
        until(what, || {
            ask(&mut capture, asked);
            asked += 1;
            good.wait_for(asked.into(), patience());
            condition()
        });
    };
    ask_until("the target is reached", &|| !target.received().is_empty());
    drop(target);
    ask_until("requests are refused", &|| {
        std::fs::read_to_string(&log).is_ok_and(|lines| lines.contains("connect_refused"))
    });
    let back = Target::start_on(address, Behaviour::Answer);
    ask_until("the target is reached again", &|| !back.received().is_empty());
    drop(capture);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let asked = u64::from(asked);
    assert_eq!(account(&summary, &format!("to {}", good.url())), (asked, asked, vec![]));
    let (seen, answered, dropped) = balanced(&summary, &format!("to {to}"));
    assert!(seen == asked && answered >= 2, "{summary:#}");
    assert!(dropped.iter().any(|(why, _)| why == "connect_refused"), "{summary:#}");
}

#[test]
fn a_disk_that_is_full() {
    let good = Target::start(Behaviour::Answer);
    let flags = ["--speed", "max", "--report", "/dev/full", "--log-requests", "/dev/full"];
    assert_eq!(beside_a_good_one(&good.url(), &flags), (ALL, vec![]));
}
