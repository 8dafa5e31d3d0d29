mod hostile;
mod idempotent;
mod listed;
mod messages;
mod planted;
mod property;
mod vectors;

use std::sync::Arc;

use bytes::Bytes;

use super::{Key, Preset, RedactOptions, Redactor};
use crate::http::message::{Exchange, Kept, Message, Moment};
use crate::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

/// The key of the vectors: 00 01 … 1f.
pub(super) fn key() -> Key {
    Key::new((0..32).collect::<Vec<u8>>()).expect("32 bytes")
}

pub(super) fn redactor(options: RedactOptions) -> Redactor {
    Redactor::new(RedactOptions { key: Some(key()), ..options })
        .expect("options")
        .expect("it is on")
}

pub(super) fn pii() -> Redactor {
    redactor(RedactOptions::preset(Preset::Pii))
}

pub(super) fn credentials() -> Redactor {
    redactor(RedactOptions::preset(Preset::Credentials))
}

/// What the http room makes of a conversation, at every moment of its exchanges.
pub(super) fn exchanges(request: &[u8], response: &[u8]) -> Vec<Exchange> {
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, ..KeepLimits::default() });
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let mut http = HttpTable::new(options);
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_312).into(),
        server: ([10, 0, 0, 1], 8080).into(),
        interface: InterfaceId(0),
    });
    let conn = ConnId { slot: 0, serial: 0 };
    let mut out = Vec::new();
    let changes = [
        Change::Opened { peers, midstream: false },
        Change::Data(Side::Client, Bytes::copy_from_slice(request)),
        Change::Data(Side::Server, Bytes::copy_from_slice(response)),
        Change::Finished(Side::Client),
        Change::Finished(Side::Server),
        Change::Closed(CloseReason::Fin),
    ];
    for change in changes {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    }
    out
}

/// The exchange of a conversation when it has ended.
pub(super) fn ended(request: &[u8], response: &[u8]) -> Exchange {
    let is_end = |exchange: &Exchange| exchange.moment == Moment::Ended;
    exchanges(request, response).into_iter().find(is_end).expect("an exchange")
}

/// The bytes of a message as a packet file or a replay has them.
pub(super) fn wire(message: &Message) -> Vec<u8> {
    let mut wire = message.head.raw.to_vec();
    match &message.body.wire {
        Kept::Memory(bytes) => wire.extend_from_slice(bytes),
        Kept::Withheld(why) => wire.extend_from_slice(format!("[{why}]").as_bytes()),
        Kept::File(_) => unreachable!("no test has a body that long"),
        Kept::Nothing | Kept::TooLarge => {}
    }
    wire
}

/// A request's bytes after redaction.
pub(super) fn request(redactor: &Redactor, request: &[u8]) -> Vec<u8> {
    let exchange = redactor.redact(ended(request, b""), None);
    wire(exchange.request.as_deref().expect("a request"))
}

/// The same as text.
pub(super) fn text(redactor: &Redactor, request: &str) -> String {
    String::from_utf8(self::request(redactor, request.as_bytes())).expect("text")
}

/// A POST with this type and body, and what is left of the body.
pub(super) fn body(redactor: &Redactor, media_type: &str, body: &str) -> String {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {media_type}\r\n");
    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let out = text(redactor, &whole);
    let (head, body) = out.split_once("\r\n\r\n").expect("an empty line");
    if !body.starts_with('[') || !body.ends_with(']') || body.contains('"') {
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{out}");
    }
    body.to_owned()
}
