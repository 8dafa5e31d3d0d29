use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::http::message::{Body, ConnectionId, Exchange, Kept, Message, Moment};
use crate::http::whole;
use crate::packet::InterfaceId;
use crate::stub::Skipped;
use crate::stub::canonical::Facts;
use crate::stub::options::{Latency, Options};
use crate::tcp::event::Peers;

fn options() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        connections: 1,
        idle_timeout: Duration::from_secs(300),
        client_timeout: Duration::from_secs(30),
        max_body: 1 << 20,
        matching: Matching::default(),
        aliases: Vec::new(),
        after_last: AfterLast::Repeat,
        by_state: false,
        latency: Latency(0.0),
        faults: Vec::new(),
        pass: std::collections::HashMap::new(),
    }
}

fn message(wire: &str, is_request: bool, at: u64) -> Arc<Message> {
    let wire = Bytes::copy_from_slice(wire.as_bytes());
    let read = if is_request { whole::request(&wire) } else { whole::response(&wire, false) };
    let (head, mut body) = read.expect("a message");
    if let Kept::Memory(bytes) = &body.wire
        && bytes.is_empty()
    {
        body = Body { wire: Kept::Nothing, ..body };
    }
    let time = Timestamp::from_nanos(at * 1_000_000);
    let (started, finished, flaws) = (time, time, Default::default());
    Arc::new(Message { started, finished, head, body, incomplete: None, flaws })
}

/// Collects exchanges: each with the milliseconds at which it was asked and answered.
struct Recorder {
    builder: Builder,
    count: u32,
}

impl Recorder {
    fn new(options: Options) -> Self {
        Self::within(options, MAX_BOOK_BYTES)
    }

    fn within(options: Options, bytes: usize) -> Self {
        Self { builder: Builder::new(Arc::new(options), bytes), count: 0 }
    }

    fn add(mut self, request: &str, response: &str) -> Self {
        let at = u64::from(self.count) * 10;
        let exchange =
            self.exchange(message(request, true, at), Some(message(response, false, at + 3)));
        self.builder.add(&exchange);
        self
    }

    fn exchange(&mut self, request: Arc<Message>, response: Option<Arc<Message>>) -> Exchange {
        self.count += 1;
        let server = SocketAddr::from(([10, 0, 0, 1], 8080));
        let peers = Peers { client: server, server, interface: InterfaceId(0) };
        Exchange {
            id: ExchangeId { connection: ConnectionId::local(7), index: self.count - 1 },
            moment: Moment::Ended,
            peers: Arc::new(peers),
            proxied_client: None,
            request: Some(request),
            response,
        }
    }

    /// A book of requests `TARGET HOST`, each with its text as the response.
    fn of(options: Options, exchanges: &[(&str, &str, &str)]) -> (Book, Loading) {
        let add = |recorder: Self, (target, host, text): &(&str, &str, &str)| {
            recorder.add(&get(target, host), &ok(text))
        };
        exchanges.iter().fold(Self::new(options), add).builder.finish()
    }
}

fn get(target: &str, host: &str) -> String {
    let host = if host.is_empty() { String::new() } else { format!("Host: {host}\r\n") };
    format!("GET {target} HTTP/1.1\r\n{host}\r\n")
}

fn ok(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nX-Odd:  {text} \r\ncontent-LENGTH: {}\r\n\r\n{text}", text.len())
}

/// What a book says to a request: the content of the response, or why there is none.
fn ask(book: &Book, request: &str) -> String {
    let wire = Bytes::copy_from_slice(request.as_bytes());
    let (head, body) = whole::request(&wire).expect("a request");
    let Kept::Memory(content) = &body.wire else { panic!("a body") };
    let facts = Facts { method: head.method(), target: head.target(), content };
    let canonical = book.matching().canonical(facts, head.fields());
    match book.answer(&canonical) {
        Found::Step(step) => {
            let text = String::from_utf8(step.response.wire.to_vec()).unwrap();
            text.rsplit("\r\n\r\n").next().unwrap().to_owned()
        }
        Found::Ambiguous => "ambiguous".to_owned(),
        Found::Ended => "ended".to_owned(),
        Found::Nothing => match book.nearest(&canonical) {
            Some((stub, near)) => format!("nearest {} {near:?}", stub.id),
            None => "nothing".to_owned(),
        },
    }
}

#[test]
fn a_response_is_the_recorded_bytes() {
    let response = "HTTP/1.1 200  Fine\r\nx-A:\t1 \r\nX-a: \u{e9}\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3;e=1\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    let (book, _) = Recorder::new(options()).add(&get("/", "x"), response).builder.finish();
    assert_eq!(*book.stubs[0].steps[0].response.wire, *response.as_bytes());
    assert_eq!(book.stubs[0].steps[0].latency, Duration::from_millis(3));
}

#[test]
fn equal_requests_are_one_stub_whose_responses_come_in_their_order() {
    let exchanges = [
        ("/job", "x", "pending"),
        ("/job", "x", "pending"),
        ("/job", "x", "done"),
        ("/a", "x", "a"),
    ];
    for (after_last, last) in
        [(AfterLast::Repeat, "done"), (AfterLast::Again, "pending"), (AfterLast::Fail, "ended")]
    {
        let (book, loading) = Recorder::of(Options { after_last, ..options() }, &exchanges);
        let said: Vec<String> = (0..4).map(|_| ask(&book, &get("/job", "x"))).collect();
        assert_eq!(said, ["pending", "pending", "done", last]);
        assert_eq!((loading.seen, loading.kept, loading.stubs, loading.sequences), (4, 4, 2, 1));
    }
    let (book, loading) =
        Recorder::of(options(), &[("/a", "x", "1"), ("/a", "x", "1"), ("/a", "x", "1")]);
    assert_eq!((loading.merged, loading.sequences, book.stubs[0].steps.len()), (2, 0, 1));
}

#[test]
fn a_read_sees_a_write_once_it_was_made() {
    let write =
        |item: &str| format!("PUT /cart/{item} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    let cart = get("/cart", "x");
    let book = || {
        Recorder::new(Options { by_state: true, ..options() })
            .add(&cart, &ok("empty"))
            .add(&cart, &ok("empty"))
            .add(&write("1"), &ok("put"))
            .add(&write("1").replace("/cart", "/other"), &ok("put"))
            .add(&cart, &ok("one"))
            .add(&write("2"), &ok("put"))
            .add(&cart, &ok("two"))
            .add(&get("/other", "x"), &ok("other"))
            .builder
            .finish()
            .0
    };
    let said = |requests: &[&str]| -> Vec<String> {
        let book = book();
        requests.iter().map(|request| ask(&book, request)).collect()
    };
    let (one, two) = (write("1"), write("2"));
    // As recorded; read more often, and less often; and what was not written is not seen.
    assert_eq!(
        said(&[&cart, &cart, &one, &cart, &two, &cart]),
        ["empty", "empty", "put", "one", "put", "two"]
    );
    assert_eq!(
        said(&[&cart, &cart, &cart, &cart, &one, &cart, &cart]),
        ["empty", "empty", "empty", "empty", "put", "one", "one"]
    );
    assert_eq!(said(&[&one, &cart, &two, &cart, &cart]), ["put", "one", "put", "two", "two"]);
    assert_eq!(said(&[&two, &cart, &one, &cart]), ["put", "empty", "put", "two"]);
}

#[test]
fn a_host_answers_for_itself_and_for_no_other() {
    let aliases =
        vec![("stub.test".into(), None), ("users.test".into(), Some("users.prod:8080".into()))];
    let exchanges = [
        ("/health", "users.prod:8080", "users"),
        ("/health", "orders.prod", "orders"),
        ("/only", "orders.prod", "only"),
        ("/", "a.prod:1", "one"),
        ("/", "a.prod:2", "two"),
    ];
    let (book, _) = Recorder::of(Options { aliases, ..options() }, &exchanges);
    for (target, host, said) in [
        ("/health", "users.prod:8080", "users"),
        ("/health", "USERS.prod", "users"),
        ("/health", "users.prod:9100", "users"),
        ("/health", "orders.prod:80", "orders"),
        ("/health", "users.test:9100", "users"),
        ("http://orders.prod/health", "127.0.0.1:9100", "orders"),
        // Named as itself, the server looks at all hosts.
        ("/only", "127.0.0.1:9100", "only"),
        ("/only", "stub.test:9100", "only"),
        ("/only", "[::1]:9100", "only"),
        ("/only", "", "only"),
        ("/health", "localhost", "ambiguous"),
        // Another service, and a name of two.
        ("/only", "payments.prod", "nearest 7-2 Host"),
        ("http://127.0.0.1:9100/only", "", "nearest 7-2 Host"),
        ("/", "a.prod:2", "two"),
        ("/", "a.prod", "nearest 7-4 Host"),
    ] {
        assert_eq!(ask(&book, &get(target, host)), said, "{host} {target}");
    }
}

#[test]
fn what_fits_a_template_gets_the_first_response_of_it() {
    let mut options = options();
    options.matching.templates = vec!["/orders/{id}".parse().unwrap()];
    let exchanges = [
        ("/orders/5001", "x", "first"),
        ("/orders/5002", "x", "second"),
        ("/orders/5001?a=1", "x", "a"),
    ];
    let (book, _) = Recorder::of(options, &exchanges);
    assert_eq!(ask(&book, &get("/orders/5002", "x")), "second");
    assert_eq!(ask(&book, &get("/orders/9", "x")), "first");
    assert_eq!(ask(&book, &get("/orders/9", "127.0.0.1")), "first");
    assert_eq!(ask(&book, &get("/orders/9?a=1", "x")), "a");
    assert_eq!(ask(&book, &get("/orders/9?a=2", "x")), "nearest 7-2 Path");
}

#[test]
fn the_nearest_stub_is_the_one_that_differs_last() {
    let post = |target: &str, body: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let (book, _) = Recorder::new(options())
        .add(&get("/users?source=web", "x"), &ok("0"))
        .add(&post("/users", r#"{"a":1}"#), &ok("1"))
        .add(&get("/users/1/items", "x"), &ok("2"))
        .add(&get("/other", "x"), &ok("3"))
        .builder
        .finish();
    for (request, nearest) in [
        (get("/users?source=app", "x"), "nearest 7-0 Query"),
        (post("/users", r#"{"a":2}"#), "nearest 7-1 Body"),
        (get("/users/2/items", "x"), "nearest 7-2 Path"),
        (get("/users/1/items", "x").replace("GET", "PUT"), "nearest 7-2 Method"),
    ] {
        assert_eq!(ask(&book, &request), nearest, "{request}");
    }
}

#[test]
fn what_cannot_be_given_again_is_skipped_by_reason() {
    let mut recorder = Recorder::within(options(), 4_000);
    let request = message(&get("/", "x"), true, 0);
    let cut = |message: &Arc<Message>| {
        let mut message = (**message).clone();
        message.incomplete = Some(crate::http::message::Incomplete::Gap);
        Arc::new(message)
    };
    let response = message(&ok("x"), false, 1);
    let switching = message("HTTP/1.1 200 OK\r\n\r\n", false, 1);
    let withheld = {
        let mut message = (*response).clone();
        message.body.wire = Kept::Withheld("why");
        Arc::new(message)
    };
    let upload = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n".to_owned()
        + &"x".repeat(2_000_000);
    for (request, response) in [
        (cut(&request), Some(response.clone())),
        (request.clone(), None),
        (request.clone(), Some(cut(&response))),
        (request.clone(), Some(withheld)),
        (message(&upload, true, 0), Some(response.clone())),
        (message("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", true, 0), Some(switching)),
        (request.clone(), Some(message(&ok(&"y".repeat(5_000)), false, 1))),
        (request, Some(response)),
    ] {
        let exchange = recorder.exchange(request, response);
        recorder.builder.add(&exchange);
    }
    let (book, loading) = recorder.builder.finish();
    use Skipped::{
        BodyNotKept, NoResponse, NoRoom, RequestIncomplete, RequestTooLarge, ResponseIncomplete,
        Tunnel,
    };
    for why in [
        RequestIncomplete,
        NoResponse,
        ResponseIncomplete,
        BodyNotKept,
        RequestTooLarge,
        Tunnel,
        NoRoom,
    ] {
        assert_eq!(loading.skipped[why], 1, "{why:?}");
    }
    assert_eq!((loading.seen, loading.kept, book.len()), (8, 1, 1));
}

#[test]
fn a_response_that_ends_with_its_connection_says_so() {
    for (response, closes) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nconnection: x, Close\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
    ] {
        let (book, _) = Recorder::new(options()).add(&get("/", "x"), response).builder.finish();
        assert_eq!(book.stubs[0].steps[0].response.closes, closes, "{response}");
    }
}

proptest! {
    /// Whatever was recorded, each request gets the first response of an equal one, and no other request gets any.
    #[test]
    fn a_book_answers_what_was_recorded_and_nothing_else(
        recorded in proptest::collection::vec(("/[ab]{1,2}(\\?[xy]=[12])?", "[pq]"), 1..20),
        asked in proptest::collection::vec(("/[abc]{1,2}(\\?[xyz]=[12])?", "[pqr]"), 20),
    ) {
        let texts: Vec<String> = (0..recorded.len()).map(|n| n.to_string()).collect();
        let exchanges: Vec<_> = recorded
            .iter()
            .zip(&texts)
            .map(|((target, host), text)| (target.as_str(), host.as_str(), text.as_str()))
            .collect();
        let (book, _) = Recorder::of(Options { after_last: AfterLast::Again, ..options() }, &exchanges);
        for request in recorded.iter().chain(&asked) {
            let expected: Vec<&String> =
                recorded.iter().zip(&texts).filter(|(one, _)| *one == request).map(|(_, text)| text).collect();
            for text in &expected {
                prop_assert_eq!(&ask(&book, &get(&request.0, &request.1)), *text);
            }
            if expected.is_empty() {
                prop_assert!(ask(&book, &get(&request.0, &request.1)).starts_with("nearest"));
            }
        }
    }
}
