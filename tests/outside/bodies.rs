//! What `mirror compare` makes of bodies that are broken, hostile or long: nothing is dropped in silence, and memory is
//! bounded whatever they hold.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::memory::peak_kib;
use crate::support::netns::until;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, binary, mirror};

/// Requests to each endpoint: enough for a verdict.
const REQUESTS: usize = 10;
/// A body that is kept, in a file, and too long to be taken apart.
const LONG: usize = 5 << 20;
/// One that is not kept.
const LONGER: usize = 17 << 20;
/// One that is longer than all memory that a comparison may take, and what it may take.
const HUGE: usize = 100 << 20;
const MOST_KIB: u64 = 64 << 10;
/// Bytes of one packet.
const SEGMENT: usize = 32 << 10;

/// A response as its sender writes it.
#[derive(Clone)]
struct Answer {
    status: u16,
    kind: &'static str,
    coding: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn new(kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, coding: "identity", body: body.into() }
    }

    fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new("application/json", body)
    }

    fn wire(&self) -> Vec<u8> {
        let Self { status, kind, coding, body } = self;
        let head = format!(
            "HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// Asks for each path so many times.
fn recording<'a>(answers: impl Iterator<Item = (&'a str, &'a Answer)>, times: usize) -> Vec<u8> {
    let mut talk = Talk::new().open();
    for (path, answer) in answers {
        for n in 0..times {
            talk = talk.client(format!("GET {path}?{n} HTTP/1.1\r\nHost: shop\r\n\r\n"));
            for part in answer.wire().chunks(SEGMENT) {
                talk = talk.server(part);
            }
        }
    }
    talk.close().pcap()
}

/// The differences of each endpoint, as `path class`.
fn differences(report: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let endpoints = report["endpoints"].as_array().unwrap().iter();
    let mut all: Vec<_> = endpoints
        .map(|endpoint| {
            let fields = endpoint["fields"].as_array().unwrap().iter();
            let fields =
                fields.map(|field| format!("{} {}", text(&field["path"]), text(&field["class"])));
            (text(&endpoint["name"]), fields.collect())
        })
        .collect();
    all.sort();
    all
}

fn compared(production: &[u8], candidate: &[u8], more: &[&str]) -> Value {
    let workspace = Workspace::new();
    let (from, with) =
        (workspace.file("prod.pcap", production), workspace.file("candidate.pcap", candidate));
    let args = [&["compare", "--from", &from, "--with", &with, "--json"], more].concat();
    let run = mirror(&args).exits_with(0);
    serde_json::from_str(&run.stdout()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_cannot_be_read_is_a_difference_of_its_own_and_no_pair_is_dropped() {
    let good = || Answer::json(r#"{"a":1}"#);
    let packed = |body: Vec<u8>| Answer { coding: "gzip", ..Answer::json(body) };
    let key = format!(r#"{{"{}":1}}"#, "k".repeat(1 << 20));
    let cases: [(&str, Answer, Answer, &[&str]); 15] = [
        ("/bomb", packed(gzip(b"{}")), packed(gzip(&vec![b' '; 64 << 20])), &["body unreadable"]),
        ("/both", Answer::json("{\"a\":1"), Answer::json("{\"a\":2"), &["body value"]),
        ("/broken", good(), Answer::json("{\"a\":"), &["body unreadable"]),
        ("/coding", packed(gzip(b"{}")), packed(b"no gzip".to_vec()), &["body unreadable"]),
        ("/deep", good(), Answer::json("[".repeat(100_000)), &["body unreadable"]),
        (
            "/deep-both",
            Answer::json("[".repeat(90_000)),
            Answer::json("[".repeat(90_001)),
            &["body value"],
        ),
        ("/empty", good(), Answer::json(""), &["body missing"]),
        (
            "/error",
            good(),
            Answer { status: 500, ..Answer::new("text/plain", "no") },
            &["status value"],
        ),
        (
            "/html",
            good(),
            Answer::new("text/html", "<script>alert(1)</script>"),
            &["body format", "header.content-type value"],
        ),
        (
            "/key",
            Answer::json(key.clone()),
            Answer::json(key.replace(":1", ":2")),
            &["body.* value"],
        ),
        (
            "/latin",
            Answer::new("text/plain", "caf\u{e9}"),
            Answer::new("text/plain", b"caf\xe9".to_vec()),
            &["body unreadable"],
        ),
        (
            "/plain",
            good(),
            Answer::new("text/plain", "{\"a\":1}"),
            &["body format", "header.content-type value"],
        ),
        (
            "/proto",
            Answer::json(r#"{"__proto__":{"a":1}}"#),
            Answer::json(r#"{"__proto__":{"a":2}}"#),
            &["body.__proto__.a value"],
        ),
        ("/same", Answer::json("{\"a\":1"), Answer::json("{\"a\":1"), &[]),
        (
            "/xml",
            Answer::new("text/xml", "<a/>"),
            Answer::new("text/xml", "<a>"),
            &["body unreadable"],
        ),
    ];
    let production = recording(cases.iter().map(|(path, left, ..)| (*path, left)), REQUESTS);
    let candidate = recording(cases.iter().map(|(path, _, right, _)| (*path, right)), REQUESTS);
    // With redaction, which withholds what it cannot read, and without.
    for redact in [&[][..], &["--redact", "none"]] {
        let report = compared(&production, &candidate, redact);
        assert_eq!(report["pairs"], cases.len() * REQUESTS, "{report:#}");
        for ((name, found), (path, _, _, expected)) in differences(&report).iter().zip(&cases) {
            assert_eq!(*name, format!("GET {path}"));
            let short: Vec<String> = found
                .iter()
                .map(|one| if one.len() > 200 { "body.* value".to_owned() } else { one.clone() })
                .collect();
            // Without redaction, both texts are compared.
            let is_text = redact.len() > 1 && (*path == "/both" || *path == "/deep-both");
            let expected = if is_text { &["body[] value"][..] } else { expected };
            assert_eq!(short, expected, "{path} {redact:?}");
        }
    }
}

#[test]
fn bodies_that_are_too_long_to_be_read_differ_by_their_digest() {
    let long = |length: usize, last: u8| {
        let mut body = vec![b'a'; length];
        body[length - 1] = last;
        Answer::new("text/plain", body)
    };
    for length in [LONG, LONGER] {
        let of = |last| {
            let answer = long(length, last);
            recording([("/a", &answer)].into_iter(), 1)
        };
        for redact in [&[][..], &["--redact", "none"]] {
            let found = |left, right| differences(&compared(&of(left), &of(right), redact));
            assert_eq!(found(b'x', b'x'), [("GET /a".to_owned(), vec![])], "{length} {redact:?}");
            let told = vec!["body value".to_owned()];
            assert_eq!(found(b'x', b'y'), [("GET /a".to_owned(), told)], "{length} {redact:?}");
        }
    }
}

#[test]
fn long_responses_of_a_candidate_differ_by_their_digest_however_they_are_framed() {
    let body = |last: u8| {
        let mut body = vec![b'a'; 2 << 20];
        body.push(last);
        body
    };
    let production = recording([("/a", &Answer::new("text/plain", body(b'x')))].into_iter(), 1);
    let workspace = Workspace::new();
    let from = workspace.file("prod.pcap", &production);
    let chunked = |last| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: identity\r\nTransfer-Encoding: chunked";
        let body = String::from_utf8(body(last)).unwrap();
        let (first, second) = body.split_at(1_000_001);
        format!(
            "{head}\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        )
    };
    for (last, expected) in [(b'x', vec![]), (b'y', vec!["body value".to_owned()])] {
        let answer = chunked(last);
        let target = Target::start(Behaviour::Serve(Arc::new(move |_| answer.clone())));
        let url = target.url();
        let run = mirror(&["compare", "--from", &from, "--to", &url, "--json"]).exits_with(0);
        let report: Value = serde_json::from_str(&run.stdout()).unwrap();
        assert_eq!(differences(&report), [("GET /a".to_owned(), expected)], "{report:#}");
    }
}

#[test]
fn memory_is_bounded_whatever_the_bodies_hold() {
    let workspace = Workspace::new();
    let write = |name: &str, last: u8| {
        let mut body = vec![b'a'; HUGE];
        body.push(last);
        let answers = [("/huge", Answer::new("application/json", body))];
        let answers = answers.iter().map(|(path, answer)| (*path, answer));
        workspace.file(name, &recording(answers, 1))
    };
    let (from, with) = (write("prod.pcap", b'x'), write("candidate.pcap", b'y'));
    let said = workspace.path("stderr");
    let mut child = Command::new(binary())
        .args(["compare", "--from", &from, "--with", &with, "--dashboard", "127.0.0.1:0", "--json"])
        .stdin(Stdio::null())
        .stdout(File::create(workspace.path("report.json")).unwrap())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    until("all is compared", || {
        fs::read_to_string(&said).unwrap_or_default().contains("stays until Ctrl-C")
    });
    let peak = peak_kib(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    let report = fs::read_to_string(workspace.path("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(differences(&report), [("GET /huge".to_owned(), vec!["body value".to_owned()])]);
    let peak = peak.expect("it ran");
    assert!(peak <= MOST_KIB, "{peak} KiB");
}
