//! `mirror stub` as its user has it: recordings in, and real clients that ask for what is in them.

#[path = "stub/client.rs"]
mod client;
#[path = "stub/collaborators.rs"]
mod collaborators;
#[path = "stub/hostile.rs"]
mod hostile;
#[path = "stub/recordings.rs"]
mod recordings;
#[path = "stub/tls.rs"]
mod tls;

use std::process::Command;

use self::client::{Stub, exchange, head_and_body};
use crate::support::netns::{succeed, timed};
use crate::support::summary::balanced;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::{Talk, interleaved};

fn get(target: &str, host: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn post(target: &str, media: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: users.internal\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One exchange after the other.
fn talk(exchanges: &[(String, String)]) -> Talk {
    let add =
        |talk: Talk, (request, response): &(String, String)| talk.client(request).server(response);
    exchanges.iter().fold(Talk::new().open(), add).close()
}

#[test]
fn odd_bytes_are_answered_as_they_were_recorded_over_one_connection() {
    // Case, order, white space, a byte that is no UTF-8, chunks with extensions and trailers, no reason phrase.
    let odd: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 200  Very  Fine\r\nx-B: 2\r\nX-a:\t 1 \r\nx-b:\r\nServer: caf\xe9\r\ncontent-LENGTH: 3\r\n\r\n\x00\xff\n".to_vec(),
        b"HTTP/1.1 201 Created\r\ntransfer-Encoding: chunked\r\n\r\n003;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n".to_vec(),
        b"HTTP/1.1 204 \r\n\r\n".to_vec(),
        b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ];
    let recorded = odd.iter().enumerate().fold(Talk::new().open(), |talk, (n, response)| {
        talk.client(get(&format!("/{n}"), "shop.example")).server(response)
    });
    let stub = Stub::of("odd.pcap", &recorded.close().pcap(), &["--redact", "none"]);
    let mut client = stub.connect();
    for _ in 0..2 {
        for (n, response) in odd.iter().enumerate() {
            client.send(get(&format!("/{n}"), "shop.example"));
            assert_eq!(client.receive(response.len()), *response, "{n}");
        }
    }
    // All at once, in one write.
    let requests: String = (0..4).map(|n| get(&format!("/{n}"), "shop.example")).collect();
    client.send(requests.repeat(50));
    let responses = odd.concat().repeat(50);
    assert_eq!(client.receive(responses.len()), responses);
    drop(client);
    let summary = stub.end(0);
    assert_eq!(balanced(&summary, "stub requests"), (208, 208, vec![]));
}

#[test]
fn a_response_without_a_length_ends_with_its_connection() {
    let response = "HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end";
    let recorded = Talk::new().open().client(get("/", "a")).server(response).close();
    let stub = Stub::of("close.pcap", &recorded.pcap(), &[]);
    assert_eq!(stub.ask(&get("/", "a")), response.as_bytes());
    // And one that the client wants to be the last.
    let recorded = talk(&[(get("/", "a"), ok("x"))]);
    let stub = Stub::of("close.pcap", &recorded.pcap(), &[]);
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(stub.ask(last), ok("x").as_bytes());
    assert_eq!(stub.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), ok("x").as_bytes());
}

#[test]
fn a_body_that_is_longer_than_memory_should_hold_is_answered_byte_for_byte() {
    let body: String = (0..3_000_000).map(|n| char::from(b'a' + (n / 7 % 26) as u8)).collect();
    let recorded = talk(&[(get("/big", "a"), ok(&body)), (get("/", "a"), ok("small"))]);
    let stub = Stub::of("big.pcap", &recorded.pcap(), &["--redact", "none"]);
    let mut client = stub.connect();
    let expected = ok(&body).into_bytes();
    for _ in 0..2 {
        client.send(get("/big", "a") + &get("/", "a"));
        assert!(client.receive(expected.len()) == expected, "3 MB, byte for byte");
        assert_eq!(client.receive(ok("small").len()), ok("small").as_bytes());
    }
}

#[test]
fn a_request_is_recognized_by_what_it_says() {
    let json = "application/json";
    let recorded = talk(&[
        (post("/users", json, r#"{"name":"Ada","age":36,"at":1}"#), ok("ada")),
        (post("/users", json, r#"{"name":"Bob","age":40,"at":2}"#), ok("bob")),
        (post("/login", "application/x-www-form-urlencoded", "user=ada&lang=en"), ok("form")),
        (get("/search?q=a&page=1", "users.internal"), ok("search")),
        (get("/orders/5001", "users.internal"), ok("order")),
    ]);
    let flags = ["--ignore-body", "$.at", "--ignore-query", "ts", "--template", "/orders/{id}"];
    let stub = Stub::of("users.pcap", &recorded.pcap(), &flags);
    for (request, text) in [
        (post("/users", json, "{ \"age\": 40.0,\n \"at\": 99, \"name\": \"B\\u006fb\" }"), "bob"),
        (post("/login", "application/x-www-form-urlencoded", "lang=en&user=%61da"), "form"),
        (get("/search?ts=7&page=1&q=%61", "users.internal"), "search"),
        (get("/orders/77", "users.internal"), "order"),
        // To a proxy, and by the address of the server itself.
        (get("http://users.internal/search?q=a&page=1", "users.internal"), "search"),
        (get("/orders/5001", "127.0.0.1:9100"), "order"),
    ] {
        assert_eq!(String::from_utf8_lossy(&exchange(&stub, &request)), ok(text), "{request}");
    }
}

#[test]
fn what_was_not_recorded_is_refused_and_says_what_differs() {
    let json = "application/json";
    let recorded = talk(&[
        (get("/v1/users?source=web", "users.internal"), ok("x")),
        (post("/v1/users", json, r#"{"user":{"name":"Ada","tags":["a"]}}"#), ok("y")),
    ]);
    let stub = Stub::of(
        "users.pcap",
        &recorded.pcap(),
        &["--admin", "127.0.0.1:0", "--fail-on", "misses>0"],
    );
    let mut client = stub.connect();
    for (request, nearest, lines) in [
        (
            get("/v1/users?source=app", "users.internal"),
            "0-0; differs=query",
            ["first difference: query parameter \"source\"", "  recorded: web", "  asked: app"],
        ),
        (
            post("/v1/users", json, r#"{"user":{"name":"Ada","tags":["b"]}}"#),
            "0-1; differs=body",
            ["first difference: body at $.user.tags[0]", "  recorded: \"a\"", "  asked: \"b\""],
        ),
        (
            get("/v1/users?source=web", "users.internal").replace("GET", "DELETE"),
            "0-0; differs=method",
            ["first difference: method", "  recorded: GET", "  asked: DELETE"],
        ),
        (
            get("/v1/orders/123", "users.internal"),
            "0-0; differs=path",
            ["first difference: path", "  recorded: /v1/users", "  asked: /v1/orders/123"],
        ),
        (
            get("/v1/users?source=web", "payments.internal"),
            "0-0; differs=host",
            ["first difference: host", "  recorded: users.internal", "  asked: payments.internal"],
        ),
    ] {
        client.send(&request);
        let (head, body) = head_and_body(&client.response());
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
        assert!(head.contains(&format!("\r\nX-Mirror-Stub: miss; nearest={nearest}")), "{head}");
        for line in lines {
            assert!(body.lines().any(|it| it == line), "no {line:?} in {body}");
        }
    }
    // The connection goes on.
    client.send(get("/v1/users?source=web", "users.internal"));
    assert_eq!(client.response(), ok("x").as_bytes());
    let samples = stub.endpoint().scrape();
    samples.assert_sums_hold();
    let missed = |template: &str| {
        samples.sum("mirror_detail_total", &[("topic", "stub_misses"), ("detail", template)])
    };
    assert_eq!(missed("GET /v1/users"), 2.0);
    assert_eq!(missed("GET /v1/orders/{id}"), 1.0);
    let labels = [("seam", "stub_requests"), ("reason", "missed")];
    assert_eq!(samples.sum("mirror_dropped_total", &labels), 5.0);
    let said = stub.said();
    // The log has no captured bytes: which exchange, which part.
    assert!(said.contains("the nearest is exchange 0-1, its body differs first"), "{said}");
    assert!(!said.contains("v1/users") && !said.contains("Ada"), "{said}");
    let summary = stub.end(1);
    assert_eq!(balanced(&summary, "stub requests"), (6, 1, vec![("missed".to_owned(), 5)]));
}

#[test]
fn several_services_share_one_port() {
    let between = |port: u16| Talk::between(&format!("10.0.0.2:{port}"), "10.0.0.1:8080").open();
    let pcap = interleaved(&[
        between(40_000).client(get("/health", "users.prod")).server(ok("users")).close(),
        between(40_001).client(get("/health", "orders.prod:8080")).server(ok("orders")).close(),
    ]);
    let flags = [
        "--alias",
        "orders.test=orders.prod:8080",
        "--alias",
        "stub.test",
        "--pass",
        "passed.test=127.0.0.1:1",
    ];
    let stub = Stub::of("two.pcap", &pcap, &flags);
    for (host, said) in
        [("users.prod", "users"), ("orders.prod", "orders"), ("orders.test:9100", "orders")]
    {
        let answer = exchange(&stub, &get("/health", host));
        assert_eq!(String::from_utf8_lossy(&answer), ok(said), "{host}");
    }
    for (host, said) in [
        ("stub.test", "several hosts have a recorded response"),
        ("other.prod", "first difference: host"),
        ("passed.test", "--pass did not give a whole response"),
    ] {
        let (head, body) = head_and_body(&exchange(&stub, &get("/health", host)));
        assert!(head.starts_with("HTTP/1.1 50"), "{head}");
        assert!(body.contains(said), "{body}");
    }
}

#[test]
fn repeated_requests_get_their_responses_in_order() {
    let job = |state: &str| (get("/job", "a"), ok(state));
    let recorded = talk(&[job("pending"), job("pending"), job("done")]);
    for (after_last, last) in [("repeat", "done"), ("again", "pending")] {
        let stub = Stub::of("job.pcap", &recorded.pcap(), &["--after-last", after_last]);
        let mut client = stub.connect();
        for state in ["pending", "pending", "done", last] {
            client.send(get("/job", "a"));
            assert_eq!(client.response(), ok(state).as_bytes());
        }
    }
    let stub = Stub::of("job.pcap", &recorded.pcap(), &["--after-last", "fail"]);
    let mut client = stub.connect();
    client.send(get("/job", "a").repeat(4));
    for state in ["pending", "pending", "done"] {
        assert_eq!(client.response(), ok(state).as_bytes());
    }
    let (_, body) = head_and_body(&client.response());
    assert!(body.starts_with("mirror stub: all recorded responses were given"), "{body}");
    drop(client);
    assert_eq!(balanced(&stub.end(0), "stub requests"), (4, 3, vec![("exhausted".to_owned(), 1)]));
}

#[test]
fn a_response_takes_its_recorded_time_and_faults_happen_where_they_are_asked_for() {
    let recorded = Talk::new()
        .open()
        .client(get("/slow", "a"))
        .acknowledged()
        .pause_millis(200)
        .server(ok("slow"));
    let recorded = recorded.client(get("/", "a")).server(ok("x")).close();
    let flags =
        ["--latency", "2x", "--fault", "status=503 50% GET /", "--fault", "reset /broken/**"];
    let stub = Stub::of("slow.pcap", &recorded.pcap(), &flags);
    let mut client = stub.connect();
    let fault = "HTTP/1.1 503 \r\nContent-Length: 0\r\nX-Mirror-Stub: fault\r\n\r\n";
    for said in [ok("x"), fault.to_owned(), ok("x"), fault.to_owned()] {
        client.send(get("/", "a"));
        assert_eq!(String::from_utf8_lossy(&client.response()), said);
    }
    let took = timed(|| {
        client.send(get("/slow", "a"));
        assert_eq!(client.response(), ok("slow").as_bytes());
    });
    assert!(took.as_millis() >= 400, "{took:?}");
    client.send(get("/broken/1", "a"));
    let error = client.read_to_end().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let summary = stub.end(0);
    assert_eq!(balanced(&summary, "stub requests"), (6, 3, vec![("fault".to_owned(), 3)]));
}

#[test]
fn only_a_host_that_is_named_is_asked_for_what_was_not_recorded() {
    let real = Target::start(Behaviour::Answer);
    let recorded = talk(&[(get("/known", "users.internal"), ok("recorded"))]);
    let pass = format!("users.internal={}", real.address());
    let stub = Stub::of("users.pcap", &recorded.pcap(), &["--pass", &pass]);
    assert_eq!(exchange(&stub, &get("/known", "users.internal")), ok("recorded").as_bytes());
    let request = "POST http://users.internal/new?a=1 HTTP/1.1\r\nHost: users.internal\r\nX-Odd:  1\r\n\
                   Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (head, _) = head_and_body(&stub.ask(request));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let received = real.wait_for(1, crate::support::netns::patience());
    let head = String::from_utf8_lossy(&received[0].head).into_owned();
    assert_eq!(
        head,
        "POST /new?a=1 HTTP/1.1\r\nHost: users.internal\r\nX-Odd: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    );
    // Another host stays here.
    let (head, _) = head_and_body(&exchange(&stub, &get("/new", "other.internal")));
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    let dropped = vec![("missed".to_owned(), 1), ("passed".to_owned(), 1)];
    assert_eq!(balanced(&stub.end(0), "stub requests"), (3, 1, dropped));
}

#[test]
fn curl_gets_it_as_from_a_server_and_through_a_proxy() {
    let recorded = talk(&[
        (get("/v1/users/42", "users.internal:8080"), ok("forty-two")),
        (
            post("/v1/users", "application/json", r#"{"name":"Ada"}"#)
                .replace("users.internal", "users.internal:8080"),
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                .to_owned(),
        ),
    ]);
    let stub = Stub::of("users.pcap", &recorded.pcap(), &[]);
    let curl = |args: &[&str]| {
        let output = succeed(Command::new("curl").args(["-sS", "--max-time", "20"]).args(args));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let address = stub.address();
    let proxy = format!("http://{address}");
    assert_eq!(curl(&["-x", &proxy, "http://users.internal:8080/v1/users/42"]), "forty-two");
    let own = format!("http://{address}/v1/users/42");
    // Two requests over one connection: curl says how many it made.
    let twice = curl(&["-w", "/%{num_connects} ", &own, &own]);
    assert_eq!(twice, "forty-two/1 forty-two/0 ");
    let json = ["-H", "Content-Type: application/json", "-d", r#"{ "name": "Ada" }"#];
    let to = format!("http://{address}/v1/users");
    // A body for which curl waits until it is told to go on.
    let waits = ["-H", "Expect: 100-continue", "-w", " %{http_code}"];
    assert_eq!(curl(&[&json[..], &waits, &[to.as_str()]].concat()), "ok 201");
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{own}?x")]), "502");
}
