//! How forms and queries write their names and values (the URL Standard, §5.1), whatever is done with them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode};

/// All but the unreserved characters (RFC 3986 §2.3).
pub(crate) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds `raw` without percent-encoding, and with spaces for `+`, to `out`. Invalid percent-encoding stays unchanged.
pub(crate) fn decode(raw: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b'+', raw).is_none() {
        out.extend(percent_decode(raw));
        return;
    }
    let blank = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    out.extend(percent_decode(&raw.iter().map(blank).collect::<Vec<u8>>()));
}

/// The same by itself.
pub(crate) fn decoded(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    decode(raw, &mut out);
    out
}
