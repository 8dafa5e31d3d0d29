//! What begins with a word of its own: tokens, keys, credentials.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use enum_map::EnumMap;

use super::{Detector, Found, What, before, is_word, run};
use crate::rules::redact::tokens;

/// What follows a word.
#[derive(Clone, Copy)]
enum Shape {
    Scheme,
    Basic,
    Jwt,
    Pem,
    Putty,
    Url,
    /// At least so many of these characters.
    Run(Class, usize),
    /// Exactly so many.
    Exactly(Class, usize),
}

#[derive(Clone, Copy)]
enum Class {
    /// Capital letters and digits.
    Upper,
    /// Small hexadecimal digits.
    Hex,
    /// Letters, digits, underscores.
    Word,
    /// Those and hyphens.
    Url,
    /// Those and what base64 and paths have.
    Path,
}

impl Class {
    fn has(self, byte: &u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            Self::Word => byte.is_ascii_alphanumeric() || *byte == b'_',
            Self::Url => is_base64url(byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte),
        }
    }
}

use Detector::{AwsKey, GithubToken, ServiceToken, StripeKey, Userinfo};
use Shape::{Exactly, Run};

/// The words. A search for few words of three letters or more in their exact case is several times
/// faster than one without case, so schemes are here in the three ways in which people write them; where
/// a scheme is at home, in `Authorization`, every way is known. Checksums in tokens are not asked
/// for: what has a wrong one may be a token of another version.
const WORDS: [(&str, Detector, Shape); 63] = [
    ("eyJ", Detector::Jwt, Shape::Jwt),
    // `{` and a blank, a line end.
    ("eyA", Detector::Jwt, Shape::Jwt),
    ("ewo", Detector::Jwt, Shape::Jwt),
    ("ew0", Detector::Jwt, Shape::Jwt),
    ("ewk", Detector::Jwt, Shape::Jwt),
    ("Bearer", Detector::Bearer, Shape::Scheme),
    ("bearer", Detector::Bearer, Shape::Scheme),
    ("BEARER", Detector::Bearer, Shape::Scheme),
    ("Basic", Detector::Basic, Shape::Basic),
    ("basic", Detector::Basic, Shape::Basic),
    ("BASIC", Detector::Basic, Shape::Basic),
    ("AKIA", AwsKey, Exactly(Class::Upper, 16)),
    ("ASIA", AwsKey, Exactly(Class::Upper, 16)),
    ("ABIA", AwsKey, Exactly(Class::Upper, 16)),
    ("ACCA", AwsKey, Exactly(Class::Upper, 16)),
    ("ghp_", GithubToken, Run(Class::Word, 22)),
    ("gho_", GithubToken, Run(Class::Word, 22)),
    ("ghu_", GithubToken, Run(Class::Word, 22)),
    ("ghs_", GithubToken, Run(Class::Word, 22)),
    ("ghr_", GithubToken, Run(Class::Word, 22)),
    ("github_pat_", GithubToken, Run(Class::Word, 22)),
    ("sk_live_", StripeKey, Run(Class::Word, 10)),
    ("sk_test_", StripeKey, Run(Class::Word, 10)),
    ("rk_live_", StripeKey, Run(Class::Word, 10)),
    ("rk_test_", StripeKey, Run(Class::Word, 10)),
    ("whsec_", StripeKey, Run(Class::Path, 10)),
    ("-----BEGIN", Detector::PrivateKey, Shape::Pem),
    ("---- BEGIN", Detector::PrivateKey, Shape::Pem),
    ("PuTTY-User-Key-File", Detector::PrivateKey, Shape::Putty),
    ("AGE-SECRET-KEY-1", Detector::PrivateKey, Run(Class::Upper, 40)),
    ("://", Userinfo, Shape::Url),
    // Slack
    ("xox", ServiceToken, Run(Class::Url, 12)),
    ("xapp-", ServiceToken, Run(Class::Url, 12)),
    ("hooks.slack.com/", ServiceToken, Run(Class::Path, 20)),
    // GitLab: all of its prefixes end in these.
    ("glpat-", ServiceToken, Run(Class::Path, 16)),
    ("gldt-", ServiceToken, Run(Class::Url, 16)),
    ("glrt-", ServiceToken, Run(Class::Path, 16)),
    ("glcbt-", ServiceToken, Run(Class::Url, 16)),
    ("glptt-", ServiceToken, Run(Class::Url, 16)),
    ("glsoat-", ServiceToken, Run(Class::Url, 16)),
    ("gloas-", ServiceToken, Run(Class::Url, 16)),
    ("glagent-", ServiceToken, Run(Class::Url, 16)),
    // Google
    ("AIza", ServiceToken, Run(Class::Url, 30)),
    ("ya29.", ServiceToken, Run(Class::Path, 16)),
    ("GOCSPX-", ServiceToken, Run(Class::Url, 16)),
    // Packages: npm, PyPI, RubyGems, Docker
    ("npm_", ServiceToken, Run(Class::Word, 30)),
    ("pypi-", ServiceToken, Run(Class::Url, 32)),
    ("rubygems_", ServiceToken, Run(Class::Word, 32)),
    ("dckr_", ServiceToken, Run(Class::Url, 20)),
    // OpenAI, Anthropic, OpenRouter and others
    ("sk-", ServiceToken, Run(Class::Url, 20)),
    ("hf_", ServiceToken, Run(Class::Word, 30)),
    ("gsk_", ServiceToken, Run(Class::Word, 30)),
    ("xai-", ServiceToken, Run(Class::Url, 30)),
    // SendGrid, Mailgun
    ("SG.", ServiceToken, Run(Class::Path, 32)),
    ("key-", ServiceToken, Exactly(Class::Hex, 32)),
    // Shopify, DigitalOcean, Databricks, Vault, Atlassian, Square
    ("shp", ServiceToken, Run(Class::Word, 32)),
    ("_v1_", ServiceToken, Run(Class::Hex, 40)),
    ("dapi", ServiceToken, Run(Class::Hex, 32)),
    ("hvs.", ServiceToken, Run(Class::Url, 24)),
    ("ATATT3", ServiceToken, Run(Class::Path, 40)),
    ("sq0", ServiceToken, Run(Class::Url, 22)),
    ("EAAA", ServiceToken, Run(Class::Url, 50)),
    ("glsa_", ServiceToken, Run(Class::Word, 32)),
];

/// What Twilio's keys begin with: two letters, too short for a search for many words.
const TWILIO: &[u8] = b"SK";

/// The longest head of a token that is looked at; real ones have some hundred bytes.
const MAX_JWT_HEAD: usize = 4096;
/// A word behind `Bearer` in a text is rather a word than a credential when it is shorter.
const MIN_BEARER: usize = 16;
/// A word of letters alone is none when it is longer.
const LONG_BEARER: usize = 28;
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
    let words = WORDS.iter().map(|(word, ..)| word);
    // For matches that begin leftmost, the crate looks for first bytes with vector instructions.
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words);
    Some(automaton.expect("so few short words fit"))
}

pub(super) fn find(
    words: &AhoCorasick,
    on: &EnumMap<Detector, bool>,
    text: &[u8],
    found: &mut Vec<Found<'_>>,
) {
    let mut from = 0;
    while let Some(hit) = text.get(from..).and_then(|rest| words.find(rest)) {
        let start = from + hit.start();
        let behind = from + hit.end();
        from = behind;
        let Some((word, what, shape)) = WORDS.get(hit.pattern().as_usize()) else { continue };
        if !on[*what] {
            continue;
        }
        let Some(range) = secret(text, start, behind, word, *shape) else { continue };
        if !range.is_empty() && !text.get(range.clone()).is_some_and(tokens::is_token) {
            from = range.end.max(behind);
            found.push(Found { range, what: What::Known(*what) });
        }
    }
}

/// Where the secret is that a word at `start..behind` begins.
fn secret(
    text: &[u8],
    start: usize,
    behind: usize,
    word: &str,
    shape: Shape,
) -> Option<Range<usize>> {
    let of = |class: Class| move |byte: &u8| class.has(byte);
    if matches!(shape, Shape::Url) {
        return userinfo(text, behind);
    }
    let start = match word {
        // `dop_v1_`, `doo_v1_`, `dor_v1_`
        "_v1_" => start.checked_sub(3).filter(|at| text.get(*at) == Some(&b'd'))?,
        _ => start,
    };
    if is_word(before(text, start)) && !is_escape(text, start) {
        return None;
    }
    match shape {
        Shape::Scheme => bearer(text, gap(text, behind)?),
        Shape::Basic => {
            let begin = gap(text, behind)?;
            basic(text, begin).map(|end| begin..end)
        }
        Shape::Jwt => jwt(text, start).map(|end| start..end),
        Shape::Pem => pem(text, start, behind).map(|end| start..end),
        Shape::Putty => {
            memchr::memmem::find(text.get(behind..)?, b"Private-").map(|_| start..text.len())
        }
        Shape::Url => None,
        Shape::Run(class, least) => {
            let n = run(text, behind, usize::MAX, of(class));
            // A dot that ends a sentence is not part of it.
            let dots = text.get(behind..behind + n)?.iter().rev();
            let n = n - dots.take_while(|byte| **byte == b'.').count();
            let value = text.get(behind..behind + n)?;
            // `sk-toggleable__label-arrow`: a name of words has no digits.
            let random = value.iter().any(u8::is_ascii_digit) || word.len() > 5;
            (n >= least && random).then_some(start..behind + n)
        }
        Shape::Exactly(class, exactly) => {
            let n = run(text, behind, exactly + 1, of(class));
            (n == exactly && !is_word(text.get(behind + n))).then_some(start..behind + n)
        }
    }
}

/// True where the letters before `at` are those of `%20`, `%252F`, `\n`.
fn is_escape(text: &[u8], at: usize) -> bool {
    let before = text.get(at.saturating_sub(5)..at).unwrap_or_default();
    match before {
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [b'%', b'2', b'5', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'n' | b't' | b'r'] => true,
        _ => false,
    }
}

/// Where what follows a scheme begins: behind blanks, `:`, `=`, which may be percent-encoded.
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

/// Bytes of an authority that are looked at.
const MAX_AUTHORITY: usize = 1024;

/// What stands before the `@` of the authority that begins at `start`.
fn userinfo(text: &[u8], start: usize) -> Option<Range<usize>> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\`".contains(byte);
    let length = run(text, start, MAX_AUTHORITY, |byte| !ends(byte));
    let at = memchr::memrchr(b'@', text.get(start..start + length)?)?;
    Some(start..start + at)
}

/// Twilio's: `SK` and 32 hexadecimal digits.
pub(super) fn twilio(text: &[u8], found: &mut Vec<Found<'_>>) {
    for start in memchr::memmem::find_iter(text, TWILIO) {
        let digits = start + TWILIO.len();
        let n = run(text, digits, 33, |byte| Class::Hex.has(byte));
        if n == 32 && !is_word(before(text, start)) && !is_word(text.get(digits + n)) {
            found.push(Found { range: start..digits + n, what: What::Known(ServiceToken) });
        }
    }
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
