//! Requests to a server of our own: the bytes that a connection has so far in, and when a request is whole.
//!
//! Read by the same rules as captured ones, so that what is recorded and what is asked are one thing. Refuses
//! what RFC 9112 has a server respond to with 400, and what is longer than the limits. The bytes stay with whoever
//! reads the connection; this remembers where it is in them and, of a chunked body, the content.

use super::chunk::{Chunks, Piece};
use super::fields::slice;
use super::framing;
use super::head::{self, Outcome, Parsed};
use super::start::refuse_start;
use crate::http::message::{BodyLength, Flaw, HeaderLine, StartLine, Version};
use crate::http::stats::Refusal;
use crate::tcp::event::Side;

/// The longest request head, in bytes: eight times what common servers take.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Bytes of empty lines before a request that are passed over (RFC 9112 §2.2 has it at least one).
const MAX_BLANK_BYTES: usize = 8;

/// Chunk framing may be so many times as long as the content that may be sent; a head's length is free.
const MAX_FRAMING_RATIO: usize = 2;

/// Field lines whose memory is kept from one request to the next.
const KEPT_LINES: usize = 64;

/// Why a request is not read: "it has …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidRequest {
    /// A start line that cannot be read.
    Start(Refusal),
    /// A flaw for which a server responds with 400.
    Flaw(Flaw),
    /// No `Host`, in HTTP/1.1 (RFC 9112 §3.2).
    NoHost,
    /// A head of more than 64 KiB.
    HeadTooLarge,
    /// A body longer than the limit.
    BodyTooLarge,
}

impl InvalidRequest {
    /// The status of the response (RFC 9110 §15.5.1, §15.5.14; RFC 6585 §5).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Start(_) | Self::Flaw(_) | Self::NoHost => 400,
            Self::BodyTooLarge => 413,
            Self::HeadTooLarge => 431,
        }
    }

    /// What it has, as a name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start(refusal) => refusal.into(),
            Self::Flaw(flaw) => flaw.into(),
            Self::NoHost => "no_host",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge => "body_too_large",
        }
    }
}

/// How much of a request is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestProgress {
    /// More bytes are needed.
    NeedMore,
    /// More bytes are needed, and will not come before an interim response `100 Continue`.
    NeedContinue,
    /// It is whole.
    Complete,
}

/// Reads one request at a time.
pub struct RequestReader {
    max_body: usize,
    lines: Vec<HeaderLine>,
    /// Bytes of empty lines before the request.
    blank: usize,
    /// Where the end of the head is looked for next.
    scanned: usize,
    head: Option<ReadHead>,
    body: BodyState,
    /// The content of a chunked body so far.
    content: Vec<u8>,
}

struct ReadHead {
    start: StartLine,
    len: usize,
    close: bool,
    expects_continue: bool,
}

enum BodyState {
    None,
    Length(usize),
    /// How far the chunks were read, from the end of the head on.
    Chunked(Box<Chunks>, usize),
    Chunks(usize),
}

/// A whole request, in the bytes that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest<'a> {
    /// The exact bytes of the head.
    pub head: &'a [u8],
    /// The method token.
    pub method: &'a [u8],
    /// The request target as sent.
    pub target: &'a [u8],
    /// The version that it says it has.
    pub version: Version,
    /// The body without chunk framing.
    pub content: &'a [u8],
    /// Bytes of the request, with empty lines before it; the next request stands behind them.
    pub len: usize,
    /// True if the client wants another response on this connection (RFC 9112 §9.3).
    pub persists: bool,
    lines: &'a [HeaderLine],
}

impl<'a> ReadRequest<'a> {
    /// Every field's name and value in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let (head, lines) = (self.head, self.lines);
        lines.iter().map(move |line| (slice(head, &line.name), slice(head, &line.value)))
    }

    /// The first value of the field called `name`, in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }
}

impl RequestReader {
    /// For requests with bodies of at most `max_body` bytes.
    #[must_use]
    pub fn new(max_body: usize) -> Self {
        Self {
            max_body,
            lines: Vec::new(),
            blank: 0,
            scanned: 0,
            head: None,
            body: BodyState::None,
            content: Vec::new(),
        }
    }

    /// Forgets the request that was read, for the next one.
    pub fn next(&mut self) {
        self.lines.clear();
        self.lines.shrink_to(KEPT_LINES);
        (self.blank, self.scanned) = (0, 0);
        self.head = None;
        self.body = BodyState::None;
        self.content = Vec::new();
    }

    /// True once the head is whole.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Looks at `input`, all bytes since the end of the request before: the same as at the last call, and
    /// what came since.
    ///
    /// # Errors
    /// If they cannot be a request. Where the next one begins is then unknown.
    pub fn read(&mut self, input: &[u8]) -> Result<RequestProgress, InvalidRequest> {
        if self.head.is_none() && !self.read_head(input)? {
            return Ok(RequestProgress::NeedMore);
        }
        let Some(head) = &self.head else { return Ok(RequestProgress::NeedMore) };
        let begin = self.blank.saturating_add(head.len);
        let body = input.get(begin..).unwrap_or_default();
        let is_whole = match &mut self.body {
            BodyState::None | BodyState::Chunks(_) => true,
            BodyState::Length(length) => body.len() >= *length,
            BodyState::Chunked(chunks, at) => {
                match chunked(chunks, body, at, self.max_body, &mut self.content)? {
                    false => false,
                    true => {
                        self.body = BodyState::Chunks(*at);
                        true
                    }
                }
            }
        };
        Ok(match is_whole {
            true => RequestProgress::Complete,
            false if head.expects_continue && body.is_empty() => RequestProgress::NeedContinue,
            false => RequestProgress::NeedMore,
        })
    }

    /// The request in `input`, once it is complete.
    #[must_use]
    pub fn request<'a>(&'a self, input: &'a [u8]) -> Option<ReadRequest<'a>> {
        let ReadHead { start, len, close, .. } = self.head.as_ref()?;
        let StartLine::Request { method, target, version } = start else { return None };
        let end = self.blank.saturating_add(*len);
        let head = input.get(self.blank..end)?;
        let (content, body) = match &self.body {
            BodyState::None => (&[][..], 0),
            BodyState::Length(length) => (input.get(end..end.saturating_add(*length))?, *length),
            BodyState::Chunks(length) => (self.content.as_slice(), *length),
            BodyState::Chunked(..) => return None,
        };
        Some(ReadRequest {
            head,
            method: slice(head, method),
            target: slice(head, target),
            version: *version,
            content,
            len: end.saturating_add(body),
            persists: !close && *version != Version::Http10,
            lines: &self.lines,
        })
    }

    /// True once the head is there.
    fn read_head(&mut self, input: &[u8]) -> Result<bool, InvalidRequest> {
        if self.scanned == 0 {
            self.blank = blank(input);
        }
        let text = input.get(self.blank..).unwrap_or_default();
        // A head that comes byte by byte is looked through once, not once for each byte.
        let from = self.scanned.saturating_sub(3);
        let Some(end) = head::find_end(text, from) else {
            if let Some(refusal) = refuse_start(Side::Client, text) {
                return Err(InvalidRequest::Start(refusal));
            }
            self.scanned = text.len();
            return if text.len() > MAX_HEAD_BYTES {
                Err(InvalidRequest::HeadTooLarge)
            } else {
                Ok(false)
            };
        };
        if end > MAX_HEAD_BYTES {
            return Err(InvalidRequest::HeadTooLarge);
        }
        let text = text.get(..end).unwrap_or_default();
        match head::parse(Side::Client, text, &mut self.lines) {
            Outcome::Head(parsed) => self.take_head(parsed).map(|()| true),
            Outcome::Refused(refusal) => Err(InvalidRequest::Start(refusal)),
            Outcome::Partial => Err(InvalidRequest::Start(Refusal::RequestLine)),
        }
    }

    fn take_head(&mut self, mut parsed: Parsed) -> Result<(), InvalidRequest> {
        let StartLine::Request { version, .. } = parsed.start else {
            return Err(InvalidRequest::Start(Refusal::RequestLine));
        };
        let framing = framing::request(&mut parsed.facts, version);
        if let Some(flaw) = parsed.facts.flaws.iter().find(|flaw| flaw.refuses(Side::Client)) {
            return Err(InvalidRequest::Flaw(flaw));
        }
        if version != Version::Http10 && !parsed.facts.has_host() {
            return Err(InvalidRequest::NoHost);
        }
        self.body = match framing {
            BodyLength::None | BodyLength::UntilClose => BodyState::None,
            BodyLength::Chunked => BodyState::Chunked(Box::default(), 0),
            BodyLength::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.max_body => BodyState::Length(length),
                _ => return Err(InvalidRequest::BodyTooLarge),
            },
        };
        self.head = Some(ReadHead {
            start: parsed.start,
            len: parsed.len,
            close: parsed.facts.close,
            expects_continue: parsed.facts.expects_leave && version != Version::Http10,
        });
        Ok(())
    }
}

/// Bytes of empty lines at the start.
fn blank(input: &[u8]) -> usize {
    let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    input.iter().take(MAX_BLANK_BYTES).take_while(is_blank).count()
}

/// Reads on in a chunked body, from `at` on; true at its end.
fn chunked(
    chunks: &mut Chunks,
    body: &[u8],
    at: &mut usize,
    max: usize,
    content: &mut Vec<u8>,
) -> Result<bool, InvalidRequest> {
    loop {
        let rest = body.get(*at..).unwrap_or_default();
        let (framing, data, ended) = match chunks.next(rest) {
            Piece::Framing(framing) => (framing, 0, None),
            Piece::Content(framing, data) => (framing, data, Some(false)),
            Piece::End(framing) => (framing, 0, Some(true)),
            Piece::Bad(_, flaw) => return Err(InvalidRequest::Flaw(flaw)),
        };
        let end = framing.saturating_add(data);
        *at = at.saturating_add(end);
        let most = max.saturating_mul(MAX_FRAMING_RATIO).saturating_add(MAX_HEAD_BYTES);
        if content.len().saturating_add(data) > max || *at > most {
            return Err(InvalidRequest::BodyTooLarge);
        }
        content.extend_from_slice(rest.get(framing..end).unwrap_or_default());
        match ended {
            None => return Ok(false),
            Some(true) => return Ok(true),
            Some(false) => {}
        }
    }
}
