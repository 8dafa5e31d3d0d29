//! `Cookie` and `Set-Cookie` (RFC 6265): values are replaced; names and attributes are kept.

use super::context::Context;
use super::replacer::Replacer;
use super::report::Where;
use crate::syntax::is_token_char;

/// Rewrites a `Cookie` value.
pub(super) fn sent(context: &mut Context<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut edits = Replacer::new(value, out);
    let mut start = 0;
    for pair in value.split(|byte| *byte == b';') {
        self::pair(context, &mut edits, start, pair);
        start += pair.len() + 1;
    }
    edits.finish()
}

/// Attributes (RFC 6265bis §4.1.2, RFC 2965 §3.2.2), whose values stay.
const ATTRIBUTES: [&[u8]; 15] = [
    b"expires",
    b"max-age",
    b"domain",
    b"path",
    b"secure",
    b"httponly",
    b"samesite",
    b"partitioned",
    b"priority",
    b"version",
    b"comment",
    b"commenturl",
    b"discard",
    b"port",
    b"sameparty",
];

/// Rewrites a `Set-Cookie` value: one cookie, or several that were joined by commas.
pub(super) fn set(context: &mut Context<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut edits = Replacer::new(value, out);
    let mut start = 0;
    let mut is_first = true;
    for piece in value.split(|byte| *byte == b';') {
        // An attribute may be followed by the next cookie, as may a cookie without attributes.
        let mut from = 0;
        while let Some(next) = next_cookie(piece, from) {
            let part = piece.get(from..next).unwrap_or_default();
            self::part(context, &mut edits, start + from, part, is_first);
            is_first = true;
            from = next + 1;
        }
        let part = piece.get(from..).unwrap_or_default();
        self::part(context, &mut edits, start + from, part, is_first);
        is_first = false;
        start += piece.len() + 1;
    }
    edits.finish()
}

/// A cookie or an attribute; an unknown attribute may be a value.
fn part(
    context: &mut Context<'_>,
    edits: &mut Replacer<'_, '_>,
    start: usize,
    part: &[u8],
    is_cookie: bool,
) {
    let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    if is_cookie || !name.is_empty() && !ATTRIBUTES.iter().any(|it| it.eq_ignore_ascii_case(name)) {
        return pair(context, edits, start, part);
    }
    edits.edit(start..start + part.len(), |part, out| {
        context.text(&Where::Header(b"set-cookie"), part, out)
    });
}

/// The comma behind `from` that is followed by a name and `=`.
fn next_cookie(piece: &[u8], from: usize) -> Option<usize> {
    let rest = piece.get(from..)?;
    memchr::memchr_iter(b',', rest).find_map(|comma| {
        let behind = rest.get(comma + 1..)?.trim_ascii_start();
        let is_name = |byte: &u8| is_token_char(*byte) || matches!(byte, b'[' | b']');
        let name = behind.iter().take_while(|byte| is_name(byte)).count();
        (name > 0 && behind.get(name) == Some(&b'=')).then_some(from + comma)
    })
}

fn pair(context: &mut Context<'_>, edits: &mut Replacer<'_, '_>, start: usize, pair: &[u8]) {
    // Without `=`, browsers treat it as a value without a name (RFC 6265bis §5.7).
    let value_at = memchr::memchr(b'=', pair).map_or(0, |equals| equals + 1);
    let (before, value) = pair.split_at_checked(value_at).unwrap_or((pair, &[]));
    let name = before.strip_suffix(b"=").unwrap_or(before).trim_ascii();
    let at = Where::Cookie(name);
    let name_end = start + value_at.saturating_sub(1);
    edits.edit(start..name_end, |text, out| context.text(&at, text, out));
    let bare = value.trim_ascii();
    let bare = bare.strip_prefix(b"\"").and_then(|bare| bare.strip_suffix(b"\"")).unwrap_or(bare);
    // `bare` is a part of `value`.
    let lead = bare.as_ptr().addr().wrapping_sub(value.as_ptr().addr());
    let lead = if bare.is_empty() { 0 } else { lead };
    let range = start + value_at + lead..start + value_at + lead + bare.len();
    let fate = context.plan.names.cookie(name);
    edits.edit(range, |text, out| context.by_treatment(fate, &at, text, out));
}
