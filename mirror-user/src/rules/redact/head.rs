//! Rewrites heads and trailers field by field; bytes between the values stay unchanged.

mod role;

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;

use self::role::Role;
use super::context::Context;
use super::cookie;
use super::detect::Detector;
use super::names::Treatment;
use super::replacer::Replacer;
use super::report::Where;
use super::url;
use crate::http::message::{Head, HeaderLine, StartLine};
use crate::rules::framing;

/// Replacements in a text, in order; `with` holds the new values.
#[derive(Default)]
pub(super) struct Replacements {
    places: Vec<(Range<u32>, Range<usize>)>,
    with: Vec<u8>,
}

impl Replacements {
    /// Replaces a range by what `write` writes, if it returns true.
    fn replace(
        &mut self,
        raw: &[u8],
        range: &Range<u32>,
        write: impl FnOnce(&[u8], &mut Vec<u8>) -> bool,
    ) {
        let start = self.with.len();
        let text = raw.get(range.start as usize..range.end as usize).unwrap_or_default();
        if write(text, &mut self.with) {
            self.places.push((range.clone(), start..self.with.len()));
        } else {
            self.with.truncate(start);
        }
    }

    /// The text with the replacements, and a function that maps old positions to new ones.
    fn apply(&self, raw: &[u8]) -> (Bytes, impl FnMut(u32) -> u32) {
        let gone: usize = self.places.iter().map(|(range, _)| range.len()).sum();
        // Exact capacity, so that `Bytes` does not reallocate.
        let mut out = Vec::with_capacity((raw.len() + self.with.len()).saturating_sub(gone));
        let mut copied = 0;
        for (range, with) in &self.places {
            out.extend_from_slice(raw.get(copied..range.start as usize).unwrap_or_default());
            out.extend_from_slice(self.with.get(with.clone()).unwrap_or_default());
            copied = range.end as usize;
        }
        out.extend_from_slice(raw.get(copied..).unwrap_or_default());
        // Called in ascending order, so that each replacement is visited once.
        let mut places = self.places.iter().peekable();
        let mut shift = 0_i64;
        let moved = move |at: u32| {
            while let Some((range, with)) = places.next_if(|(range, _)| range.end <= at) {
                shift += with.len() as i64 - i64::from(range.end - range.start);
            }
            u32::try_from(i64::from(at) + shift).unwrap_or(u32::MAX)
        };
        (out.into(), moved)
    }

    fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// The properties of the new body that the head must reflect.
#[derive(Clone, Copy)]
pub(super) struct NewBody {
    /// Its length in bytes.
    pub(super) length: u64,
}

/// Rewrites a head; `None` if nothing is to be replaced.
pub(super) fn rewrite(
    context: &mut Context<'_>,
    head: &Head,
    flawed: bool,
    body: Option<NewBody>,
) -> Option<Head> {
    let mut replacements = Replacements::default();
    let raw = &head.raw[..];
    let mut behind = match &head.start {
        StartLine::Request { method, target, .. } => {
            replacements.replace(raw, method, |text, out| context.text(&Where::Start, text, out));
            replacements
                .replace(raw, target, |text, out| url::rewrite(context, &Where::Path, text, out));
            target.end
        }
        StartLine::Status { reason, .. } => {
            replacements.replace(raw, reason, |text, out| context.text(&Where::Start, text, out));
            reason.end
        }
    };
    for line in &head.headers {
        if flawed {
            // Lines without a colon, and anything else outside fields.
            let between = behind..line.line.start.max(behind);
            replacements.replace(raw, &between, |text, out| context.text(&Where::Start, text, out));
            behind = line.line.end;
        }
        match body {
            Some(body)
                if describes_body(head.bytes(&line.name), body, raw, line, &mut replacements) => {}
            _ => {
                let at = Where::Header(head.bytes(&line.name));
                field(context, raw, line, &at, &mut replacements);
            }
        }
    }
    if flawed {
        let rest = behind..raw.len() as u32;
        replacements.replace(raw, &rest, |text, out| context.text(&Where::Start, text, out));
    }
    if replacements.is_empty() {
        return None;
    }
    let (raw, mut moved) = replacements.apply(raw);
    let start = match &head.start {
        StartLine::Request { method, target, version } => StartLine::Request {
            method: moved(method.start)..moved(method.end),
            target: moved(target.start)..moved(target.end),
            version: *version,
        },
        StartLine::Status { code, reason, version } => StartLine::Status {
            code: *code,
            reason: moved(reason.start)..moved(reason.end),
            version: *version,
        },
    };
    Some(Head { raw, start, headers: move_lines(&head.headers, moved) })
}

/// Rewrites a trailer section; `None` if nothing is to be replaced.
pub(super) fn trailers(
    context: &mut Context<'_>,
    raw: &[u8],
    lines: &[HeaderLine],
) -> Option<(Bytes, Vec<HeaderLine>)> {
    let mut replacements = Replacements::default();
    for line in lines {
        let name = raw.get(line.name.start as usize..line.name.end as usize).unwrap_or_default();
        field(context, raw, line, &Where::Trailer(name), &mut replacements);
    }
    if replacements.is_empty() {
        return None;
    }
    let (bytes, moved) = replacements.apply(raw);
    Some((bytes, move_lines(lines, moved)))
}

/// Moves lines to their new positions; removed lines are left out.
fn move_lines(lines: &[HeaderLine], mut moved: impl FnMut(u32) -> u32) -> Vec<HeaderLine> {
    let mut out = Vec::with_capacity(lines.len());
    out.extend(lines.iter().filter_map(|line| {
        let start = moved(line.line.start);
        let name = moved(line.name.start)..moved(line.name.end);
        let value = moved(line.value.start)..moved(line.value.end);
        let end = moved(line.line.end);
        (end > start).then_some(HeaderLine { name, value, line: start..end })
    }));
    out
}

/// Updates the length and removes the digests of a changed body; returns true if the field is one of
/// these.
fn describes_body(
    name: &[u8],
    body: NewBody,
    raw: &[u8],
    line: &HeaderLine,
    replacements: &mut Replacements,
) -> bool {
    if name.eq_ignore_ascii_case(b"content-length") {
        replacements.replace(raw, &line.value, |_, out| write!(out, "{}", body.length).is_ok());
        return true;
    }
    // A digest of the old body would allow to find a card number by trying all, and an entity tag may be one.
    let is_digest = framing::is_digest(name) || name.eq_ignore_ascii_case(b"etag");
    if is_digest {
        replacements.replace(raw, &line.line, |_, _| true);
    }
    is_digest
}

fn field(
    context: &mut Context<'_>,
    raw: &[u8],
    line: &HeaderLine,
    at: &Where<'_>,
    replacements: &mut Replacements,
) {
    let part =
        |range: &Range<u32>| raw.get(range.start as usize..range.end as usize).unwrap_or_default();
    let name = part(&line.name);
    if context.plan.names.is_ordinary(name) {
        return replacements.replace(raw, &line.value, |value, out| {
            is_folded(value) && context.named("folded", at, value, out)
                || context.value(at, value, out)
        });
    }
    // A short name without a digit can only contain an e-mail address, which has an `@`.
    let long = |name: &[u8]| {
        name.len() >= LONG_NAME || name.iter().any(|byte| byte.is_ascii_digit() || *byte == b'@')
    };
    if long(name) && !context.is_quiet(name) {
        replacements.replace(raw, &line.name, |text, out| context.text(at, text, out));
    }
    replacements.replace(raw, &line.value, |value, out| self::value(context, name, at, value, out));
}

/// Names of this length are scanned even without a digit: no token is shorter.
const LONG_NAME: usize = 20;

/// True for a field whose value is replaced because of its name.
pub(super) fn is_listed(context: &Context<'_>, name: &[u8]) -> bool {
    matches!(context.plan.names.header(name), Treatment::Replace(_))
        || matches!(Role::of(name), Role::Cookie | Role::SetCookie)
}

/// True for a field whose value has a syntax that is known here.
#[cfg(test)]
pub(super) fn has_syntax(name: &[u8]) -> bool {
    Role::of(name) != Role::Other
}

/// True for a value on several lines (RFC 9112 §5.2): some parsers read the second as a separate field.
fn is_folded(value: &[u8]) -> bool {
    memchr::memchr(b'\n', value).is_some()
}

/// Rewrites one field's value.
pub(super) fn value(
    context: &mut Context<'_>,
    name: &[u8],
    at: &Where<'_>,
    value: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let role = Role::of(name);
    if role == Role::Framing {
        return false;
    }
    if is_folded(value) {
        return context.named("folded", at, value, out);
    }
    match (context.plan.names.header(name), role) {
        (Treatment::Keep, _) => false,
        (_, Role::Cookie) => cookie::sent(context, value, out),
        (_, Role::SetCookie) => cookie::set(context, value, out),
        (Treatment::Look | Treatment::Identifier, Role::Trace) if is_traceparent(value) => false,
        (Treatment::Look, Role::Reference) => url::rewrite(context, at, value, out),
        (Treatment::Look, Role::Challenge)
            if context.plan.detectors.is_on(Detector::Bearer) && is_handshake(value) =>
        {
            context.named("authorization", at, value, out)
        }
        (Treatment::Look, Role::Protocols) => protocols(context, at, value, out),
        (treatment, _) => context.by_treatment(treatment, at, value, out),
    }
}

/// Protocol names that precede a credential in a list of protocols.
const PROTOCOL_WORDS: [&[u8]; 8] = [
    b"bearer",
    b"token",
    b"access_token",
    b"access-token",
    b"authorization",
    b"auth",
    b"jwt",
    b"apikey",
];

/// Protocols followed by a bearer token (Kubernetes: `base64url.bearer.authorization.k8s.io.…`). Tokens have
/// only characters that are valid in a protocol name.
fn protocols(context: &mut Context<'_>, at: &Where<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    if !context.plan.detectors.is_on(Detector::Bearer) {
        return context.text(at, value, out);
    }
    let mut edits = Replacer::new(value, out);
    let mut start = 0;
    let mut follows = false;
    for piece in value.split(|byte| *byte == b',') {
        let lead = piece.len() - piece.trim_ascii_start().len();
        let protocol = piece.trim_ascii();
        let begin = start + lead;
        start += piece.len() + 1;
        let dot = memchr::memmem::find(protocol, b".bearer.")
            .and_then(|_| memchr::memrchr(b'.', protocol))
            .map_or(0, |dot| dot + 1);
        let range = begin + dot..begin + protocol.len();
        edits.edit(range, |text, out| match dot > 0 || follows {
            true => context.named("bearer", at, text, out),
            false => context.text(at, text, out),
        });
        let lower = protocol.to_ascii_lowercase();
        // `bearer`, `graphql-token`
        let last = lower.rsplit(|byte| matches!(byte, b'-' | b'.')).next().unwrap_or_default();
        follows = PROTOCOL_WORDS.contains(&lower.as_slice()) || PROTOCOL_WORDS.contains(&last);
    }
    edits.finish()
}

/// `Negotiate` and `NTLM` (RFC 4559 §4) with a token: the server's part of a handshake.
fn is_handshake(value: &[u8]) -> bool {
    let Some(blank) = memchr::memchr(b' ', value) else { return false };
    let scheme = value.get(..blank).unwrap_or_default();
    [&b"negotiate"[..], b"ntlm"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// `00-` and three hexadecimal numbers, which may look like a card number.
fn is_traceparent(value: &[u8]) -> bool {
    value.len() == 55
        && value.iter().enumerate().all(|(at, byte)| match at {
            2 | 35 | 52 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
