//! Any bytes as a conversation, redacted: never a panic, twice is once, and what is left has the
//! length that its head tells.
#![no_main]

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_user::http::message::{BodyLength, Exchange, Kept, Message};
use mirror_user::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::rules::redact::{Key, Preset, RedactOptions, Redactor};
use mirror_user::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

/// Without and with discovery.
static REDACTORS: LazyLock<[Redactor; 2]> = LazyLock::new(|| {
    [false, true].map(|discover| {
        let options = RedactOptions {
            key: Key::new([7; 32]).ok(),
            json_paths: vec!["$.a[*].b".into(), "$..c".into()],
            headers: vec!["x-*-ref".into()],
            fields: vec!["*_tag".into()],
            segments: vec!["/a/{token}".into()],
            discover,
            ..RedactOptions::preset(Preset::Pii)
        };
        Redactor::new(options).expect("options").expect("it is on")
    })
});

const TYPES: [&str; 8] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "text/plain",
    "image/png",
    "x/y",
    "application/x-ndjson",
    "text/xml; charset=utf-8",
];
const CODINGS: [&str; 8] =
    ["identity", "gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "identity"];

/// The bytes as they are, or as the body of a request.
fn client(how: u8, bytes: &[u8]) -> Cow<'_, [u8]> {
    if how & 0x80 == 0 {
        return bytes.into();
    }
    let (media_type, coding) = (TYPES[usize::from(how & 7)], CODINGS[usize::from(how >> 3 & 7)]);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {}\r\n\r\n",
        bytes.len()
    );
    [head.as_bytes(), bytes].concat().into()
}

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (how, bytes, server) = input;
    let redactor = &REDACTORS[usize::from(how >> 6 & 1)];
    for exchange in exchanges(&client(how, bytes), server) {
        let once = redactor.redact(exchange, None);
        let messages = [(Side::Client, &once.request), (Side::Server, &once.response)];
        for (side, message) in messages.iter().filter_map(|(side, it)| Some((*side, it.as_ref()?)))
        {
            check(message);
            // What is framed in two ways, or not whole, is read in another way when it is read again.
            if !message.flaws.is_empty() || message.incomplete.is_some() || side == Side::Server {
                continue;
            }
            if let (Kept::Memory(_) | Kept::Nothing, Some(again)) = (
                &message.body.wire,
                exchanges(&wire(message), b"").into_iter().find_map(|exchange| exchange.request),
            ) {
                let exchange = Exchange { request: Some(again), response: None, ..once.clone() };
                let twice = redactor.redact(exchange, None).request.expect("a request");
                assert_eq!(
                    wire(&twice).escape_ascii().to_string(),
                    wire(message).escape_ascii().to_string()
                );
            }
        }
    }
});

fn check(message: &Message) {
    let head = &message.head;
    for line in &head.headers {
        let (name, value) = (line.name.clone(), line.value.clone());
        assert!(
            line.line.start <= name.start && name.end <= value.start && value.end <= line.line.end
        );
        assert!(line.line.end as usize <= head.raw.len());
    }
    if let (Kept::Memory(bytes), BodyLength::Length(_)) = (&message.body.wire, message.body.framing)
    {
        assert_eq!(bytes.len() as u64, message.body.length);
    }
}

fn wire(message: &Message) -> Vec<u8> {
    let body = match &message.body.wire {
        Kept::Memory(bytes) => &bytes[..],
        _ => &[],
    };
    [&message.head.raw[..], body].concat()
}

fn exchanges(client: &[u8], server: &[u8]) -> Vec<Exchange> {
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, ..KeepLimits::default() });
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let mut http = HttpTable::new(options);
    let conn = ConnId { slot: 0, serial: 0 };
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId::default(),
    });
    let mut out = Vec::new();
    for change in [
        Change::Opened { peers, midstream: false },
        Change::Data(Side::Client, Bytes::copy_from_slice(client)),
        Change::Data(Side::Server, Bytes::copy_from_slice(server)),
        Change::Closed(CloseReason::EndOfInput),
    ] {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    }
    out
}
