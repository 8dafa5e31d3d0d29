//! Start lines: what they say, and how a message or another protocol is recognised by its first bytes.

use std::ops::Range;

use super::fields::{offset, slice};
use crate::http::message::{BodyLength, StartLine, Version};
use crate::http::stats::{NotHttp, Refusal};
use crate::syntax::is_token;
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
    let Some(third) = words.next() else {
        let simple = is_token(slice(text, &method)) && is_plain(slice(text, &target));
        return Err(if simple { Refusal::Http09 } else { Refusal::RequestLine });
    };
    if words.next().is_some() {
        return Err(Refusal::RequestLine);
    }
    if !is_token(slice(text, &method)) {
        return Err(Refusal::Method);
    }
    let version = read_version(slice(text, &third))?;
    if slice(text, &target).iter().any(|&b| b < 0x21 || b == 0x7f) {
        return Err(Refusal::Target);
    }
    let odd = method.end + 1 != target.start
        || target.end + 1 != third.start
        || third.end as usize != text.len();
    Ok((StartLine::Request { method, target, version }, odd))
}

/// A status line, and whether its parts stand apart by anything but one space.
pub(super) fn status_line(text: &[u8]) -> Result<(StartLine, bool), Refusal> {
    let mut words = words(text);
    let (Some(first), Some(status)) = (words.next(), words.next()) else {
        return Err(Refusal::StatusLine);
    };
    if first.start != 0 || !slice(text, &first).starts_with(b"HTTP/") {
        return Err(Refusal::StatusLine);
    }
    let version = read_version(slice(text, &first)).map_err(|refusal| {
        // HTTP/1.1 and a tab, say.
        if slice(text, &first).iter().any(u8::is_ascii_control) {
            Refusal::StatusLine
        } else {
            refusal
        }
    })?;
    let code = match slice(text, &status) {
        digits @ [_, _, _] if digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'))
        }
        _ => return Err(Refusal::Status),
    };
    let reason = (status.end + 1).min(offset(text.len()))..offset(text.len());
    let odd = first.end + 1 != status.start;
    Ok((StartLine::Status { code, reason, version }, odd))
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

/// A minor version above those that are known is processed as the highest one (RFC 9110 §2.5).
fn read_version(version: &[u8]) -> Result<Version, Refusal> {
    match version {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', digit @ b'0'..=b'9'] => {
            Ok(Version::http1(digit - b'0'))
        }
        _ => Err(Refusal::Version),
    }
}

/// Whether bytes look like what was asked about, as far as they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Like what was asked about.
    Alike,
    /// Perhaps so; more of them will decide.
    Open,
    /// Like something else.
    Other,
}

/// Whether `bytes` begin with a status line, or with a whole request line.
fn likeness(side: Side, bytes: &[u8]) -> Likeness {
    match side {
        Side::Server => {
            let prefix: &[u8] = b"HTTP/1.";
            let n = prefix.len().min(bytes.len());
            match bytes.get(..n) == prefix.get(..n) {
                true if n == prefix.len() => Likeness::Alike,
                true => Likeness::Open,
                false => Likeness::Other,
            }
        }
        Side::Client => match memchr::memchr(b'\n', bytes) {
            Some(lf) => {
                let line = bytes.get(..lf).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if request_line(line).is_ok() { Likeness::Alike } else { Likeness::Other }
            }
            None if may_become_request_line(bytes) => Likeness::Open,
            None => Likeness::Other,
        },
    }
}

/// True when a request line may begin with `text`, which has no line end.
fn may_become_request_line(text: &[u8]) -> bool {
    let mut words = words(text).map(|word| slice(text, &word));
    let method = words.next().is_some_and(is_token) && text.first() != Some(&b' ');
    let target = words.next().is_none_or(|target| !target.iter().any(|&b| b < 0x21 || b == 0x7f));
    let version = words.next().is_none_or(|version| {
        let version = version.strip_suffix(b"\r").unwrap_or(version);
        read_version(version).is_ok() || b"HTTP/1.".starts_with(version)
    });
    let end = words.next().is_none_or(|end| end == b"\r") && words.next().is_none();
    method && target && version && end
}

/// Bytes of a word that may still become a method. The longest that IANA knows has 17; a longer
/// word is taken for text of a body.
const MAX_METHOD: usize = 64;

/// Whether `bytes`, where a body with this framing should begin, are the next message instead.
pub(super) fn next_message(side: Side, bytes: &[u8], framing: BodyLength) -> Likeness {
    let blank = match side {
        Side::Client => bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count(),
        Side::Server => 0,
    };
    let text = bytes.get(blank..).unwrap_or_default();
    // `abc` may be the beginning of a method, but it is all of a body of three bytes.
    let word = bytes.split(|&b| b == b' ').next().unwrap_or_default();
    let is_all = matches!(framing, BodyLength::Length(length) if word.len() as u64 >= length);
    if side == Side::Client
        && (word.len() - blank.min(word.len()) > MAX_METHOD
            || is_all && !METHODS.iter().any(|method| method.starts_with(word)))
    {
        return Likeness::Other;
    }
    if text.is_empty() { Likeness::Open } else { likeness(side, text) }
}

/// True when `line` has the shape of a request line or status line of HTTP/1; used to find the
/// next message where framing was lost. Such a line need not be whole.
pub(super) fn may_start(side: Side, line: &[u8]) -> bool {
    if likeness(side, line) == Likeness::Other {
        return false;
    }
    side == Side::Server || {
        let mut words = line.split(|&b| b == b' ');
        let method = words.next().unwrap_or_default();
        match words.find(|word| !word.is_empty()) {
            Some(target) => is_method(method, target),
            None => METHODS.iter().any(|known| known.starts_with(method)),
        }
    }
}

/// True when `method` is one, although the bytes before it may be missing or be part of a body. Any
/// token is, unless it looks like the rest of a known method or like a body with a method behind it.
fn is_method(method: &[u8], target: &[u8]) -> bool {
    if METHODS.contains(&method) {
        return true;
    }
    let is_rest = METHODS.iter().any(|known| known.ends_with(method));
    let is_behind = METHODS.iter().any(|known| method.ends_with(known))
        && !method.iter().all(u8::is_ascii_uppercase);
    !is_rest && !is_behind && (is_plain(target) || target.starts_with(b"*"))
}

/// True for a target in origin form or absolute form (RFC 9112 §3.2), of which this is the beginning.
fn is_plain(target: &[u8]) -> bool {
    target.starts_with(b"/") || memchr::memmem::find(target, b"://").is_some()
}

/// Known methods: those registered with IANA, and those of caches and UPnP. Any other token is a
/// method, too; these are recognised by their first letters, and where the bytes before them may be
/// missing.
const METHODS: [&[u8]; 45] = [
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"QUERY",
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"COPY",
    b"LABEL",
    b"LINK",
    b"LOCK",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"MOVE",
    b"ORDERPATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UNLOCK",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
    b"PURGE",
    b"BAN",
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

/// A request line after the end of a line is looked for within this number of bytes.
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
