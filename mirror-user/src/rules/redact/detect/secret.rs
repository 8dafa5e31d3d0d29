//! What begins with a word of its own: tokens, keys, credentials.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use enum_map::EnumMap;

use super::{Detector, Found, before, is_word, run};
use crate::rules::redact::tokens;

/// The words. A search for few words in their exact case is several times faster than one without
/// case, so schemes are here in the three ways in which people write them; where a scheme is at
/// home, in `Authorization`, every way is known.
const WORDS: [(&str, Detector); 21] = [
    ("eyJ", Detector::Jwt),
    ("Bearer ", Detector::Bearer),
    ("bearer ", Detector::Bearer),
    ("BEARER ", Detector::Bearer),
    ("Basic ", Detector::Basic),
    ("basic ", Detector::Basic),
    ("BASIC ", Detector::Basic),
    ("AKIA", Detector::AwsKey),
    ("ASIA", Detector::AwsKey),
    ("ghp_", Detector::GithubToken),
    ("gho_", Detector::GithubToken),
    ("ghu_", Detector::GithubToken),
    ("ghs_", Detector::GithubToken),
    ("ghr_", Detector::GithubToken),
    ("github_pat_", Detector::GithubToken),
    ("sk_live_", Detector::StripeKey),
    ("sk_test_", Detector::StripeKey),
    ("rk_live_", Detector::StripeKey),
    ("rk_test_", Detector::StripeKey),
    ("whsec_", Detector::StripeKey),
    ("-----BEGIN ", Detector::PrivateKey),
];

/// The longest head of a token that is looked at; real ones have some hundred bytes.
const MAX_JWT_HEAD: usize = 4096;
/// A word behind `Bearer` in a text is rather a word than a credential when it is shorter.
const MIN_BEARER: usize = 16;
/// Base64 of a user and a password.
const MAX_BASIC: usize = 1024;

/// Tolerant of what other writers of base64 leave out or in.
const fn tolerant() -> GeneralPurposeConfig {
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true)
}

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, tolerant());
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, tolerant());

/// The automaton for those that are on.
pub(super) fn words(on: &EnumMap<Detector, bool>) -> Option<AhoCorasick> {
    if Detector::SECRETS.iter().all(|secret| !on[*secret]) {
        return None;
    }
    let words = WORDS.iter().map(|(word, _)| word);
    // For matches that begin leftmost, the crate looks for first bytes with vector instructions.
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words);
    Some(automaton.expect("so few short words fit"))
}

pub(super) fn find(
    words: &AhoCorasick,
    on: &EnumMap<Detector, bool>,
    text: &[u8],
    found: &mut Vec<Found>,
) {
    let mut from = 0;
    while let Some(hit) = text.get(from..).and_then(|rest| words.find(rest)) {
        let start = from + hit.start();
        let behind = from + hit.end();
        from = behind;
        let Some((_, what)) = WORDS.get(hit.pattern().as_usize()) else { continue };
        if !on[*what] || is_word(before(text, start)) {
            continue;
        }
        let range = match what {
            Detector::Bearer => bearer(text, behind).map(|end| behind..end),
            Detector::Basic => basic(text, behind).map(|end| behind..end),
            Detector::Jwt => jwt(text, start).map(|end| start..end),
            Detector::AwsKey => {
                let n = run(text, behind, 17, |byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
                (n == 16 && !is_word(text.get(behind + n))).then(|| start..behind + n)
            }
            Detector::GithubToken => long(text, start, behind, 22),
            Detector::StripeKey => long(text, start, behind, 10),
            _ => Some(start..pem(text, start, behind).unwrap_or(start)),
        };
        if let Some(range) = range.filter(|range| !range.is_empty()) {
            from = range.end;
            found.push(Found { range, what: *what });
        }
    }
}

/// A word and at least so many letters, digits and underscores.
fn long(text: &[u8], start: usize, behind: usize, least: usize) -> Option<std::ops::Range<usize>> {
    let n = run(text, behind, usize::MAX, |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    (n >= least).then(|| start..behind + n)
}

fn is_base64url(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Three parts (RFC 7515) or five (RFC 7516), the first of which is a JSON object with `alg`.
fn jwt(text: &[u8], start: usize) -> Option<usize> {
    let head = run(text, start, MAX_JWT_HEAD, is_base64url);
    let mut end = start + head;
    if text.get(end) != Some(&b'.') || !has_algorithm(text.get(start..end)?) {
        return None;
    }
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
    (parts >= 3).then_some(end)
}

fn has_algorithm(part: &[u8]) -> bool {
    BASE64URL.decode(part).is_ok_and(|json| {
        json.starts_with(b"{") && memchr::memmem::find(&json, b"\"alg\"").is_some()
    })
}

/// `b64token` (RFC 6750 §2.1), in a text where `bearer` may be a word like any other.
fn bearer(text: &[u8], start: usize) -> Option<usize> {
    let is_such = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let n = run(text, start, usize::MAX, is_such);
    let value = text.get(start..start + n)?;
    let is_credential = n >= MIN_BEARER && value.iter().any(u8::is_ascii_digit);
    (is_credential && !tokens::is_token(value)).then_some(start + n)
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
    const END: &[u8] = b"PRIVATE KEY-----";
    let label = run(text, behind, 64, |byte| byte.is_ascii_uppercase() || *byte == b' ');
    let head = text.get(start..behind + label + 5)?;
    if !head.ends_with(END) {
        return None;
    }
    let body = behind + label + 5;
    let rest = text.get(body..)?;
    let end = memchr::memmem::find(rest, b"-----END ")
        .and_then(|at| memchr::memmem::find(rest.get(at..)?, END).map(|end| at + end + END.len()));
    Some(body + end.unwrap_or(rest.len()))
}
