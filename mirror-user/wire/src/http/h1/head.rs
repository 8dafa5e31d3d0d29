//! Heads: from bytes to start line, field lines and what they say about framing.
//!
//! `httparse` reads what is well formed, which is nearly everything; what it refuses is taken apart
//! line by line, so that what exactly is wrong can be reported.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::fields::{self, Facts, offset, slice};
use super::framing::Asked;
use super::start::{request_line, status_line, words};
use crate::http::message::{Flaw, HeaderLine, StartLine, Version};
use crate::http::stats::Refusal;
use crate::http::target::{RequestTarget, TargetForm};
use crate::tcp::event::Side;

/// More field lines than this are read the slow way. Browsers send 10 to 30.
const FAST_FIELDS: usize = 64;

/// A head that was taken apart; its field lines are in the scratch space.
pub(super) struct Parsed {
    /// Start line.
    pub(super) start: StartLine,
    /// What its fields say.
    pub(super) facts: Facts,
    /// What it asks, if it is a request.
    pub(super) asked: Asked,
    /// Its length with the empty line.
    pub(super) len: usize,
}

/// What the start of some bytes is.
pub(super) enum Outcome {
    /// A head.
    Head(Parsed),
    /// Perhaps the beginning of one.
    Partial,
    /// A head whose start line cannot be read.
    Refused(Refusal),
}

/// Reads the head that `input` begins with, its field lines into `lines`.
pub(super) fn parse(side: Side, input: &[u8], lines: &mut Vec<HeaderLine>) -> Outcome {
    lines.clear();
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; FAST_FIELDS];
    match side {
        Side::Client => {
            let mut request = httparse::Request::new(&mut []);
            let status = ParserConfig::default().parse_request_with_uninit_headers(
                &mut request,
                input,
                &mut fields,
            );
            match (status, request.method, request.path, request.version) {
                (Ok(Status::Complete(len)), Some(method), Some(path), Some(minor)) => {
                    let method = offset(method.len());
                    let target = method + 1..method + 1 + offset(path.len());
                    let start = StartLine::Request {
                        method: 0..method,
                        target,
                        version: Version::http1(minor),
                    };
                    gather(start, input.get(..len).unwrap_or_default(), request.headers, lines)
                }
                (Ok(_), ..) => Outcome::Partial,
                (Err(_), ..) => slowly(side, input, lines),
            }
        }
        Side::Server => {
            let mut response = httparse::Response::new(&mut []);
            let status = ParserConfig::default().parse_response_with_uninit_headers(
                &mut response,
                input,
                &mut fields,
            );
            match (status, response.code, response.version) {
                (Ok(Status::Complete(len)), Some(code), Some(minor)) => {
                    let line = memchr::memchr(b'\n', input).unwrap_or_default();
                    let end = if line > 0 && input.get(line - 1) == Some(&b'\r') {
                        line - 1
                    } else {
                        line
                    };
                    let end = offset(end);
                    let start = StartLine::Status {
                        code,
                        reason: REASON_AT.min(end)..end,
                        version: Version::http1(minor),
                    };
                    gather(start, input.get(..len).unwrap_or_default(), response.headers, lines)
                }
                (Ok(_), ..) => Outcome::Partial,
                (Err(_), ..) => slowly(side, input, lines),
            }
        }
    }
}

/// `HTTP/1.1 200 ` comes before the reason phrase.
const REASON_AT: u32 = 13;

/// Turns what `httparse` found in `raw` into lines, and looks for what it tolerates in silence.
fn gather(
    start: StartLine,
    raw: &[u8],
    headers: &[Header<'_>],
    lines: &mut Vec<HeaderLine>,
) -> Outcome {
    let mut facts = Facts::default();
    let base = raw.as_ptr().addr();
    for header in headers {
        let name_start = header.name.as_ptr().addr().wrapping_sub(base);
        let name_end = name_start + header.name.len();
        // An empty value need not point into the input.
        let value_start = if header.value.is_empty() {
            let after = raw.get(name_end + 1..).unwrap_or_default();
            let blank = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            name_end + 1 + blank
        } else {
            header.value.as_ptr().addr().wrapping_sub(base)
        };
        if let Some(last) = lines.last_mut() {
            last.line.end = offset(name_start);
        }
        ends_in_crlf(raw, name_start, &mut facts);
        facts.note(header.name.as_bytes(), header.value);
        lines.push(HeaderLine {
            name: offset(name_start)..offset(name_end),
            value: offset(value_start)..offset(value_start + header.value.len()),
            line: offset(name_start)..offset(name_start),
        });
    }
    let blank = if raw.ends_with(b"\r\n") { 2 } else { 1 };
    let fields_end = raw.len().saturating_sub(blank);
    if let Some(last) = lines.last_mut() {
        last.line.end = offset(fields_end);
    }
    ends_in_crlf(raw, fields_end, &mut facts);
    ends_in_crlf(raw, raw.len(), &mut facts);
    compare_hosts(&start, raw, lines, &mut facts);
    let asked = asked(raw, &start);
    Outcome::Head(Parsed { start, facts, asked, len: raw.len() })
}

fn asked(raw: &[u8], start: &StartLine) -> Asked {
    match start {
        StartLine::Request { method, .. } => match slice(raw, method) {
            b"HEAD" => Asked::Head,
            b"CONNECT" => Asked::Connect,
            _ => Asked::Other,
        },
        StartLine::Status { .. } => Asked::Other,
    }
}

fn ends_in_crlf(raw: &[u8], end: usize, facts: &mut Facts) {
    if end < 2 || raw.get(end - 2) != Some(&b'\r') {
        facts.flaws.add(Flaw::BareLf);
    }
}

/// A target in absolute form whose authority is not what `Host` says (RFC 9112 §3.2.2).
fn compare_hosts(start: &StartLine, raw: &[u8], lines: &[HeaderLine], facts: &mut Facts) {
    let StartLine::Request { method, target, .. } = start else { return };
    let target = slice(raw, target);
    // Nearly all are in origin form.
    if target.first() == Some(&b'/') {
        return;
    }
    let target = RequestTarget::parse(slice(raw, method), target);
    if target.form() != TargetForm::Absolute {
        return;
    }
    let host = lines
        .iter()
        .find(|line| slice(raw, &line.name).eq_ignore_ascii_case(b"host"))
        .map(|line| slice(raw, &line.value));
    if host
        .is_some_and(|host| !without_port(host).eq_ignore_ascii_case(without_port(target.host())))
    {
        facts.flaws.add(Flaw::HostMismatch);
    }
}

/// A host without a port that its scheme implies.
fn without_port(host: &[u8]) -> &[u8] {
    host.strip_suffix(b":80").or(host.strip_suffix(b":443")).unwrap_or(host)
}

/// Where the head that `input` begins with ends, looking from `from` on: after LF, CR or not, LF.
pub(super) fn find_end(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let lf = at + memchr::memchr(b'\n', input.get(at..)?)?;
        at = lf + 1;
        match input.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Reads a head that is not well formed.
fn slowly(side: Side, input: &[u8], lines: &mut Vec<HeaderLine>) -> Outcome {
    let Some(first) = memchr::memchr(b'\n', input) else { return Outcome::Partial };
    let line = input.get(..=first).unwrap_or_default();
    let (text, bare_lf) = match line {
        [text @ .., b'\r', b'\n'] => (text, false),
        [text @ .., _] => (text, true),
        [] => (line, true),
    };
    let started = match side {
        Side::Client => request_line(text),
        Side::Server => status_line(text),
    };
    let (start, odd_space) = match started {
        Ok(start) => start,
        Err(Refusal::Http09) => return http09(text, line.len()),
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let Some(end) = find_end(input, first) else { return Outcome::Partial };
    let raw = input.get(..end).unwrap_or_default();
    let mut facts = Facts::default();
    if bare_lf {
        facts.flaws.add(Flaw::BareLf);
    }
    if odd_space {
        facts.flaws.add(Flaw::StartLineSpace);
    }
    for &byte in text {
        match byte {
            b'\r' => facts.flaws.add(Flaw::BareCr),
            0..0x20 | 0x7f if byte != b'\t' => facts.flaws.add(Flaw::BadFieldValue),
            _ => {}
        }
    }
    let flaws = fields::split(side, raw, line.len(), lines);
    facts.flaws.join(flaws);
    for line in lines.iter() {
        facts.note(slice(raw, &line.name), slice(raw, &line.value));
    }
    if !raw.ends_with(b"\r\n") {
        facts.flaws.add(Flaw::BareLf);
    }
    compare_hosts(&start, raw, lines, &mut facts);
    let asked = asked(raw, &start);
    Outcome::Head(Parsed { start, facts, asked, len: end })
}

/// An HTTP/0.9 request, which is its first line and nothing else.
fn http09(text: &[u8], len: usize) -> Outcome {
    let mut words = words(text);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Outcome::Refused(Refusal::RequestLine);
    };
    let mut facts = Facts::default();
    facts.flaws.add(Flaw::Http09);
    let start = StartLine::Request { method, target, version: Version::Http10 };
    Outcome::Head(Parsed { start, facts, asked: Asked::Other, len })
}
