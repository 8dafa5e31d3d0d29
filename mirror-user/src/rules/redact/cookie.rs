//! `Cookie` and `Set-Cookie` (RFC 6265): names and attributes stay, values are replaced.

use super::edits::Edits;
use super::report::Where;
use super::work::Work;

/// Rewrites a `Cookie` value.
pub(super) fn sent(work: &mut Work<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut edits = Edits::new(value, out);
    let mut start = 0;
    for pair in value.split(|byte| *byte == b';') {
        self::pair(work, &mut edits, start, pair);
        start += pair.len() + 1;
    }
    edits.finish()
}

/// Rewrites a `Set-Cookie` value.
pub(super) fn set(work: &mut Work<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    let mut edits = Edits::new(value, out);
    pair(work, &mut edits, 0, value.get(..end).unwrap_or_default());
    edits.edit(end..value.len(), |rest, out| work.text(&Where::Header(b"set-cookie"), rest, out));
    edits.finish()
}

fn pair(work: &mut Work<'_>, edits: &mut Edits<'_, '_>, start: usize, pair: &[u8]) {
    // Without `=`, browsers take it for a value without a name (RFC 6265bis §5.7).
    let value_at = memchr::memchr(b'=', pair).map_or(0, |equals| equals + 1);
    let (before, value) = pair.split_at_checked(value_at).unwrap_or((pair, &[]));
    let name = before.strip_suffix(b"=").unwrap_or(before).trim_ascii();
    let at = Where::Cookie(name);
    edits.edit(start..start + before.len(), |text, out| work.text(&at, text, out));
    let bare = value.trim_ascii();
    let bare = bare.strip_prefix(b"\"").and_then(|bare| bare.strip_suffix(b"\"")).unwrap_or(bare);
    // `bare` is a part of `value`.
    let lead = bare.as_ptr().addr().wrapping_sub(value.as_ptr().addr());
    let lead = if bare.is_empty() { 0 } else { lead };
    let range = start + value_at + lead..start + value_at + lead + bare.len();
    let replaced = work.plan.names.cookie(name);
    edits.edit(range, |text, out| match replaced {
        true => work.named("cookie", &at, text, out),
        false => work.value(&at, text, out),
    });
}
