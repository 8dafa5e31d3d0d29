//! Clients that do not behave, and recordings that hold nothing to answer with.

use std::io::Write;

use super::client::{Stub, exchange, head_and_body};
use super::{get, ok, talk};
use crate::support::netns::until;
use crate::support::summary::balanced;
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

#[test]
fn what_is_no_request_gets_a_last_response_and_a_counter() {
    let stub = Stub::of(
        "a.pcap",
        &talk(&[(get("/", "a"), ok("x"))]).pcap(),
        &["--max-body", "1KiB", "--admin", "127.0.0.1:0"],
    );
    for (request, status, why) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400", "no_host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400", "repeated_host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n".to_owned(), "400", "space_before_colon"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(), "400", "bad_length"),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), "400", "method"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400", "version"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n".to_owned(),
            "400",
            "bad_chunk_size",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n".to_owned(),
            "413",
            "--max-body",
        ),
        (
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
            "431",
            "head_too_large",
        ),
    ] {
        let (head, body) = head_and_body(&stub.ask(&request));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{request:.60}");
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        assert!(body.contains(why), "{body}");
    }
    let (head, _) =
        head_and_body(&exchange(&stub, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 501 "), "{head}");
    // A client that goes in the middle of its request.
    let mut client = stub.connect();
    client.send("GET / HTTP/1.1\r\nHo");
    drop(client);
    let labels = [("seam", "stub_requests"), ("reason", "unfinished")];
    until("its end is noticed", || {
        stub.endpoint().scrape().sum("mirror_dropped_total", &labels) == 1.0
    });
    // What came before what is no request is answered.
    let answer = stub.ask(&(get("/", "a") + "nonsense\r\n\r\n"));
    assert!(answer.starts_with(ok("x").as_bytes()));
    let summary = stub.end(0);
    let dropped: Vec<(String, u64)> =
        [("missed", 1), ("malformed", 8), ("too_large", 2), ("unfinished", 1)]
            .map(|(why, n)| (why.to_owned(), n))
            .to_vec();
    assert_eq!(balanced(&summary, "stub requests"), (13, 1, dropped));
}

#[test]
fn clients_that_never_read_and_never_end_disturb_nobody_and_are_counted() {
    let body = "x".repeat(900_000);
    let recorded = talk(&[(get("/big", "a"), ok(&body)), (get("/", "a"), ok("x"))]);
    let stub = Stub::of("a.pcap", &recorded.pcap(), &[]);
    // Each asks for 90 MB and reads nothing; or begins a request and says no more.
    let deaf: Vec<_> = (0..20)
        .map(|_| {
            let mut client = stub.connect();
            client.send(get("/big", "a").repeat(100));
            client
        })
        .collect();
    let mute: Vec<_> = (0..20)
        .map(|_| {
            let mut client = stub.connect();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx");
            client
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(exchange(&stub, &get("/", "a")), ok("x").as_bytes());
    }
    let summary = stub.end(0);
    drop((deaf, mute));
    let (seen, served, dropped) = balanced(&summary, "stub requests");
    let stopped = dropped.iter().find(|(why, _)| why == "stopped").map_or(0, |(_, n)| *n);
    let not_read = dropped.iter().find(|(why, _)| why == "not_read").map_or(0, |(_, n)| *n);
    assert_eq!(seen, served + stopped + not_read, "{dropped:?}");
    assert!(stopped + not_read >= 20, "each of the deaf waits: {dropped:?}");
}

#[test]
fn every_wait_for_a_client_ends() {
    let body = "x".repeat(900_000);
    let recorded = talk(&[(get("/big", "a"), ok(&body))]);
    let authority = Workspace::new();
    let times = ["--client-timeout", "100ms", "--idle-timeout", "200ms"];
    let tls = ["--tls-authority", authority.path("made").to_str().unwrap()].map(str::to_owned);
    let flags = [&times[..], &["--admin", "127.0.0.1:0"], &[&tls[0], &tls[1]]].concat();
    let stub = Stub::of("a.pcap", &recorded.pcap(), &flags);
    // One that begins a request, and says no more.
    let (head, _) = head_and_body(&stub.ask("POST /big HTTP/1.1\r\nHost: a\r\n"));
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    // One that says nothing at all, and one that says nothing after a request.
    assert_eq!(stub.ask(""), b"");
    assert_eq!(stub.ask(&get("/big", "a")), ok(&body).as_bytes());
    // One that begins a handshake (RFC 8446 §5.1), and goes no further.
    assert_eq!(stub.ask("\u{16}\u{3}\u{1}\u{2}\0"), b"");
    // One that asks for more than the kernel's buffers hold, and reads nothing.
    let mut deaf = stub.connect();
    deaf.send(get("/big", "a").repeat(100));
    let labels = [("seam", "stub_requests"), ("reason", "not_read")];
    until("it is given up", || stub.endpoint().scrape().sum("mirror_dropped_total", &labels) > 0.0);
    let failed = [("topic", "stub_connections"), ("detail", "handshakes_failed")];
    assert_eq!(stub.endpoint().scrape().sum("mirror_detail_total", &failed), 1.0);
    let (seen, served, dropped) = balanced(&stub.end(0), "stub requests");
    let reasons: Vec<&str> = dropped.iter().map(|(why, _)| why.as_str()).collect();
    assert_eq!(reasons, ["unfinished", "not_read"]);
    assert_eq!(seen, served + dropped.iter().map(|(_, n)| n).sum::<u64>());
}

#[test]
fn beyond_the_connections_clients_wait_for_their_turn() {
    let recorded = talk(&[(get("/", "a"), ok("x"))]);
    let stub = Stub::of("a.pcap", &recorded.pcap(), &["--connections", "1"]);
    let mut first = stub.connect();
    first.send(get("/", "a"));
    assert_eq!(first.response(), ok("x").as_bytes());
    let mut second = stub.connect();
    second.send(get("/", "a"));
    second.stream.set_nonblocking(true).unwrap();
    let error = second.stream.peek(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    until("the second has its turn", || second.stream.peek(&mut [0]).is_ok());
}

#[test]
fn recordings_without_anything_to_answer_are_refused_with_the_reason() {
    let workspace = Workspace::new();
    let stub =
        |from: &str| mirror(&["stub", "--listen", "127.0.0.1:0", "--from", from]).exits_with(2);
    let asked = Talk::new().open().client(get("/", "a")).close().pcap();
    let empty = workspace.file("asked.pcap", &asked);
    let said = stub(&empty).stderr();
    assert!(said.contains("can be given again (no_response 1)"), "{said}");
    let nothing = workspace.file("nothing.jsonl", b"\n\n");
    let said = stub(&nothing).stderr();
    assert!(said.contains("no exchange was found in it"), "{said}");
    let other = workspace.file("other.jsonl", b"{\"a\":1}\nno json\n");
    let said = stub(&other).stderr();
    assert!(said.contains("other.jsonl, line 1: not_an_exchange"), "{said}");
    stub("/nowhere/x.jsonl").complains(&["/nowhere/x.jsonl", "cannot be read"]);
    stub("eth0").complains(&["eth0: not a file"]);
    let folder = workspace.path("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::File::create(folder.join("notes.txt")).unwrap().write_all(b"x").unwrap();
    stub(folder.to_str().unwrap()).complains(&["holds no recording"]);
    for (flag, value) in [
        ("--max-body", "1GiB"),
        ("--match-header", "a b"),
        ("--ignore-body", "$["),
        ("--alias", "http://x"),
        ("--pass", ""),
        ("--fault", "crash"),
        ("--latency", "fast"),
        ("--idle-timeout", "0s"),
        ("--client-timeout", "0s"),
        ("--fail-on", "errors>0"),
        ("--template", "orders"),
    ] {
        let run = mirror(&["stub", "--from", &empty, flag, value]).exits_with(2);
        assert!(run.stderr().contains(flag), "{}", run.stderr());
    }
}
