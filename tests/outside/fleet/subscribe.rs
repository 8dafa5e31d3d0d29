//! What comes out of a stream is what went in.

use serde_json::Value;

use super::hosts::OK;
use super::{Host, requests};
use crate::support::nats::Nats;
use crate::support::summary::balanced;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

/// Publishes a capture with its responses, and says what came of it.
fn publish(file: &str, stream: &str) -> Value {
    let run = mirror(&["replay", "--from", file, "--to", stream, "--publish-responses", "--json"])
        .exits_with(0);
    serde_json::from_str(&run.stdout()).unwrap()
}

/// The lines of a capture, without what depends on where it was read: the interface.
fn lines(workspace: &Workspace, from: &str, name: &str) -> Vec<Value> {
    let to = workspace.path(name);
    let to = to.to_str().unwrap();
    mirror(&["capture", "--from", from, "--to", to, "--redact", "none"]).exits_with(0);
    let text = std::fs::read_to_string(to).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object_mut().unwrap();
        fields.remove("interface");
        let id = fields.remove("id").unwrap();
        // The run's number stands before that of the connection.
        let id = id
            .as_str()
            .unwrap()
            .rsplit_once('.')
            .map_or(id.as_str().unwrap(), |(_, id)| id)
            .to_owned();
        fields.insert("id".into(), id.into());
        line
    };
    let mut lines: Vec<Value> = text.lines().map(line).collect();
    lines.sort_by_key(|line| line["id"].as_str().unwrap().to_owned());
    lines
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_what_comes_out_of_a_stream_is_what_went_in() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    let stream = server.stream("prod");
    // A body in three parts, chunks with an extension and a trailer, a head in odd case, HEAD, and a gap.
    let long = "0123456789abcdef".repeat(150_000);
    let upload =
        format!("PUT /long HTTP/1.1\r\nhOST: shop\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let chunked = "POST /c HTTP/1.1\r\nHost:  shop \r\nTransfer-Encoding: chunked\r\n\r\n\
                   3;a=b\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let answer = "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let mut talk = Talk::new().open();
    for part in upload.as_bytes().chunks(60_000) {
        talk = talk.client(part);
    }
    let talk = talk.server(OK).client(chunked).server(answer);
    let talk = talk
        .client("HEAD /h HTTP/1.1\r\nHost: shop\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let file = workspace.file("talk.pcap", &talk.close().pcap());
    let published = publish(&file, &stream);
    assert_eq!(balanced(&published, "published"), (3, 3, vec![]));
    let (before, after) =
        (lines(&workspace, &file, "before.jsonl"), lines(&workspace, &stream, "after.jsonl"));
    assert_eq!(before.len(), 3);
    assert_eq!(before, after);
    // Whoever reads a range takes nothing from others.
    assert_eq!(lines(&workspace, &stream, "once-more.jsonl"), after);
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_a_group_goes_on_where_it_was_and_another_begins_anew() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    let (stream, target) = (server.stream("prod"), Target::start(Behaviour::Answer));
    let to = format!("http://{}", target.address());
    let taken = |group: &str, wanted: usize, before: usize| {
        let host = Host::start(
            &workspace,
            "replayer",
            &["replay", "--from", &stream, "--to", &to, "--group", group],
        );
        target.wait_for(before + wanted, super::hosts::PATIENCE);
        let summary = host.stop();
        let (seen, delivered, dropped) = balanced(&summary, "shadow requests");
        assert_eq!(
            (seen, delivered, dropped),
            (wanted as u64, wanted as u64, vec![]),
            "{summary:#}"
        );
    };
    publish(&workspace.file("a.pcap", &requests("a", 4, 5)), &stream);
    taken("blue", 20, 0);
    publish(&workspace.file("b.pcap", &requests("b", 2, 5)), &stream);
    taken("blue", 10, 20);
    taken("green", 30, 30);
    assert_eq!(target.received().len(), 60);
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_what_is_no_envelope_is_counted_by_its_reason() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    let stream = server.stream("prod");
    publish(&workspace.file("a.pcap", &requests("a", 1, 2)), &stream);
    server.publish("prod.shard.0", b"\x08\x02");
    server.publish("prod.shard.0", b"not an envelope");
    server.publish("prod.shard.0", b"\x08\x01\x12\x01a\x38\x01\x4a\x05\x1a\x01x\x40\x07");
    let run = mirror(&["inspect", "--from", &stream, "--summary", "--json"]).exits_with(0);
    let summary: Value = serde_json::from_str(&run.stdout()).unwrap();
    let (seen, delivered, mut dropped) = balanced(&summary, "stream messages");
    dropped.sort();
    let reason = |name: &str| (name.to_owned(), 1);
    assert_eq!((seen, delivered), (7, 4), "two requests and two responses");
    assert_eq!(dropped, [reason("damaged"), reason("forged_size"), reason("other_version")]);
}
