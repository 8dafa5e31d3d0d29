//! Heads: from bytes to start line, field lines and what they say about framing.
//!
//! `httparse` reads what is well formed, which is nearly everything; what it refuses is taken apart
//! line by line, so that it can be told what exactly is wrong.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, ParserConfig, Status};

use super::fields::{self, Facts, offset};
use super::framing::Asked;
use super::message::{Flaw, HeaderLine, StartLine};
use super::stats::{NotHttp, Refusal};
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
                (Ok(Status::Complete(len)), Some(method), Some(path), Some(minor_version)) => {
                    let method = offset(method.len());
                    let target = method + 1..method + 1 + offset(path.len());
                    let start = StartLine::Request { method: 0..method, target, minor_version };
                    gather(
                        side,
                        start,
                        input.get(..len).unwrap_or_default(),
                        request.headers,
                        lines,
                    )
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
                (Ok(Status::Complete(len)), Some(code), Some(minor_version)) => {
                    let line = memchr::memchr(b'\n', input).unwrap_or_default();
                    let end = if line > 0 && input.get(line - 1) == Some(&b'\r') {
                        line - 1
                    } else {
                        line
                    };
                    let end = offset(end);
                    let start =
                        StartLine::Status { code, reason: REASON_AT.min(end)..end, minor_version };
                    gather(
                        side,
                        start,
                        input.get(..len).unwrap_or_default(),
                        response.headers,
                        lines,
                    )
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
    side: Side,
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
    compare_hosts(side, &start, raw, lines, &mut facts);
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
fn compare_hosts(
    side: Side,
    start: &StartLine,
    raw: &[u8],
    lines: &[HeaderLine],
    facts: &mut Facts,
) {
    let StartLine::Request { target, .. } = start else { return };
    let target = slice(raw, target);
    if side == Side::Server || target.first().is_none_or(|&b| b == b'/') {
        return;
    }
    let Some(after_scheme) = memchr::memmem::find(target, b"://").and_then(|i| target.get(i + 3..))
    else {
        return;
    };
    let authority =
        after_scheme.split(|b| matches!(b, b'/' | b'?' | b'#')).next().unwrap_or_default();
    let authority = authority.rsplit(|&b| b == b'@').next().unwrap_or_default();
    let host = lines
        .iter()
        .find(|line| slice(raw, &line.name).eq_ignore_ascii_case(b"host"))
        .map(|line| slice(raw, &line.value));
    let without_port = |host: &[u8]| host.strip_suffix(b":80").unwrap_or(host).to_ascii_lowercase();
    if host.is_some_and(|host| without_port(host) != without_port(authority)) {
        facts.flaws.add(Flaw::HostMismatch);
    }
}

fn slice<'a>(raw: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    raw.get(range.start as usize..range.end as usize).unwrap_or_default()
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
    compare_hosts(side, &start, raw, lines, &mut facts);
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
    let start = StartLine::Request { method, target, minor_version: 0 };
    Outcome::Head(Parsed { start, facts, asked: Asked::Other, len })
}

/// A request line, and whether its parts stand apart by anything but one space.
fn request_line(text: &[u8]) -> Result<(StartLine, bool), Refusal> {
    if text.first() == Some(&b' ') {
        return Err(Refusal::RequestLine);
    }
    let mut words = words(text);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(Refusal::RequestLine);
    };
    let Some(version) = words.next() else {
        let simple = slice(text, &method) == b"GET" && slice(text, &target).starts_with(b"/");
        return Err(if simple { Refusal::Http09 } else { Refusal::RequestLine });
    };
    if words.next().is_some() {
        return Err(Refusal::RequestLine);
    }
    if !fields::is_token(slice(text, &method)) {
        return Err(Refusal::Method);
    }
    let minor_version = minor_version(slice(text, &version))?;
    if slice(text, &target).iter().any(|&b| b < 0x21 || b == 0x7f) {
        return Err(Refusal::Target);
    }
    let odd = method.end + 1 != target.start
        || target.end + 1 != version.start
        || version.end as usize != text.len();
    Ok((StartLine::Request { method, target, minor_version }, odd))
}

/// A status line, and whether its parts stand apart by anything but one space.
fn status_line(text: &[u8]) -> Result<(StartLine, bool), Refusal> {
    let mut words = words(text);
    let (Some(version), Some(status)) = (words.next(), words.next()) else {
        return Err(Refusal::StatusLine);
    };
    if version.start != 0 || !slice(text, &version).starts_with(b"HTTP/") {
        return Err(Refusal::StatusLine);
    }
    let minor_version = minor_version(slice(text, &version)).map_err(|refusal| {
        // HTTP/1.1 and a tab, say.
        if slice(text, &version).iter().any(u8::is_ascii_control) {
            Refusal::StatusLine
        } else {
            refusal
        }
    })?;
    let code = match slice(text, &status) {
        digits @ [b'1'..=b'9', _, _] if digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'))
        }
        _ => return Err(Refusal::Status),
    };
    let reason = (status.end + 1).min(offset(text.len()))..offset(text.len());
    let odd = version.end + 1 != status.start;
    Ok((StartLine::Status { code, reason, minor_version }, odd))
}

/// Runs of anything but spaces.
fn words(text: &[u8]) -> impl Iterator<Item = Range<u32>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.iter().position(|&b| b != b' ')?;
        let len = text.get(start..)?.iter().position(|&b| b == b' ');
        let end = len.map_or(text.len(), |len| start + len);
        at = end;
        Some(offset(start)..offset(end))
    })
}

fn minor_version(version: &[u8]) -> Result<u8, Refusal> {
    match version {
        b"HTTP/1.1" => Ok(1),
        b"HTTP/1.0" => Ok(0),
        _ => Err(Refusal::Version),
    }
}

/// True when `line` has the shape of a request line or status line of HTTP/1; used to find the
/// next message where framing was lost. Such a line need not be whole.
pub(super) fn may_start(side: Side, line: &[u8]) -> bool {
    match side {
        Side::Server => {
            let prefix: &[u8] = b"HTTP/1.";
            let n = prefix.len().min(line.len());
            line.get(..n) == prefix.get(..n)
        }
        Side::Client => {
            let whole = memchr::memchr(b'\n', line);
            let text = line.get(..whole.unwrap_or(line.len())).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let method = text.split(|&b| b == b' ').next().unwrap_or_default();
            let known = |m: &&[u8]| {
                if method.len() < text.len() { *m == method } else { m.starts_with(method) }
            };
            if !METHODS.iter().any(known) {
                return false;
            }
            if whole.is_some() {
                request_line(text).is_ok()
            } else {
                !text.iter().any(u8::is_ascii_control)
            }
        }
    }
}

/// Methods by which a request is recognised where its beginning has to be guessed: those registered
/// with IANA that are in use, and those of caches and UPnP. Any token would do otherwise, but after
/// a gap `EAD / HTTP/1.1` is not a request.
const METHODS: [&[u8]; 34] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"ACL",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"VERSION-CONTROL",
    b"LINK",
    b"PURGE",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"M-SEARCH",
];
/// Where in `data`, after its first line, a message seems to start.
pub(super) fn find_start(side: Side, data: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', data).map(|lf| lf + 1).find(|&at| {
        let line = data.get(at..).unwrap_or_default();
        let long_enough = match side {
            Side::Server => line.len() >= b"HTTP/1.".len(),
            Side::Client => {
                memchr::memchr(b'\n', line.get(..LONGEST_GUESS).unwrap_or(line)).is_some()
            }
        };
        long_enough && may_start(side, line)
    })
}

/// A request line after the end of a line is looked for within so many bytes.
const LONGEST_GUESS: usize = 8 * 1024;

/// Why bytes cannot be the beginning of a message, as far as their first line shows.
pub(super) fn refuse_start(side: Side, text: &[u8]) -> Option<Refusal> {
    if let Some(lf) = memchr::memchr(b'\n', text) {
        let line = text.get(..lf).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        return match side {
            Side::Client => request_line(line).err(),
            Side::Server => status_line(line).err(),
        };
    }
    match side {
        Side::Client => {
            let mut word = text.iter().take_while(|&&b| b != b' ');
            word.any(|&b| b < b' ' && b != b'\r' || b >= 0x7f).then_some(Refusal::Method)
        }
        Side::Server => {
            let prefix: &[u8] = b"HTTP/";
            let n = prefix.len().min(text.len());
            (text.get(..n) != prefix.get(..n)).then_some(Refusal::StatusLine)
        }
    }
}

/// The length of the PROXY protocol's line (version 1) that `text` begins with.
pub(super) fn proxy_line(side: Side, text: &[u8], begun: bool) -> Option<usize> {
    if side == Side::Server || begun || !text.starts_with(b"PROXY ") {
        return None;
    }
    memchr::memchr(b'\n', text).map(|lf| lf + 1)
}

/// Which protocol `text`, the first that a side sent, belongs to, if it is not HTTP/1.
pub(super) fn other_protocol(side: Side, text: &[u8]) -> Option<NotHttp> {
    if text.first() == Some(&TLS_HANDSHAKE) {
        return Some(NotHttp::Tls);
    }
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    if side == Side::Client && line.starts_with(b"PRI * HTTP/2.0") {
        return Some(NotHttp::Http2);
    }
    let word = line.split(|&b| matches!(b, b' ' | b'\r')).find(|word| !word.is_empty());
    let looks_alike = match side {
        Side::Client => {
            memchr::memmem::find(line, b"HTTP/").is_some()
                || memchr::memmem::find(line, b"http/").is_some()
                || METHODS.iter().any(|&method| word == Some(method))
        }
        Side::Server => memchr::memmem::find(line, b"HTTP/").is_some(),
    };
    (!looks_alike).then_some(NotHttp::Unknown)
}

/// The type of TLS handshake records (RFC 8446 §5.1). No method and no status line begins so.
const TLS_HANDSHAKE: u8 = 22;

/// True when `data` begins with the header of a TLS record of any type.
pub(super) fn is_tls_record(data: &[u8]) -> bool {
    matches!(data, [20..=23, 3, 0..=4, ..])
}
