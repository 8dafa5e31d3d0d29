//! The keywords with which secrets start, and the search for them.
//!
//! Most keywords contain a rare byte: `_`, `-` or `.`. If these bytes do not occur in a text, one vectorised
//! search for them is many times faster than a search for all keywords; the bytes before a hit leave at most a
//! few candidates. The other keywords are few and have at least four letters, for which the packed search of
//! `aho_corasick` is fast.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Detector::{self, AwsKey, GithubToken, PrivateKey, ServiceToken, StripeKey};
use super::secret::{is_base64url, is_jwt_head};

/// What follows a word.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Scheme,
    Basic,
    Pem,
    Putty,
    /// At least this many of these characters.
    Run(Class, usize),
    /// Exactly this many.
    Exactly(Class, usize),
}

#[derive(Clone, Copy)]
pub(super) enum Class {
    /// Capital letters and digits.
    Upper,
    /// Small hexadecimal digits.
    Hex,
    /// Letters, digits, underscores.
    Word,
    /// Letters, digits, underscores, hyphens.
    Url,
    /// Also the other characters of base64 and paths.
    Path,
}

impl Class {
    pub(super) fn has(self, byte: &u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            Self::Word => byte.is_ascii_alphanumeric() || *byte == b'_',
            Self::Url => is_base64url(byte),
            Self::Path => byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(byte),
        }
    }
}

use Shape::{Exactly, Run};

/// A keyword and the form of the secret that follows it.
pub(super) struct Word {
    pub(super) text: &'static str,
    pub(super) what: Detector,
    pub(super) shape: Shape,
}

const fn word(text: &'static str, what: Detector, shape: Shape) -> Word {
    Word { text, what, shape }
}

/// Keywords without a rare byte. Schemes are listed in their three usual spellings; in `Authorization`, any
/// case is recognized.
static PLAIN: [Word; 14] = [
    word("Bearer", Detector::Bearer, Shape::Scheme),
    word("bearer", Detector::Bearer, Shape::Scheme),
    word("BEARER", Detector::Bearer, Shape::Scheme),
    word("Basic", Detector::Basic, Shape::Basic),
    word("basic", Detector::Basic, Shape::Basic),
    word("BASIC", Detector::Basic, Shape::Basic),
    word("AKIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ASIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ABIA", AwsKey, Exactly(Class::Upper, 16)),
    word("ACCA", AwsKey, Exactly(Class::Upper, 16)),
    // Google
    word("AIza", ServiceToken, Run(Class::Url, 30)),
    // Databricks
    word("dapi", ServiceToken, Run(Class::Hex, 32)),
    // Atlassian
    word("ATATT3", ServiceToken, Run(Class::Path, 40)),
    // Square
    word("EAAA", ServiceToken, Run(Class::Url, 50)),
];

/// Keywords with a rare byte. Checksums in tokens are not verified: a wrong one may be that of another
/// version.
static MARKED: [Word; 58] = [
    word("ghp_", GithubToken, Run(Class::Word, 22)),
    word("gho_", GithubToken, Run(Class::Word, 22)),
    word("ghu_", GithubToken, Run(Class::Word, 22)),
    word("ghs_", GithubToken, Run(Class::Word, 22)),
    word("ghr_", GithubToken, Run(Class::Word, 22)),
    word("github_pat_", GithubToken, Run(Class::Word, 22)),
    word("sk_live_", StripeKey, Run(Class::Word, 10)),
    word("sk_test_", StripeKey, Run(Class::Word, 10)),
    word("rk_live_", StripeKey, Run(Class::Word, 10)),
    word("rk_test_", StripeKey, Run(Class::Word, 10)),
    word("whsec_", StripeKey, Run(Class::Path, 10)),
    word("-----BEGIN", PrivateKey, Shape::Pem),
    word("---- BEGIN", PrivateKey, Shape::Pem),
    word("PuTTY-User-Key-File", PrivateKey, Shape::Putty),
    word("AGE-SECRET-KEY-1", PrivateKey, Run(Class::Upper, 40)),
    // Slack
    word("xoxa-", ServiceToken, Run(Class::Url, 10)),
    word("xoxb-", ServiceToken, Run(Class::Url, 10)),
    word("xoxc-", ServiceToken, Run(Class::Url, 10)),
    word("xoxd-", ServiceToken, Run(Class::Url, 10)),
    word("xoxe-", ServiceToken, Run(Class::Url, 10)),
    word("xoxo-", ServiceToken, Run(Class::Url, 10)),
    word("xoxp-", ServiceToken, Run(Class::Url, 10)),
    word("xoxr-", ServiceToken, Run(Class::Url, 10)),
    word("xoxs-", ServiceToken, Run(Class::Url, 10)),
    word("xapp-", ServiceToken, Run(Class::Url, 12)),
    word("hooks.slack.com/", ServiceToken, Run(Class::Path, 20)),
    // GitLab: all of its prefixes end in these.
    word("glpat-", ServiceToken, Run(Class::Path, 16)),
    word("gldt-", ServiceToken, Run(Class::Url, 16)),
    word("glrt-", ServiceToken, Run(Class::Path, 16)),
    word("glcbt-", ServiceToken, Run(Class::Url, 16)),
    word("glptt-", ServiceToken, Run(Class::Url, 16)),
    word("glsoat-", ServiceToken, Run(Class::Url, 16)),
    word("gloas-", ServiceToken, Run(Class::Url, 16)),
    word("glagent-", ServiceToken, Run(Class::Url, 16)),
    // Google
    word("ya29.", ServiceToken, Run(Class::Path, 16)),
    word("GOCSPX-", ServiceToken, Run(Class::Url, 16)),
    // Packages: npm, PyPI, RubyGems, Docker
    word("npm_", ServiceToken, Run(Class::Word, 30)),
    word("pypi-", ServiceToken, Run(Class::Url, 32)),
    word("rubygems_", ServiceToken, Run(Class::Word, 32)),
    word("dckr_", ServiceToken, Run(Class::Url, 20)),
    // OpenAI, Anthropic, OpenRouter and others
    word("sk-", ServiceToken, Run(Class::Url, 20)),
    word("hf_", ServiceToken, Run(Class::Word, 30)),
    word("gsk_", ServiceToken, Run(Class::Word, 30)),
    word("xai-", ServiceToken, Run(Class::Url, 30)),
    // SendGrid, Mailgun
    word("SG.", ServiceToken, Run(Class::Path, 32)),
    word("key-", ServiceToken, Exactly(Class::Hex, 32)),
    // Shopify, DigitalOcean (`dop_v1_`, `doo_v1_`, `dor_v1_`), Vault, Square, Grafana
    word("shpat_", ServiceToken, Run(Class::Word, 32)),
    word("shpca_", ServiceToken, Run(Class::Word, 32)),
    word("shppa_", ServiceToken, Run(Class::Word, 32)),
    word("shpss_", ServiceToken, Run(Class::Word, 32)),
    word("shptka_", ServiceToken, Run(Class::Word, 32)),
    word("_v1_", ServiceToken, Run(Class::Hex, 40)),
    word("hvs.", ServiceToken, Run(Class::Url, 24)),
    word("sq0atp-", ServiceToken, Run(Class::Url, 18)),
    word("sq0csp-", ServiceToken, Run(Class::Url, 18)),
    word("sq0idb-", ServiceToken, Run(Class::Url, 18)),
    word("sq0idp-", ServiceToken, Run(Class::Url, 18)),
    word("glsa_", ServiceToken, Run(Class::Word, 32)),
];

/// Twilio's keys begin with two letters, too few for the packed search.
static TWILIO: Word = word("SK", ServiceToken, Exactly(Class::Hex, 32));

/// A possible start of a secret.
#[derive(Clone, Copy)]
pub(super) enum Hit {
    Word(&'static Word),
    /// The head of a JSON Web Token, which a dot follows.
    Jwt,
    /// `://` in a text that has an `@`.
    Url,
}

/// Calls `hit` with each possible start of a secret in `text`: its range and kind. `hit` returns the position
/// from which that search continues.
pub(super) fn each(text: &[u8], mut hit: impl FnMut(Range<usize>, Hit) -> usize) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| PLAIN_SEARCH.find(rest)) {
        let range = from + found.start()..from + found.end();
        from = range.end;
        if let Some(word) = PLAIN.get(found.pattern().as_usize()) {
            from = from.max(hit(range, Hit::Word(word)));
        }
    }
    let mut from = 0;
    for mark in memchr::memchr3_iter(b'_', b'-', b'.', text) {
        if mark < from {
            continue;
        }
        if let Some((range, word)) = marked(text, mark) {
            from = hit(range, Hit::Word(word));
        } else if text.get(mark) == Some(&b'.')
            && let Some(start) = jwt_start(text, mark)
        {
            from = hit(start..mark, Hit::Jwt);
        }
    }
    for start in TWILIO_SEARCH.find_iter(text) {
        hit(start..start + TWILIO.text.len(), Hit::Word(&TWILIO));
    }
    if memchr::memchr(b'@', text).is_some() {
        for start in memchr::memmem::find_iter(text, b"://") {
            hit(start..start + 3, Hit::Url);
        }
    }
}

static PLAIN_SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = PLAIN.iter().map(|word| word.text);
    // For matches that begin leftmost, the crate searches with vector instructions.
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(words);
    search.expect("so few short words fit")
});

static TWILIO_SEARCH: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(TWILIO.text));

/// The words with a rare byte by that byte and the one before it; each with the offset of its last rare byte.
static BY_MARK: LazyLock<Vec<Vec<(usize, &'static Word)>>> = LazyLock::new(|| {
    let mut buckets: Vec<_> = (0..BUCKETS).map(|_| Vec::new()).collect();
    for word in &MARKED {
        let text = word.text.as_bytes();
        let offset = text.iter().rposition(|byte| b"_-.".contains(byte)).unwrap_or_default();
        if let Some(bucket) = bucket(text, offset).and_then(|bucket| buckets.get_mut(bucket)) {
            bucket.push((offset, word));
        }
    }
    buckets
});

const BUCKETS: usize = 4 * 32;

/// The bucket of the rare byte at `mark` and the byte before it.
fn bucket(text: &[u8], mark: usize) -> Option<usize> {
    let [before, mark] = text.get(mark.checked_sub(1)?..)?.first_chunk()?;
    Some(usize::from(*mark & 3) << 5 | usize::from(*before & 31))
}

/// The word whose last rare byte is at `mark`.
fn marked(text: &[u8], mark: usize) -> Option<(Range<usize>, &'static Word)> {
    BY_MARK.get(bucket(text, mark)?)?.iter().find_map(|(offset, word)| {
        let start = mark.checked_sub(*offset)?;
        let is_it = text.get(start..)?.starts_with(word.text.as_bytes());
        is_it.then_some((start..start + word.text.len(), *word))
    })
}

/// Maximum length of a token's head; real ones have some hundred bytes.
const MAX_JWT_HEAD: usize = 4096;
/// `{"alg":1}` in base64.
const MIN_JWT_HEAD: usize = 12;
/// `{"` in base64, and `{` before a blank or a line end.
const JWT_STARTS: [&[u8]; 5] = [b"eyJ", b"eyA", b"ewo", b"ew0", b"ewk"];

/// The possible start of a token's head that ends at `dot`.
fn jwt_start(text: &[u8], dot: usize) -> Option<usize> {
    let before = text.get(dot.saturating_sub(MAX_JWT_HEAD)..dot)?;
    let length = before.iter().rev().take_while(|byte| is_base64url(byte)).count();
    if length < MIN_JWT_HEAD {
        return None;
    }
    let start = dot - length;
    let head = text.get(start..dot)?;
    let begins = |at: &usize| {
        let rest = head.get(*at..).unwrap_or_default();
        JWT_STARTS.iter().any(|it| rest.starts_with(it)) && is_jwt_head(text, start + at..dot)
    };
    memchr::memchr_iter(b'e', head).find(begins).map(|at| start + at)
}
