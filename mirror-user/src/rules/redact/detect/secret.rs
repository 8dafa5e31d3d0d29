//! Secrets that start with a keyword: tokens, keys, credentials.

use std::ops::Range;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use enum_map::EnumMap;

use super::keywords::{Class, Shape, Word};
use super::signs::Signs;
use super::words::{self, Hit};
use super::{Detection, Detector, What, before, is_word, run};
use crate::rules::redact::tokens;

/// A shorter word after `Bearer` is likely a word and not a credential.
const MIN_BEARER: usize = 16;
/// A longer word of only letters is not a word.
const LONG_BEARER: usize = 28;
/// Base64 of a user and a password.
const MAX_BASIC: usize = 1024;

/// Accepts base64 with or without padding and trailing bits.
const fn tolerant() -> GeneralPurposeConfig {
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, tolerant());
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, tolerant());

pub(super) fn find(
    on: &EnumMap<Detector, bool>,
    text: &[u8],
    signs: Signs,
    found: &mut Vec<Detection<'_>>,
) {
    words::each(text, signs, |range, hit| {
        let behind = range.end;
        let (what, secret) = match hit {
            Hit::Word(word) => (word.what, secret(text, range, word)),
            Hit::Jwt => (Detector::Jwt, jwt(text, range)),
            Hit::Url => (Detector::Userinfo, userinfo(text, behind)),
            Hit::Whole => (Detector::ServiceToken, Some(range)),
        };
        let Some(range) = secret.filter(|_| on[what]) else { return behind };
        if range.is_empty() || text.get(range.clone()).is_some_and(tokens::is_token) {
            return behind;
        }
        let end = range.end;
        found.push(Detection { range, what: What::Known(what) });
        end.max(behind)
    });
}

/// The range of the secret that starts with the keyword at `range`.
fn secret(text: &[u8], range: Range<usize>, word: &Word) -> Option<Range<usize>> {
    let (start, behind) = (range.start, range.end);
    let of = |class: Class| move |byte: &u8| class.has(byte);
    let start = start_of(text, start, word)?;
    if !may_begin(text, start) {
        return None;
    }
    match word.shape {
        Shape::Scheme => bearer(text, gap(text, behind)?),
        Shape::Basic => {
            let begin = gap(text, behind)?;
            basic(text, begin).map(|end| begin..end)
        }
        Shape::Pem => pem(text, start, behind).map(|end| start..end),
        Shape::Putty => {
            memchr::memmem::find(text.get(behind..)?, b"Private-").map(|_| start..text.len())
        }
        Shape::Run(class, least) => {
            let n = run(text, behind, usize::MAX, of(class));
            // The dot at the end of a sentence is not part of it.
            let dots = text.get(behind..behind + n)?.iter().rev();
            let n = n - dots.take_while(|byte| **byte == b'.').count();
            let value = text.get(behind..behind + n)?;
            // `sk-toggleable__label-arrow`: a name of words has no digits.
            let random = value.iter().any(u8::is_ascii_digit) || word.text.len() > 5;
            (n >= least && random).then_some(start..behind + n)
        }
        Shape::Exactly(class, exactly) => {
            let n = run(text, behind, exactly + 1, of(class));
            (n == exactly && !is_word(text.get(behind + n))).then_some(start..behind + n)
        }
    }
}

/// Where the secret starts whose keyword is at `at`. Some keywords stand within their secret.
fn start_of(text: &[u8], at: usize, word: &Word) -> Option<usize> {
    let length = match word.text {
        // `dop_v1_`, `doo_v1_`, `dor_v1_`
        "_v1_" => 3,
        ".atlasv1." => 14,
        _ => return Some(at),
    };
    let start = at.checked_sub(length)?;
    let lead = text.get(start..at)?;
    let fits = match word.text {
        "_v1_" => lead.starts_with(b"d"),
        _ => lead.iter().all(u8::is_ascii_alphanumeric),
    };
    fits.then_some(start)
}

/// True if a word starts at `at`.
pub(super) fn may_begin(text: &[u8], at: usize) -> bool {
    !is_word(before(text, at)) || is_escape(text, at)
}

/// True if the letters before `at` belong to an escape such as `%20`, `%252F` or `\n`.
fn is_escape(text: &[u8], at: usize) -> bool {
    let before = text.get(at.saturating_sub(5)..at).unwrap_or_default();
    match before {
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [b'%', b'2', b'5', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'n' | b't' | b'r'] => true,
        _ => false,
    }
}

/// The start of what follows a scheme: after blanks, `:` and `=`, possibly percent-encoded.
fn gap(text: &[u8], behind: usize) -> Option<usize> {
    let mut at = behind;
    loop {
        let rest = text.get(at..)?;
        at += match rest {
            [b' ' | b'+' | b'\t' | b':' | b'=' | b'"' | b'\'' | b',', ..] => 1,
            [b'%', b'2', b'0' | b'B' | b'b' | b'2', ..] => 3,
            [b'%', b'3', b'A' | b'a' | b'D' | b'd', ..] => 3,
            [b'%', b'2', b'5', b'2', b'0', ..] => 5,
            _ if at == behind => return None,
            _ => return Some(at),
        };
        if at > behind + 16 {
            return None;
        }
    }
}

/// Maximum number of bytes that are read of an authority.
const MAX_AUTHORITY: usize = 1024;

/// The user information of the authority that starts at `start`.
fn userinfo(text: &[u8], start: usize) -> Option<Range<usize>> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\`".contains(byte);
    let length = run(text, start, MAX_AUTHORITY, |byte| !ends(byte));
    let at = memchr::memrchr(b'@', text.get(start..start + length)?)?;
    Some(start..start + at)
}

pub(super) fn is_base64url(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// True if `head` is the head of a JSON Web Token: a JSON object with `alg`.
pub(super) fn is_jwt_head(text: &[u8], head: Range<usize>) -> bool {
    may_begin(text, head.start) && text.get(head).is_some_and(has_algorithm)
}

/// Three parts (RFC 7515) or five (RFC 7516), of which the first is at `head`.
fn jwt(text: &[u8], head: Range<usize>) -> Option<Range<usize>> {
    let mut end = head.end;
    let mut parts = 1;
    while text.get(end) == Some(&b'.') && parts < 5 {
        let part = run(text, end + 1, usize::MAX, is_base64url);
        // The dot that ends a sentence; but an unsecured token ends in one, too.
        if part == 0 && parts >= 3 {
            break;
        }
        end += 1 + part;
        parts += 1;
    }
    (parts >= 3).then_some(head.start..end)
}

fn has_algorithm(part: &[u8]) -> bool {
    decoded(part).is_some_and(|json| {
        json.starts_with(b"{") && memchr::memmem::find(&json, b"\"alg\"").is_some()
    })
}

/// What the part of a token says in base64url.
pub(super) fn decoded(part: &[u8]) -> Option<Vec<u8>> {
    BASE64URL.decode(part).ok()
}

/// `b64token` (RFC 6750 §2.1), in a text where `bearer` may be a word like any other.
fn bearer(text: &[u8], start: usize) -> Option<Range<usize>> {
    let is_such = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(byte);
    let n = run(text, start, usize::MAX, is_such);
    let value = text.get(start..start + n)?;
    let is_random = value.iter().any(u8::is_ascii_digit) || n >= LONG_BEARER;
    (n >= MIN_BEARER && is_random && !tokens::is_token(value)).then_some(start..start + n)
}

fn basic(text: &[u8], start: usize) -> Option<usize> {
    let is_such = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let n = run(text, start, MAX_BASIC, is_such);
    let value = text.get(start..start + n)?;
    if n < 4 || tokens::is_token(value) {
        return None;
    }
    let decoded = BASE64.decode(value).ok()?;
    let is_text = decoded.iter().all(|byte| !byte.is_ascii_control());
    (is_text && decoded.contains(&b':')).then_some(start + n)
}

/// From `-----BEGIN` to the end of `-----END … PRIVATE KEY-----`, or of the text.
fn pem(text: &[u8], start: usize, behind: usize) -> Option<usize> {
    // Blanks may be percent-encoded, `2` is in SSH2.
    let is_label = |byte: &u8| byte.is_ascii_uppercase() || b" %+_0123456789".contains(byte);
    let label = run(text, behind, 64, is_label);
    let head = text.get(behind..behind + label)?;
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    if !(has(b"PRIVATE") && has(b"KEY") || has(b"SECRET"))
        || !text.get(behind + label..)?.starts_with(b"----")
    {
        return None;
    }
    let body = behind + label + 4;
    let rest = text.get(body..)?;
    let end = memchr::memmem::find(rest, b"---- END").or(memchr::memmem::find(rest, b"-----END"));
    let end = end.and_then(|at| {
        let dashes = memchr::memmem::find(rest.get(at + 8..)?, b"----")? + at + 8;
        Some(dashes + run(rest, dashes, 5, |byte| *byte == b'-'))
    });
    Some(start.max(body + end.unwrap_or(rest.len())))
}
