//! Responses to requests of our own: bytes in, and when the response has ended. Who asks for it also
//! gets the response as a [`Message`], the same as a captured one.
//!
//! Refuses what is no response of HTTP/1, or one whose end cannot be known. Interim responses are
//! passed over. Remembers an unfinished head, and of a response that is kept its head and a bounded
//! part of its body; of any other response it holds nothing, however long it is.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::chunk::{Chunks, Piece};
use super::fields;
use super::framing::{self, Asked};
use super::head::{self, Outcome, Parsed};
use super::start::refuse_start;
use crate::http::flaws::Flaws;
use crate::http::keep::digest;
use crate::http::message::{
    Body, BodyLength, Flaw, Head, HeaderLine, Kept, Message, StartLine, Version,
};
use crate::packet::Timestamp;
use crate::tcp::event::Side;

/// The longest response head, in bytes: sixteen times nginx's default for a proxied response. A
/// longer one is invalid.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Field lines whose memory is kept from one response to the next; servers send 5 to 20.
const KEPT_LINES: usize = 64;

/// The bytes are not an HTTP/1 response, or not one that fits the request, or its end cannot be
/// known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidResponse;

/// How much of the response has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseProgress {
    /// More bytes are needed.
    NeedMore,
    /// The response is complete.
    Complete {
        /// Its status code.
        status: u16,
        /// True if the connection can take another request (RFC 9112 §9.3).
        reusable: bool,
    },
}

/// Reads one response at a time.
pub struct ResponseReader {
    is_head: bool,
    /// Scratch space: the field lines of the head that was read last.
    lines: Vec<HeaderLine>,
    /// The bytes of a head that is not complete yet.
    partial: Vec<u8>,
    state: State,
    status: u16,
    keep_alive: bool,
    /// The largest body that is kept; `None`: nothing is.
    max_body: Option<usize>,
    kept: Option<Box<KeptResponse>>,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Complete,
}

/// What is kept of the response that is being read.
struct KeptResponse {
    head: Head,
    framing: BodyLength,
    flaws: Flaws,
    /// Bytes of content so far.
    length: u64,
    /// The body as on the wire; `None` once it is longer than what may be kept.
    wire: Option<Vec<u8>>,
    /// Of the content, once the body is not kept any more.
    sha256: Option<Sha256>,
    trailer: Vec<u8>,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self {
            is_head: false,
            lines: Vec::new(),
            partial: Vec::new(),
            state: State::Head,
            status: 0,
            keep_alive: false,
            max_body: None,
            kept: None,
        }
    }
}

impl ResponseReader {
    /// Prepares for the response to the next request: whether that is a HEAD, and whether the
    /// response is kept, with a body of at most `max_body` bytes. Of a longer one, the head, the
    /// length and the SHA-256 are kept ([`Kept::TooLarge`]).
    pub fn expect(&mut self, is_head: bool, max_body: Option<usize>) {
        self.is_head = is_head;
        self.partial.clear();
        self.state = State::Head;
        self.status = 0;
        self.max_body = max_body;
        self.kept = None;
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// If they cannot be read as a response. Nothing more can be read then.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<ResponseProgress, InvalidResponse> {
        loop {
            bytes = match &mut self.state {
                State::Head => match self.push_head(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(ResponseProgress::NeedMore),
                },
                State::Length(left) => {
                    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left = left.saturating_sub(here as u64);
                    let ended = *left == 0;
                    let (body, rest) = bytes.split_at_checked(here).unwrap_or((bytes, &[]));
                    self.keep_body(body, here);
                    if !ended {
                        return Ok(ResponseProgress::NeedMore);
                    }
                    self.state = State::Complete;
                    rest
                }
                State::Chunked(_) => match self.push_chunks(bytes)? {
                    Some(rest) => rest,
                    None => return Ok(ResponseProgress::NeedMore),
                },
                State::UntilClose => {
                    self.keep_body(bytes, bytes.len());
                    return Ok(ResponseProgress::NeedMore);
                }
                // There is only one request in flight, so bytes after its response are unexpected.
                State::Complete => return Ok(self.complete(self.keep_alive && bytes.is_empty())),
            };
        }
    }

    /// The target closed the connection. This completes a response that is framed by close; any
    /// other response is lost, and the result is `None`.
    #[must_use]
    pub fn end(&self) -> Option<ResponseProgress> {
        matches!(self.state, State::UntilClose).then(|| self.complete(false))
    }

    /// True once any byte of the response has been read.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.status != 0 || !self.partial.is_empty()
    }

    /// The complete response, if it was to be kept; it is complete when [`push`](Self::push) or
    /// [`end`](Self::end) says so. The times are those of its first and its last byte.
    pub fn take(&mut self, started: Timestamp, finished: Timestamp) -> Option<Message> {
        let KeptResponse { head, framing, flaws, length, wire, sha256, trailer } =
            *self.kept.take()?;
        let wire = match wire {
            None => Kept::TooLarge,
            Some(bytes) if bytes.is_empty() => Kept::Nothing,
            Some(bytes) => Kept::Memory(bytes.into_boxed_slice().into()),
        };
        self.lines.clear();
        // Flaws of trailers are those of the head, and nothing depends on them any more.
        let trailer_flaws = fields::split(Side::Server, &trailer, 0, &mut self.lines);
        let mut all_flaws = flaws;
        all_flaws.join(trailer_flaws);
        let trailers = self.lines.clone();
        let sha256 = sha256.map(|sha256| sha256.finalize().into());
        let (trailer_bytes, keyed) = (trailer.into(), None);
        let body = Body { framing, length, sha256, keyed, wire, trailer_bytes, trailers };
        Some(Message { started, finished, head, body, incomplete: None, flaws: all_flaws })
    }

    /// The memory that the kept part of the body takes, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        let wire = self.kept.as_ref().and_then(|kept| kept.wire.as_ref());
        wire.map_or(0, Vec::capacity)
    }

    /// Gives up the body of the response that is being read, because there is no space for it: its
    /// head and length are kept, as of one that is too long.
    pub fn forget_body(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.drop_body();
        }
    }

    fn complete(&self, reusable: bool) -> ResponseProgress {
        ResponseProgress::Complete { status: self.status, reusable }
    }

    /// Returns the bytes after the head, once the head is complete.
    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, InvalidResponse> {
        let before = self.partial.len();
        if before > 0 {
            self.hold(bytes);
        }
        let input = if before == 0 { bytes } else { &self.partial };
        self.lines.clear();
        self.lines.shrink_to(KEPT_LINES);
        let mut parsed = match head::parse(Side::Server, input, &mut self.lines) {
            Outcome::Head(parsed) => parsed,
            Outcome::Partial if refuse_start(Side::Server, input).is_none() => {
                if before == 0 {
                    self.hold(bytes);
                }
                let is_full = self.partial.len() >= MAX_HEAD_BYTES;
                return if is_full { Err(InvalidResponse) } else { Ok(None) };
            }
            Outcome::Partial | Outcome::Refused(_) => return Err(InvalidResponse),
        };
        let StartLine::Status { code, version, .. } = parsed.start else {
            return Err(InvalidResponse);
        };
        let asked = if self.is_head { Asked::Head } else { Asked::Other };
        let framing = framing::response(&mut parsed.facts, version, code, asked);
        let invalid = !(100..600).contains(&code) || parsed.facts.flaws.losing_framing().is_some();
        // Nobody here asks to switch protocols.
        if invalid || code == 101 {
            return Err(InvalidResponse);
        }
        let len = parsed.len;
        self.keep_alive = version != Version::Http10 && !parsed.facts.close;
        self.status = code;
        if let (200.., Some(_)) = (code, self.max_body) {
            let raw = Bytes::copy_from_slice(input.get(..len).unwrap_or(input));
            self.kept = Some(Box::new(KeptResponse::new(raw, parsed, self.lines.clone(), framing)));
        }
        self.partial = Vec::new(); // free it: long heads on many connections add up
        self.state = match (code, framing) {
            (100..200, _) => State::Head,
            (_, BodyLength::None | BodyLength::Length(0)) => State::Complete,
            (_, BodyLength::Length(length)) => State::Length(length),
            (_, BodyLength::Chunked) => State::Chunked(Chunks::default()),
            (_, BodyLength::UntilClose) => State::UntilClose,
        };
        Ok(bytes.get(len.saturating_sub(before)..))
    }

    /// Buffers bytes that may belong to the head. Bytes beyond the limit are body, or the head is
    /// too long anyway.
    fn hold(&mut self, bytes: &[u8]) {
        let space = MAX_HEAD_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
    }

    /// Returns the bytes after a chunked body, once it has ended.
    fn push_chunks<'a>(
        &mut self,
        mut bytes: &'a [u8],
    ) -> Result<Option<&'a [u8]>, InvalidResponse> {
        while let State::Chunked(chunks) = &mut self.state {
            let (framing, content, is_open) = match chunks.next(bytes) {
                Piece::Framing(framing) => (framing, 0, false),
                Piece::Content(framing, content) => (framing, content, true),
                Piece::End(framing) => {
                    self.end_chunks();
                    (framing, 0, true)
                }
                Piece::Bad(..) => return Err(InvalidResponse),
            };
            let taken = framing.saturating_add(content);
            let (body, rest) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));
            self.keep_body(body, content);
            bytes = rest;
            if !is_open {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }

    fn end_chunks(&mut self) {
        let State::Chunked(chunks) = std::mem::replace(&mut self.state, State::Complete) else {
            return;
        };
        if let Some(kept) = &mut self.kept {
            if chunks.spaced {
                kept.flaws.add(Flaw::ChunkSpace);
            }
            if chunks.bare_lf {
                kept.flaws.add(Flaw::BareLf);
            }
            kept.trailer = chunks.trailer;
        }
    }

    /// Keeps bytes of the body, of which `content` are content.
    fn keep_body(&mut self, bytes: &[u8], content: usize) {
        let (Some(kept), Some(max)) = (&mut self.kept, self.max_body) else { return };
        kept.length = kept.length.saturating_add(content as u64);
        match &mut kept.wire {
            Some(wire) if wire.len().saturating_add(bytes.len()) <= max => {
                return wire.extend_from_slice(bytes);
            }
            _ => kept.drop_body(),
        }
        if let Some(sha256) = &mut kept.sha256 {
            let framing = bytes.len().saturating_sub(content);
            sha256.update(bytes.get(framing..).unwrap_or_default());
        }
    }
}

impl KeptResponse {
    fn new(raw: Bytes, parsed: Parsed, headers: Vec<HeaderLine>, framing: BodyLength) -> Self {
        Self {
            head: Head { raw, start: parsed.start, headers },
            framing,
            flaws: parsed.facts.flaws,
            length: 0,
            wire: Some(Vec::new()),
            sha256: None,
            trailer: Vec::new(),
        }
    }

    /// From here on only its length and digest are known.
    fn drop_body(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.sha256 = digest(Kept::Memory(wire.into()), self.framing == BodyLength::Chunked);
        }
    }
}
