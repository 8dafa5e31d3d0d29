//! Field lines taken apart the lenient way, and what they say about framing.

use std::ops::Range;

use crate::http::flaws::Flaws;
use crate::http::message::{Flaw, HeaderLine};
use crate::syntax::is_token;
use crate::tcp::event::Side;

/// The bytes of one range of a head; empty when it is not inside.
pub(super) fn slice<'a>(raw: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    raw.get(range.start as usize..range.end as usize).unwrap_or_default()
}

/// A length or an offset within a head as it is stored. Heads are far shorter than 4 GiB.
pub(super) fn offset(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Takes apart the field lines of `raw` from `from` up to the empty line or the end, whatever they
/// look like, and says what is wrong with them. Ranges are into `raw`.
pub(super) fn split(side: Side, raw: &[u8], from: usize, lines: &mut Vec<HeaderLine>) -> Flaws {
    let mut flaws = Flaws::default();
    let mut start = from;
    while let Some(rest) = raw.get(start..).filter(|rest| !rest.is_empty()) {
        let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
        let line = rest.get(..len).unwrap_or_default();
        let text = match line {
            [text @ .., b'\r', b'\n'] => text,
            [text @ .., b'\n'] => {
                flaws.add(Flaw::BareLf);
                text
            }
            text => text,
        };
        if text.is_empty() {
            break;
        }
        for &byte in text {
            match byte {
                b'\r' => flaws.add(Flaw::BareCr),
                0..0x20 | 0x7f if byte != b'\t' => flaws.add(Flaw::BadFieldValue),
                _ => {}
            }
        }
        match text {
            [b' ' | b'\t', ..] => fold(side, text, start..start + len, lines, &mut flaws),
            _ => field(side, text, start..start + len, lines, &mut flaws),
        }
        start += len;
    }
    flaws
}

/// A line that begins with white space: part of the value before it (RFC 9112 §5.2).
fn fold(side: Side, text: &[u8], line: Range<usize>, lines: &mut [HeaderLine], flaws: &mut Flaws) {
    let Some(last) = lines.last_mut() else {
        flaws.add(Flaw::SpaceBeforeFields);
        return;
    };
    flaws.add(Flaw::ObsFold);
    let trimmed = trim(text);
    // In a response, a fold is white space and the space before a colon is to be taken away
    // (RFC 9112 §5.1, §5.2): framing is what then stands there.
    if side == Side::Client
        && let Some(colon) = memchr::memchr(b':', trimmed)
        && is_framing(trim(trimmed.get(..colon).unwrap_or_default()))
    {
        flaws.add(Flaw::HiddenFraming);
    }
    last.value.end = offset(line.start + trim_end(text).len()).max(last.value.end);
    last.line.end = offset(line.end);
}

fn field(
    side: Side,
    text: &[u8],
    line: Range<usize>,
    lines: &mut Vec<HeaderLine>,
    flaws: &mut Flaws,
) {
    let Some(colon) = memchr::memchr(b':', text) else {
        flaws.add(Flaw::NoColon);
        return;
    };
    let (sent_name, value) = text.split_at(colon);
    let name = trim_end(sent_name);
    if name.len() < sent_name.len() {
        flaws.add(Flaw::SpaceBeforeColon);
        if side == Side::Client && is_framing(name) {
            flaws.add(Flaw::HiddenFraming);
        }
    }
    if !is_token(name) {
        flaws.add(Flaw::BadFieldName);
    }
    let value = value.get(1..).unwrap_or_default();
    let blank = value.len() - trim_start(value).len();
    let value_start = line.start + colon + 1 + blank;
    let value_len = trim(value).len();
    lines.push(HeaderLine {
        name: offset(line.start)..offset(line.start + name.len()),
        value: offset(value_start)..offset(value_start + value_len),
        line: offset(line.start)..offset(line.end),
    });
}

fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Optional white space is SP and HTAB, nothing else (RFC 9110 §5.6.3).
pub(in crate::http) fn trim(value: &[u8]) -> &[u8] {
    trim_end(trim_start(value))
}

fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn trim_start(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

/// What a head says about where its message ends and what comes after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The `Content-Length`, where there is one that can be read.
    pub(super) length: Option<u64>,
    /// What `Transfer-Encoding` says.
    pub(super) coding: Coding,
    /// `Connection: close`.
    pub(super) close: bool,
    /// `Connection: upgrade`.
    pub(super) connection_upgrade: bool,
    /// `Upgrade` is there.
    pub(super) upgrade: bool,
    /// `Expect: 100-continue`.
    pub(super) expects_leave: bool,
    /// `Content-Type` says that the content is a message of HTTP, or several (RFC 9112 §10).
    pub(super) is_http: bool,
    /// A `Host` came before.
    host: bool,
    /// What is wrong with the fields.
    pub(super) flaws: Flaws,
    /// A transfer coding that this program does not know.
    unknown_coding: bool,
    /// `chunked` was said, and perhaps another coding after it.
    chunked_before: bool,
}

/// The last transfer coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Coding {
    /// There is no `Transfer-Encoding`.
    #[default]
    None,
    /// The last one is `chunked`.
    Chunked,
    /// The last one is another.
    Other,
}

impl Facts {
    /// Takes note of one field.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            4 if is(name, b"Host") => {
                if self.host {
                    self.flaws.add(Flaw::RepeatedHost);
                }
                self.host = true;
            }
            6 if is(name, b"Expect") => {
                let mut expected = value.split(|&b| b == b',').map(trim);
                self.expects_leave |= expected.any(|it| it.eq_ignore_ascii_case(b"100-continue"));
            }
            7 if is(name, b"Upgrade") => self.upgrade = true,
            10 if is(name, b"Connection") => self.connection(value),
            12 if is(name, b"Content-Type") => self.is_http |= is_http(value),
            14 if is(name, b"Content-Length") => self.content_length(value),
            17 if is(name, b"Transfer-Encoding") => self.transfer_encoding(value),
            _ => {}
        }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&b| b == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        for element in value.split(|&b| b == b',').map(trim) {
            match (self.length, decimal(element)) {
                (_, None) => self.flaws.add(Flaw::BadLength),
                (None, Some(length)) => self.length = Some(length),
                (Some(before), Some(length)) if before == length => {
                    self.flaws.add(Flaw::RepeatedLength);
                }
                (Some(_), Some(_)) => self.flaws.add(Flaw::ConflictingLengths),
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        for element in value.split(|&b| b == b',').map(trim) {
            if element.is_empty() {
                self.flaws.add(Flaw::OddTransferEncoding);
                continue;
            }
            if self.coding == Coding::Chunked {
                self.chunked_before = true;
            }
            if element.eq_ignore_ascii_case(b"chunked") {
                self.coding = Coding::Chunked;
            } else {
                self.coding = Coding::Other;
                self.unknown_coding |= !is_known_coding(element);
            }
        }
        if self.coding == Coding::None {
            self.coding = Coding::Other;
        }
    }

    /// True when there is a `Host`.
    pub(super) fn has_host(&self) -> bool {
        self.host
    }

    /// True when there is a `Content-Length`, readable or not.
    pub(super) fn has_length(&self) -> bool {
        self.length.is_some() || self.flaws.contains(Flaw::BadLength)
    }

    /// True when the codings are not such that a recipient could undo them.
    pub(super) fn has_bad_coding(&self) -> bool {
        self.unknown_coding || self.chunked_before
    }
}

/// True if a field's name is this one, which is given as it is mostly sent: that costs one comparison.
fn is<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// True for `message/http` and `application/http`, with or without parameters.
fn is_http(media_type: &[u8]) -> bool {
    let essence = media_type.split(|&b| b == b';').next().map(trim).unwrap_or_default();
    [&b"message/http"[..], b"application/http"].iter().any(|it| essence.eq_ignore_ascii_case(it))
}

/// The registered transfer codings but `chunked` (RFC 9112 §7.2), without parameters.
fn is_known_coding(element: &[u8]) -> bool {
    const KNOWN: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
    KNOWN.iter().any(|coding| element.eq_ignore_ascii_case(coding))
}

/// `1*DIGIT` within 64 bits.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
