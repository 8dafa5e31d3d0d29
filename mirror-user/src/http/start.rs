//! Start lines: what they say, and by which looks a message or another protocol is recognised.

use std::ops::Range;

use super::fields::{self, offset, slice};
use super::message::StartLine;
use super::stats::{NotHttp, Refusal};
use crate::tcp::event::Side;

/// A request line, and whether its parts stand apart by anything but one space.
pub(super) fn request_line(text: &[u8]) -> Result<(StartLine, bool), Refusal> {
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
pub(super) fn status_line(text: &[u8]) -> Result<(StartLine, bool), Refusal> {
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
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = Range<u32>> + '_ {
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
pub(super) fn proxy_line(text: &[u8]) -> Option<usize> {
    if !text.starts_with(b"PROXY ") {
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
