//! Every recording of the repository is answered from, as packets and as JSON lines.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::client::{Stub, head_and_body};
use super::{get, ok, talk};
use crate::support::summary::balanced;
use crate::support::{Workspace, mirror};

fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps")
}

/// The exchanges of a file of JSON lines that have a whole request and a whole response, in the order of their
/// requests, and the sequence of responses that each request has.
fn exchanges(lines: &str) -> Vec<Value> {
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_whole = |message: &Value| message["complete"] == true;
    let mut whole: Vec<Value> = all
        .filter(|one| is_whole(&one["request"]) && is_whole(&one["response"]))
        .filter(|one| one["response"]["status"] != 101)
        .collect();
    whole.sort_by_key(|one| one["request"]["time"].as_str().unwrap().to_owned());
    whole
}

fn content(message: &Value) -> Vec<u8> {
    message["body"].as_str().map(|body| BASE64.decode(body).unwrap()).unwrap_or_default()
}

/// The request of an exchange, its body with a length.
fn request(exchange: &Value) -> Vec<u8> {
    let request = &exchange["request"];
    let mut head = format!(
        "{} {} HTTP/1.1\r\n",
        request["method"].as_str().unwrap(),
        request["target"].as_str().unwrap()
    );
    let body = content(request);
    for field in request["headers"].as_array().unwrap() {
        let (name, value) = (field[0].as_str().unwrap(), field[1].as_str().unwrap());
        let left_out = ["content-length", "transfer-encoding", "expect", "connection"];
        if !left_out.contains(&name.to_ascii_lowercase().as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !head.to_ascii_lowercase().contains("\r\nhost:") {
        head.push_str("Host: 127.0.0.1\r\n");
    }
    head.push_str(&format!("Connection: close\r\nContent-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), &body].concat()
}

/// A response's content, however it is framed.
fn decoded(head: &str, body: &[u8]) -> Vec<u8> {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_vec();
    }
    let mut content = Vec::new();
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap().trim(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

#[track_caller]
fn is_answered(stub: &Stub, exchange: &Value, name: &str) {
    let asked = request(exchange);
    let mut client = stub.connect();
    client.send(&asked);
    let answer = client.read_to_end().unwrap();
    let mut at = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut head = String::from_utf8_lossy(&answer[..at]).into_owned();
    // An interim one comes before it.
    if head.starts_with("HTTP/1.1 1") {
        let next = answer[at..].windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        head = String::from_utf8_lossy(&answer[at..at + next]).into_owned();
        at += next;
    }
    let response = &exchange["response"];
    let what = format!("{name} {}: {head}", String::from_utf8_lossy(&asked));
    assert_eq!(head.split(' ').nth(1), Some(response["status"].to_string().as_str()), "{what}");
    let fields: Vec<String> = response["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| format!("{}: {}", field[0].as_str().unwrap(), field[1].as_str().unwrap()))
        .collect();
    let mut lines = head.trim_end().split("\r\n");
    lines.next();
    assert_eq!(lines.collect::<Vec<_>>(), fields, "{what}");
    assert_eq!(decoded(&head, &answer[at..]), content(response), "{what}");
}

#[test]
fn every_recording_of_the_repository_is_answered_from_packets_and_from_lines() {
    let mut answered = 0;
    for entry in fs::read_dir(pcaps()).unwrap() {
        let pcap = entry.unwrap().path();
        let lines = pcap.with_extension("jsonl");
        if pcap.extension().is_none_or(|ending| ending != "pcap") {
            continue;
        }
        let exchanges = exchanges(&fs::read_to_string(&lines).unwrap());
        if exchanges.is_empty() {
            continue;
        }
        for from in [&pcap, &lines] {
            let from = from.to_str().unwrap();
            let flags = ["--from", from, "--redact", "none", "--latency", "none"];
            let stub = Stub::start(Workspace::new(), &flags);
            for exchange in &exchanges {
                is_answered(&stub, exchange, from);
                answered += 1;
            }
            let summary = stub.end(0);
            let count = exchanges.len() as u64;
            assert_eq!(balanced(&summary, "stub requests"), (count, count, vec![]), "{from}");
        }
    }
    assert!(answered >= 50, "{answered}");
}

#[test]
fn what_capture_wrote_is_answered_from_and_several_recordings_are_one() {
    let workspace = Workspace::new();
    let chunked = "HTTP/1.1 200 OK\r\nX-Odd: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n";
    let recorded = talk(&[(get("/chunked", "a"), chunked.to_owned()), (get("/", "a"), ok("one"))]);
    let pcap = workspace.file("one.pcap", &recorded.pcap());
    let folder = workspace.path("recordings");
    fs::create_dir(&folder).unwrap();
    let lines = folder.join("one.jsonl");
    mirror(&["capture", "--from", &pcap, "--to", lines.to_str().unwrap()]).exits_with(0);
    fs::write(folder.join("two.pcap"), talk(&[(get("/two", "b"), ok("two"))]).pcap()).unwrap();
    let three = talk(&[(get("/three", "c"), ok("three"))]);
    let (three, har) = (workspace.file("three.pcap", &three.pcap()), folder.join("three.har"));
    mirror(&["capture", "--from", &three, "--to", har.to_str().unwrap()]).exits_with(0);
    fs::write(folder.join("notes.txt"), "no recording").unwrap();
    let stub = Stub::start(workspace, &["--from", folder.to_str().unwrap()]);
    let mut client = stub.connect();
    client.send(get("/chunked", "a"));
    // In one chunk: their sizes were not written down.
    let expected = "HTTP/1.1 200 OK\r\nX-Odd: a\r\ntransfer-encoding: chunked\r\n\r\n\
                    5\r\nabcde\r\n0\r\nX-T: 1\r\n\r\n";
    assert_eq!(client.receive(expected.len()), expected.as_bytes());
    client.send(get("/", "a") + &get("/two", "b") + &get("/three", "c"));
    assert_eq!(client.response(), ok("one").as_bytes());
    assert_eq!(client.response(), ok("two").as_bytes());
    let (_, body) = head_and_body(&client.response());
    assert_eq!(body, "three");
}

#[test]
fn a_line_that_cannot_be_read_is_counted_and_the_others_are_answered() {
    let good = r#"{"id":"1-0","request":{"method":"GET","target":"/","headers":[["Host","a"]]},"response":{"status":200,"reason":"OK","headers":[["Content-Length","2"]],"body":"b2s="}}"#;
    let broken = [
        "no json".to_owned(),
        good.replace("\"GET\"", "\"G T\""),
        good.replace("\"a\"]", "\"a\\r\\nX: y\"]"),
        good.replace("b2s=", "b2s"),
        good.replace("200", "101"),
        "x".repeat(17 << 20),
    ];
    let text = [&broken[..], &[good.to_owned()]].concat().join("\n");
    let stub = Stub::of("mixed.jsonl", text.as_bytes(), &[]);
    let mut client = stub.connect();
    client.send(get("/", "a"));
    let (head, body) = head_and_body(&client.response());
    assert_eq!((head.as_str(), body.as_str()), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "ok"));
    assert!(stub.said().contains("6 lines could not be read"), "{}", stub.said());
    let summary = stub.end(0);
    let dropped = [
        ("not_an_exchange", 1),
        ("too_long", 1),
        ("bad_head", 2),
        ("bad_body", 1),
        ("switched", 1),
    ];
    let dropped = dropped.map(|(why, n)| (why.to_owned(), n)).to_vec();
    assert_eq!(balanced(&summary, "lines"), (7, 1, dropped));
}
