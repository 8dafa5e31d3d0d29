//! Request targets and other references (RFC 3986), and `name=value` pairs as forms send them.

use percent_encoding::{AsciiSet, percent_decode, percent_encode};

use super::context::Context;
use super::replacer::Replacer;
use super::report::Where;
use crate::rules::form::{self, RESERVED};

/// Rewrites a reference: user information, path, query and fragment. Returns false, with nothing written,
/// if nothing is to be replaced.
pub(super) fn rewrite(
    context: &mut Context<'_>,
    at: &Where<'_>,
    text: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let fragment = memchr::memchr(b'#', text).unwrap_or(text.len());
    let query =
        text.get(..fragment).and_then(|text| memchr::memchr(b'?', text)).unwrap_or(fragment);
    let mut edits = Replacer::new(text, out);
    let mut path = 0;
    if let Some(authority) = authority(text.get(..query).unwrap_or_default()) {
        if let Some(user) = memchr::memrchr(b'@', text.get(authority.clone()).unwrap_or_default()) {
            let user = authority.start..authority.start + user;
            edits.edit(user, |user, out| context.userinfo(at, user, out));
        }
        path = authority.end;
    }
    edits.edit(path..query, |path, out| rewrite_path(context, at, path, out));
    if query < fragment {
        edits.edit(query + 1..fragment, |query, out| pairs(context, PairsOf::Query, query, out));
    }
    if fragment < text.len() {
        edits.edit(fragment + 1..text.len(), |query, out| {
            pairs(context, PairsOf::Query, query, out)
        });
    }
    edits.finish()
}

/// The range of the authority in `scheme://authority` and `//authority`.
fn authority(text: &[u8]) -> Option<std::ops::Range<usize>> {
    let is_scheme =
        |text: &[u8]| text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    // In a request target, `//` may start a path. Then the supposed authority has no `@`, or one that is
    // better replaced.
    let slashes = match text.first()? {
        b'/' => 0,
        _ => {
            memchr::memchr(b':', text).filter(|colon| text.get(..*colon).is_some_and(is_scheme))?
                + 1
        }
    };
    let start = text.get(slashes..)?.starts_with(b"//").then_some(slashes + 2)?;
    let length = memchr::memchr(b'/', text.get(start..)?);
    Some(start..length.map_or(text.len(), |length| start + length))
}

fn rewrite_path(context: &mut Context<'_>, at: &Where<'_>, path: &[u8], out: &mut Vec<u8>) -> bool {
    let plan = context.plan;
    if !plan.segments.is_empty() {
        return rewrite_segments(context, at, path, out);
    }
    if memchr::memchr(b'%', path).is_none() {
        return context.text(at, path, out);
    }
    let mut edits = Replacer::new(path, out);
    for (start, segment) in split(path, |byte| byte == b'/') {
        edits.edit(start..start + segment.len(), |segment, out| {
            coded(segment, Coded::Path, out, |text, out| context.value(at, text, out))
        });
    }
    edits.finish()
}

/// The same, if there are segments to replace.
fn rewrite_segments(
    context: &mut Context<'_>,
    at: &Where<'_>,
    path: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let plan = context.plan;
    let lead = usize::from(path.starts_with(b"/"));
    let bare = path.get(lead..).unwrap_or_default();
    let segments: Vec<Vec<u8>> = split(bare, |byte| byte == b'/')
        .map(|(_, raw)| {
            let mut segment = Vec::new();
            decode(raw, Coded::Path, &mut segment);
            segment
        })
        .collect();
    let mut edits = Replacer::new(path, out);
    for (index, (start, raw)) in split(bare, |byte| byte == b'/').enumerate() {
        let kind = plan.segments.kind(&segments, index);
        edits.edit(lead + start..lead + start + raw.len(), |raw, out| {
            coded(raw, Coded::Path, out, |text, out| match kind {
                Some(kind) => context.named(kind, at, text, out),
                None => context.value(at, text, out),
            })
        });
    }
    edits.finish()
}

/// The place of `name=value` pairs.
#[derive(Clone, Copy)]
pub(super) enum PairsOf {
    Query,
    Form,
}

/// Rewrites `name=value` pairs (WHATWG URL §5.1), `&` or `;` between them.
pub(super) fn pairs(
    context: &mut Context<'_>,
    of: PairsOf,
    text: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let mut edits = Replacer::new(text, out);
    let mut decoded = Vec::new();
    for (start, pair) in split(text, |byte| matches!(byte, b'&' | b';')) {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let raw_name = pair.get(..equals).unwrap_or_default();
        let name = match needs_decoding(raw_name) {
            false => raw_name,
            true => {
                decoded.clear();
                decode(raw_name, Coded::Pair, &mut decoded);
                &decoded
            }
        };
        let at = match of {
            PairsOf::Query => Where::Query(name),
            PairsOf::Form => Where::Form(name),
        };
        edits.edit(start..start + equals, |raw, out| {
            coded(raw, Coded::Pair, out, |text, out| context.text(&at, text, out))
        });
        if equals == pair.len() {
            continue;
        }
        let fate = context.plan.names.pair(name);
        edits.edit(start + equals + 1..start + pair.len(), |raw, out| {
            coded(raw, Coded::Pair, out, |text, out| context.by_treatment(fate, &at, text, out))
        });
    }
    edits.finish()
}

/// The pieces between separators, with their positions.
fn split(text: &[u8], is_separator: impl Fn(u8) -> bool) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    text.split(move |byte| is_separator(*byte)).map(move |piece| {
        let at = start;
        start += piece.len() + 1;
        (at, piece)
    })
}

/// True for a single word with percent-encoded characters in it.
pub(super) fn is_encoded(text: &[u8]) -> bool {
    let is_escape = |at: usize| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    memchr::memchr_iter(b'%', text).any(is_escape) && !text.iter().any(u8::is_ascii_whitespace)
}

/// Rewrites such a word; if it changes, all of it is encoded again.
pub(super) fn encoded(
    text: &[u8],
    out: &mut Vec<u8>,
    rewrite: impl FnOnce(&[u8], &mut Vec<u8>) -> bool,
) -> bool {
    coded(text, Coded::Word, out, rewrite)
}

/// How a text is percent-encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coded {
    /// Everything may be encoded.
    Word,
    Path,
    /// `+` is a space.
    Pair,
}

/// Rewrites a percent-encoded text; it is encoded again only if it changes.
fn coded(
    raw: &[u8],
    how: Coded,
    out: &mut Vec<u8>,
    rewrite: impl FnOnce(&[u8], &mut Vec<u8>) -> bool,
) -> bool {
    let mut decoded = Vec::new();
    let text = if needs_decoding(raw) {
        decode(raw, how, &mut decoded);
        &decoded
    } else {
        raw
    };
    let mut plain = Vec::new();
    let changed = rewrite(text, &mut plain);
    if changed {
        encode(&plain, how, out);
    }
    changed
}

fn needs_decoding(raw: &[u8]) -> bool {
    memchr::memchr2(b'%', b'+', raw).is_some()
}

/// Invalid percent-encoding stays unchanged.
fn decode(raw: &[u8], how: Coded, out: &mut Vec<u8>) {
    match how {
        Coded::Pair => form::decode(raw, out),
        _ => out.extend(percent_decode(raw)),
    }
}
/// The same, except characters without a special meaning in a path or query.
const PART: &AsciiSet = &RESERVED
    .remove(b'@')
    .remove(b':')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b'=');
const PATH: &AsciiSet = &PART.remove(b'+').remove(b'&').remove(b';');
const PAIR: &AsciiSet = &PART.remove(b'/').remove(b'?');

fn encode(text: &[u8], how: Coded, out: &mut Vec<u8>) {
    let encoded = match how {
        Coded::Word => RESERVED,
        Coded::Path => PATH,
        Coded::Pair => PAIR,
    };
    for piece in percent_encode(text, encoded) {
        out.extend_from_slice(piece.as_bytes());
    }
}
