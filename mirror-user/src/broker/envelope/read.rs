//! Reads what lies in a stream, whoever put it there. Allocates nothing that the message does not hold.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use enum_map::Enum;
use strum::IntoStaticStr;

use super::{
    Content, Envelope, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_PARTS, MAX_REASONS,
    Part, Report, Request, VERSION, proto,
};
use crate::packet::Timestamp;

/// Why a message is no envelope: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotAnEnvelope {
    /// Of a version that this build does not know.
    OtherVersion,
    /// Not protobuf, cut, or without what every envelope has.
    Damaged,
    /// Of other sizes than it says.
    ForgedSize,
    /// A part that cannot be: beyond their number, or one of too many.
    BadPart,
    /// Longer than anything that a publisher sends.
    MessageTooLong,
}

use NotAnEnvelope::{BadPart, Damaged, ForgedSize, MessageTooLong, OtherVersion};

/// Reads a message.
///
/// # Errors
/// The reason why it is no envelope.
pub fn read(bytes: &Bytes) -> Result<Envelope, NotAnEnvelope> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(MessageTooLong);
    }
    let version = proto::Envelope::version_of(bytes.clone()).ok_or(Damaged)?;
    match version {
        VERSION => {}
        0 => return Err(Damaged),
        _ => return Err(OtherVersion),
    }
    let envelope = proto::Envelope::decode_from(bytes.clone()).ok_or(Damaged)?;
    let proto::Envelope { version: _, run, host, sequence, place, part, parts, content } = envelope;
    if !is_name(&run) || run.is_empty() || !is_name(&host) {
        return Err(Damaged);
    }
    if part >= parts || parts > MAX_PARTS {
        return Err(BadPart);
    }
    let is_first = part == 0;
    let content = match content.ok_or(Damaged)? {
        proto::Content::Request(request) if is_first => {
            Content::Request(Box::new(first_request(request, parts)?))
        }
        proto::Content::Request(request) => {
            Content::RequestBody(rest(request.message.ok_or(Damaged)?)?)
        }
        proto::Content::Response(message) if is_first => {
            Content::Response(Box::new(first(message, parts)?))
        }
        proto::Content::Response(message) => Content::ResponseBody(rest(message)?),
        proto::Content::Report(report) => Content::Report(counted(report)?),
    };
    Ok(Envelope { run, host, sequence, place, part, parts, content })
}

/// Printable ASCII without spaces: it is shown, and part of keys.
fn is_name(name: &[u8]) -> bool {
    name.len() <= MAX_NAME_BYTES && name.iter().all(u8::is_ascii_graphic)
}

fn first_request(request: proto::Request, parts: u32) -> Result<Request, NotAnEnvelope> {
    let proto::Request { connection, index, response_follows, redacted, message } = request;
    let connection = connection.ok_or(Damaged)?;
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Ok(Request {
        connection: connection.number,
        index,
        client: address(&connection.client)?.unwrap_or(nowhere),
        server: address(&connection.server)?.unwrap_or(nowhere),
        proxied_client: address(&connection.proxied_client)?,
        response_follows,
        redacted,
        message: first(message.ok_or(Damaged)?, parts)?,
    })
}

/// `None` where there is none.
fn address(text: &[u8]) -> Result<Option<SocketAddr>, NotAnEnvelope> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| Damaged)?;
    text.parse().map(Some).map_err(|_| Damaged)
}

fn first(message: proto::Message, parts: u32) -> Result<Part, NotAnEnvelope> {
    let body = sized(message.size, message.body)?;
    let (there, wire) = (body.len() as u64, message.wire_length);
    let has_no_body = !message.why_no_body.is_empty();
    let fits = match (has_no_body, parts) {
        (true, parts) => there == 0 && parts == 1,
        (false, 1) => there == wire,
        (false, _) => there < wire,
    };
    if !fits || message.content_length > wire {
        return Err(ForgedSize);
    }
    if message.head.is_empty() || !is_name(&message.why_no_body) {
        return Err(Damaged);
    }
    if message.head.len() > MAX_HEAD_BYTES {
        return Err(ForgedSize);
    }
    Ok(Part {
        started: Timestamp::from_nanos(message.started),
        finished: Timestamp::from_nanos(message.finished),
        head: message.head,
        content_length: message.content_length,
        wire_length: wire,
        why_no_body: message.why_no_body,
        body,
    })
}

fn rest(message: proto::Message) -> Result<Bytes, NotAnEnvelope> {
    let body = sized(message.size, message.body)?;
    if body.is_empty() { Err(BadPart) } else { Ok(body) }
}

/// A cut at the end of a field leaves no trace but this.
fn sized(size: u32, body: Bytes) -> Result<Bytes, NotAnEnvelope> {
    if body.len() == size as usize { Ok(body) } else { Err(ForgedSize) }
}

fn counted(report: proto::Report) -> Result<Report, NotAnEnvelope> {
    let proto::Report { time, seen, published, dropped, ended } = report;
    if dropped.len() > MAX_REASONS || dropped.iter().any(|one| !is_name(one.reason.as_bytes())) {
        return Err(Damaged);
    }
    let dropped = dropped.into_iter().map(|one| (one.reason.into(), one.count)).collect();
    Ok(Report { time: Timestamp::from_nanos(time), seen, published, dropped, ended })
}
