//! The wire form of an envelope, as `docs/envelope/envelope.proto` has it. The only file that names `prost`.
//!
//! Strings are read as bytes, which are the same on the wire and need no copy; the reader checks them.

use bytes::{Bytes, BytesMut};
use prost::{Enumeration, Message as _, Oneof};

/// One message of a stream.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) run: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) host: Bytes,
    #[prost(uint64, tag = "4")]
    pub(super) sequence: u64,
    #[prost(uint64, tag = "5")]
    pub(super) place: u64,
    #[prost(uint32, tag = "6")]
    pub(super) part: u32,
    #[prost(uint32, tag = "7")]
    pub(super) parts: u32,
    #[prost(oneof = "Content", tags = "8, 9, 10")]
    pub(super) content: Option<Content>,
}

/// What it carries.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Content {
    #[prost(message, tag = "8")]
    Request(Request),
    #[prost(message, tag = "9")]
    Response(Message),
    #[prost(message, tag = "10")]
    Report(Report),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(message, optional, tag = "1")]
    pub(super) connection: Option<Connection>,
    #[prost(uint32, tag = "2")]
    pub(super) index: u32,
    #[prost(bool, tag = "3")]
    pub(super) response_follows: bool,
    #[prost(bool, tag = "4")]
    pub(super) redacted: bool,
    #[prost(message, optional, tag = "5")]
    pub(super) message: Option<Message>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Connection {
    #[prost(uint64, tag = "1")]
    pub(super) number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) client: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) server: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) proxied_client: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(fixed64, tag = "1")]
    pub(super) started: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) finished: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) head: Bytes,
    #[prost(enumeration = "Framing", tag = "4")]
    pub(super) framing: i32,
    #[prost(uint64, tag = "5")]
    pub(super) content_length: u64,
    #[prost(uint64, tag = "6")]
    pub(super) wire_length: u64,
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) why_no_body: Bytes,
    #[prost(uint32, tag = "8")]
    pub(super) size: u32,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) body: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum Framing {
    None = 0,
    Length = 1,
    Chunked = 2,
    UntilClose = 3,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Report {
    #[prost(fixed64, tag = "1")]
    pub(super) time: u64,
    #[prost(uint64, tag = "2")]
    pub(super) seen: u64,
    #[prost(uint64, tag = "3")]
    pub(super) published: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) dropped: Vec<Dropped>,
    #[prost(bool, tag = "5")]
    pub(super) ended: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dropped {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(uint64, tag = "2")]
    pub(super) count: u64,
}

/// The version alone, whatever else there is: it is told before the rest is understood.
#[derive(Clone, PartialEq, prost::Message)]
struct Versioned {
    #[prost(uint32, tag = "1")]
    version: u32,
}

impl Envelope {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.encoded_len());
        // A buffer that grows has space for everything.
        self.encode_raw(&mut bytes);
        bytes.freeze()
    }

    /// `None` when it is not one, or cut.
    pub(super) fn decode_from(bytes: Bytes) -> Option<Self> {
        <Self as prost::Message>::decode(bytes).ok()
    }

    /// The version of what may be one; `None` when it is not even of this form.
    pub(super) fn version_of(bytes: Bytes) -> Option<u32> {
        Versioned::decode(bytes).ok().map(|versioned| versioned.version)
    }
}
