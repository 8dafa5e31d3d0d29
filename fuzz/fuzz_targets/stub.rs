//! Any recorded requests and any bytes that are asked: what was recorded whole is answered with recorded bytes, and
//! everything else with a 502 of a bounded length or not at all.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_user::http::message::{ConnectionId, Exchange, ExchangeId, Message, Moment};
use mirror_user::http::{RequestProgress, RequestReader, whole};
use mirror_user::json_path::Paths;
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::stub::book::{Book, Builder};
use mirror_user::stub::canonical::Matching;
use mirror_user::stub::{AfterLast, Latency, Options};
use mirror_user::tcp::event::Peers;

const MAX_BODY: usize = 4_096;
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn options() -> Options {
    let ignored_body = Paths::new(&["$..at".to_owned(), "$.items[*]".to_owned()]).expect("paths");
    let templates = vec!["/orders/{id}".parse().expect("a path"), "/a/**".parse().expect("a path")];
    Options {
        listen: ([127, 0, 0, 1], 0).into(),
        connections: 1,
        idle_timeout: Duration::from_secs(300),
        client_timeout: Duration::from_secs(30),
        max_body: MAX_BODY,
        matching: Matching {
            headers: vec!["accept".to_owned()],
            ignored_query: vec![b"ts".to_vec()],
            ignored_body,
            templates,
        },
        aliases: vec![("stub".to_owned(), None), ("b".to_owned(), Some("a".to_owned()))],
        after_last: AfterLast::Again,
        by_state: false,
        latency: Latency(1.0),
        faults: Vec::new(),
        pass: Default::default(),
    }
}

/// A request that is whole, as it would be recorded.
fn recorded(wire: &[u8]) -> Option<Message> {
    let mut reader = RequestReader::new(MAX_BODY);
    if reader.read(wire) != Ok(RequestProgress::Complete) {
        return None;
    }
    let request = reader.request(wire)?;
    let start = request.len.checked_sub(request.head.len())?.min(wire.len());
    let blank = wire.iter().take(start).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let (head, body) = whole::request(&Bytes::copy_from_slice(wire.get(blank..request.len)?))?;
    let (started, finished, flaws) =
        (Timestamp::default(), Timestamp::default(), Default::default());
    Some(Message { started, finished, head, body, incomplete: None, flaws })
}

fn respond(book: &Book, wire: &[u8]) -> Option<bool> {
    let mut reader = RequestReader::new(MAX_BODY);
    if reader.read(wire) != Ok(RequestProgress::Complete) {
        return None;
    }
    Some(match book.respond(&reader.request(wire)?) {
        Ok(response) => {
            assert_eq!(*response.wire, *RESPONSE);
            true
        }
        Err(miss) => {
            assert!(miss.starts_with(b"HTTP/1.1 502 ") && miss.len() < 8_192);
            false
        }
    })
}

fuzz_target!(|input: (Vec<&[u8]>, &[u8])| {
    let (requests, asked) = input;
    let server = ([10, 0, 0, 1], 80).into();
    let peers = Arc::new(Peers { client: server, server, interface: InterfaceId::default() });
    let (head, body) = whole::response(&Bytes::from_static(RESPONSE), false).expect("a response");
    let time = Timestamp::default();
    let response = Arc::new(Message {
        started: time,
        finished: time,
        head,
        body,
        incomplete: None,
        flaws: Default::default(),
    });
    let mut builder = Builder::new(Arc::new(options()), 1 << 20);
    let mut kept = Vec::new();
    for (index, wire) in (0..).zip(&requests) {
        let Some(request) = recorded(wire) else { continue };
        let before = builder.loading().kept;
        builder.add(&Exchange {
            id: ExchangeId { connection: ConnectionId::local(0), index },
            moment: Moment::Ended,
            peers: Arc::clone(&peers),
            proxied_client: None,
            request: Some(Arc::new(request)),
            response: Some(Arc::clone(&response)),
        });
        if builder.loading().kept > before {
            kept.push(wire);
        }
    }
    let (book, loading) = builder.finish();
    assert_eq!(loading.seen, loading.kept + loading.skipped.values().sum::<u64>());
    for wire in kept {
        // A host that is the name alone of several is of none of them.
        assert_eq!(respond(&book, wire), Some(true));
    }
    let _ = respond(&book, asked);
});
