//! The envelope: a cleared exchange as one or several messages of a broker.
//!
//! [`Writer`] makes it from a [`Cleared`](crate::rules::Cleared) exchange and from nothing else; [`read()`] takes what
//! came from anybody. The form is protobuf, described in `docs/envelope/envelope.proto` for readers in other languages: brokers'
//! users have tools for it, unknown fields are skipped, and bodies are taken from a message without a copy. `prost`
//! derives it from structs, so that a build needs no `protoc`; a test holds the structs against the description.
//!
//! A request is published when it is whole, its response when that has ended; both have the request's sequence number.
//! Bodies above the broker's limit come in parts of one sequence number, in their order.

mod proto;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

pub use self::read::{NotAnEnvelope, read};
pub use self::write::{NotPublishable, Outgoing, Place, Writer, report};
use crate::packet::Timestamp;

/// The version that this build writes and reads.
pub const VERSION: u32 = 1;

/// Bytes of a head, at most: what the `http` stage reads, and half as much again for what redaction adds.
pub const MAX_HEAD_BYTES: usize = 96 * 1024;

/// Bytes of a name: of a run or a host (a host name has at most 64 on Linux).
pub const MAX_NAME_BYTES: usize = 64;

/// Bytes of one message: the most that a NATS server can be set to take (`max_payload`).
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Parts of one body: 8 GiB in parts of 64 KiB.
pub const MAX_PARTS: u32 = 1 << 17;

/// Reasons in a report.
const MAX_REASONS: usize = 64;

/// A message of a stream, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The run that published it: 16 hex digits, another one each time that a publisher starts.
    pub run: Bytes,
    /// The host of that run.
    pub host: Bytes,
    /// The number of its request among those that the run published, from 0, without gaps.
    pub sequence: u64,
    /// The number of this message among those that the run published on its shard, from 0, without gaps.
    pub place: u64,
    /// Which part it is, from 0.
    pub part: u32,
    /// Of how many, at least 1.
    pub parts: u32,
    /// What it carries.
    pub content: Content,
}

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A request, or the first part of one.
    Request(Box<Request>),
    /// Its response, or the first part of it.
    Response(Box<Part>),
    /// A later part of a request's body.
    RequestBody(Bytes),
    /// A later part of a response's body.
    ResponseBody(Bytes),
    /// What the publisher counted so far.
    Report(Report),
}

/// A request and its connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The number of its connection within the run.
    pub connection: u64,
    /// Its place among the exchanges of the connection, from 0.
    pub index: u32,
    /// Who sent it.
    pub client: SocketAddr,
    /// To whom.
    pub server: SocketAddr,
    /// The client that a header of the PROXY protocol named.
    pub proxied_client: Option<SocketAddr>,
    /// True if its response is published, too, once it has ended.
    pub response_follows: bool,
    /// True if it was redacted.
    pub redacted: bool,
    /// Its bytes.
    pub message: Part,
}

/// A message, or its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// When its first byte was seen.
    pub started: Timestamp,
    /// When its last byte was seen.
    pub finished: Timestamp,
    /// Start line, field lines and the empty line.
    pub head: Bytes,
    /// Bytes of the content, without chunk framing.
    pub content_length: u64,
    /// Bytes of the body on the wire, in all parts.
    pub wire_length: u64,
    /// Why the body is not there; empty when it is.
    pub why_no_body: Bytes,
    /// The body as it was on the wire, or its beginning.
    pub body: Bytes,
}

/// What a publisher counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub time: Timestamp,
    /// Requests that it was given.
    pub seen: u64,
    /// Those that the broker has.
    pub published: u64,
    /// The others, by reason.
    pub dropped: Vec<(Arc<str>, u64)>,
    /// True for the last one of its run.
    pub ended: bool,
}
