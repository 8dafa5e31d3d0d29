//! Requests, responses and exchanges, each byte kept as it was on the wire.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use enum_map::Enum;
use strum::IntoStaticStr;

pub use super::flaws::{Flaw, Flaws};
pub use super::id::{ConnectionId, ExchangeId, Origin};
pub use super::spool::Spooled;
use crate::packet::Timestamp;
use crate::tcp::event::Peers;

/// A request, and its response once that is known. It is emitted twice: when the
/// request is whole ([`Moment::Asked`]), so that a shadow need not wait for production's response,
/// and when nothing more will come of it ([`Moment::Ended`]). A request that never becomes whole
/// and a response whose request was not seen are emitted once, at `Ended`.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its name within the run.
    pub id: ExchangeId,
    /// Which of the two times this is.
    pub moment: Moment,
    /// Who talked, and where it was seen.
    pub peers: Arc<Peers>,
    /// The client that a header of the PROXY protocol named; `peers.client` is then the proxy.
    pub proxied_client: Option<SocketAddr>,
    /// The request, if it was seen.
    pub request: Option<Arc<Message>>,
    /// The final response, if it was seen; always `None` at [`Moment::Asked`]. Interim (1xx)
    /// responses come at [`Moment::Interim`] alone.
    pub response: Option<Arc<Message>>,
}

impl Exchange {
    /// True at one moment of every request: when it was asked, or at its end if it never became
    /// whole.
    #[must_use]
    pub fn is_first_moment(&self) -> bool {
        match (self.moment, &self.request) {
            (Moment::Asked, _) => true,
            (Moment::Ended, Some(request)) => request.incomplete.is_some(),
            (Moment::Ended, None) | (Moment::Interim, _) => false,
        }
    }
}

/// When an exchange is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The last byte of the request was seen.
    Asked,
    /// An interim (1xx) response came, which is in `response`; `request` is empty. The exchange goes
    /// on.
    Interim,
    /// Nothing more will be added: its response is whole, its connection ended, or it cannot be read
    /// further.
    Ended,
}

/// A request or a response (RFC 9112 §2.1).
#[derive(Clone, Debug)]
pub struct Message {
    /// When its first byte was seen.
    pub started: Timestamp,
    /// When its last byte was seen (so far, if it is incomplete).
    pub finished: Timestamp,
    /// Start line and field lines.
    pub head: Head,
    /// Its content and how it was framed.
    pub body: Body,
    /// Why it is not whole; `None` for a whole one.
    pub incomplete: Option<Incomplete>,
    /// Every way in which it can be read in two ways.
    pub flaws: Flaws,
}

/// Start line and field lines, byte for byte.
#[derive(Clone, Debug)]
pub struct Head {
    /// The exact bytes, from the first of the start line to the end of the empty line.
    pub raw: Bytes,
    /// Where the parts of the start line are in `raw`.
    pub start: StartLine,
    /// The field lines in their order.
    pub headers: Vec<HeaderLine>,
}

/// The parts of a start line, as ranges of [`Head::raw`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// A request line (RFC 9112 §3).
    Request {
        /// The method token.
        method: Range<u32>,
        /// The request target, in whichever of the four forms it came.
        target: Range<u32>,
        /// The version that it says it has.
        version: Version,
    },
    /// A status line (RFC 9112 §4).
    Status {
        /// The status code.
        code: u16,
        /// The reason phrase; may be empty.
        reason: Range<u32>,
        /// The version that it says it has.
        version: Version,
    },
}

/// The version of a message (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/1.2 to HTTP/1.9, by the minor version: processed as HTTP/1.1.
    Http1(u8),
}

impl Version {
    /// That of `HTTP/1.` and this digit.
    #[must_use]
    pub const fn http1(minor: u8) -> Self {
        match minor {
            0 => Self::Http10,
            1 => Self::Http11,
            minor => Self::Http1(minor),
        }
    }

    /// The digit behind `HTTP/1.`.
    #[must_use]
    pub const fn minor(self) -> u8 {
        match self {
            Self::Http10 => 0,
            Self::Http11 => 1,
            Self::Http1(minor) => minor,
        }
    }
}

/// One field line, as ranges of [`Head::raw`] (or of [`Body::trailer_bytes`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// The field name as sent.
    pub name: Range<u32>,
    /// The field value without the white space around it.
    pub value: Range<u32>,
    /// The whole line with its line end.
    pub line: Range<u32>,
}

/// Where a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    #[default]
    None,
    /// After this number of bytes (`Content-Length`).
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// When the sender closes the connection.
    UntilClose,
}

/// The content of a message.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// How it was framed.
    pub framing: BodyLength,
    /// Its length in bytes after de-chunking, before any content decoding.
    pub length: u64,
    /// SHA-256 of the same bytes, when it was asked for.
    pub sha256: Option<[u8; 32]>,
    /// In place of content or a digest that may not leave: the same for the same content under one key, which nobody
    /// else has.
    pub keyed: Option<[u8; 32]>,
    /// The bytes as on the wire, chunk framing and trailers included, when they were asked for.
    pub wire: Kept,
    /// The raw trailer section of a chunked body, without the empty line that ends it.
    pub trailer_bytes: Bytes,
    /// The trailer field lines, as ranges of `trailer_bytes`.
    pub trailers: Vec<HeaderLine>,
}

/// What was kept of a body.
#[derive(Clone, Debug, Default)]
pub enum Kept {
    /// Nothing was asked for, or there is nothing.
    #[default]
    Nothing,
    /// All of it.
    Memory(Bytes),
    /// All of it, in an unlinked temporary file, because it is longer than memory should hold.
    File(Arc<Spooled>),
    /// It was longer than a limit, or there was no space; none of it was kept. The
    /// statistics of `http` count it by reason.
    TooLarge,
    /// It was kept and may not leave; the name of the reason, which the rules count.
    Withheld(&'static str),
}

/// Why a message is not whole: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Incomplete {
    /// Bytes of it were never seen.
    Gap,
    /// Where it ended was left out on purpose, as nobody wants bodies of responses.
    Omitted,
    /// Its connection ended before it did.
    Closed,
    /// Its connection was reset before it ended.
    Reset,
    /// Its connection was idle for too long.
    Idle,
    /// Its connection was forgotten because the table was full.
    Evicted,
    /// The input ended before it did.
    EndOfInput,
    /// Its body was never sent: a final response came before it began, and the next request in its
    /// place (RFC 9110 §10.1.1).
    BodyNotSent,
    /// Refused: it has a flaw for which RFC 9112 has a server respond with 400 and a client distrust what
    /// came (see [`Flaw::refuses`]). Its bytes may all have been seen.
    Refused,
}

impl Head {
    /// The method; empty for a response.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { method, .. } => self.bytes(method),
            StartLine::Status { .. } => &[],
        }
    }

    /// The request target as sent; empty for a response.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        match &self.start {
            StartLine::Request { target, .. } => self.bytes(target),
            StartLine::Status { .. } => &[],
        }
    }

    /// The status code; `None` for a request.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Status { code, .. } => Some(code),
            StartLine::Request { .. } => None,
        }
    }

    /// Every field's name and value in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone + '_ {
        self.headers.iter().map(|line| (self.bytes(&line.name), self.bytes(&line.value)))
    }

    /// The first value of the field called `name`, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The values of all fields called `name`, in any case, in their order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + Clone {
        let is_it = |(n, _): &(&[u8], &[u8])| n.eq_ignore_ascii_case(name.as_bytes());
        self.fields().filter(is_it).map(|(_, value)| value)
    }

    /// The bytes of one of this head's ranges; empty when the range is not inside it.
    #[must_use]
    pub fn bytes(&self, range: &Range<u32>) -> &[u8] {
        self.raw.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}
