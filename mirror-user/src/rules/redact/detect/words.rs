//! The search for the keywords with which secrets start.
//!
//! Most keywords contain a rare byte: `_`, `-` or `.`. If these bytes do not occur in a text, one vectorised
//! search for them is many times faster than a search for all keywords; the bytes before a hit leave at most a
//! few candidates. The other keywords are few and have at least four letters, for which the packed search of
//! `aho_corasick` is fast.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::keywords::{MARKED, PLAIN, TWILIO, Word};
use super::parts::{TELEGRAM, TELEGRAM_BYTES, mailchimp, telegram, with_dot};
use super::secret::{is_base64url, is_jwt_head};
use super::signs::{self, Signs};

/// A possible start of a secret.
#[derive(Clone, Copy)]
pub(super) enum Hit {
    Word(&'static Word),
    /// The head of a JSON Web Token, which a dot follows.
    Jwt,
    /// `://` in a text that has an `@`.
    Url,
    /// All of a token that is known by its parts.
    Whole,
}

/// Calls `hit` with each possible start of a secret in `text`, which has these signs: its range and kind.
/// `hit` returns the position from which that search continues.
pub(super) fn each(text: &[u8], signs: Signs, mut hit: impl FnMut(Range<usize>, Hit) -> usize) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| PLAIN_SEARCH.find(rest)) {
        let range = from + found.start()..from + found.end();
        from = range.end;
        if let Some(word) = PLAIN.get(found.pattern().as_usize()) {
            from = from.max(hit(range, Hit::Word(word)));
        }
    }
    if signs.meet(Signs::MARK) {
        let mut from = 0;
        for mark in signs::each_mark(text) {
            if mark < from {
                continue;
            }
            // A token with parts may end one of them in a keyword: `pat…SG.…`
            if let Some((range, what)) = parted(text, mark) {
                from = hit(range, what);
            } else if let Some((range, word)) = marked(text, mark) {
                from = hit(range, Hit::Word(word));
            }
        }
    }
    if signs.meet(Signs::DIGIT) && text.len() >= TWILIO_BYTES {
        for start in TWILIO_SEARCH.find_iter(text) {
            hit(start..start + TWILIO.text.len(), Hit::Word(&TWILIO));
        }
    }
    if signs.meet(Signs::SEPARATOR) && text.len() >= TELEGRAM_BYTES {
        for range in TELEGRAM_SEARCH.find_iter(text).filter_map(|colon| telegram(text, colon)) {
            hit(range, Hit::Whole);
        }
    }
    if signs.meet(Signs::AT) && signs.meet(Signs::SEPARATOR) {
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

static TELEGRAM_SEARCH: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(TELEGRAM));

/// `SK` and 32 digits.
const TWILIO_BYTES: usize = 34;

/// The words with a rare byte, each with the offset of its last one.
struct Marked {
    /// One bit for each rare byte with the two before it.
    known: [u64; TRIPLES / 64],
    /// By the rare byte and the one before it.
    buckets: Vec<Vec<(usize, &'static Word)>>,
}

const BUCKETS: usize = 4 * 32;
const TRIPLES: usize = BUCKETS * 32;

static BY_MARK: LazyLock<Marked> = LazyLock::new(|| {
    let mut marked =
        Marked { known: [0; TRIPLES / 64], buckets: (0..BUCKETS).map(|_| Vec::new()).collect() };
    for word in &MARKED {
        let text = word.text.as_bytes();
        let offset = text.iter().rposition(|byte| b"_-.".contains(byte)).unwrap_or_default();
        let Some((bucket, triple)) = place(text, offset) else { continue };
        if let Some(bits) = marked.known.get_mut(triple / 64) {
            *bits |= 1 << (triple % 64);
        }
        if let Some(bucket) = marked.buckets.get_mut(bucket) {
            bucket.push((offset, word));
        }
    }
    marked
});

/// The bucket and the bit of the rare byte at `mark` with the two bytes before it.
fn place(text: &[u8], mark: usize) -> Option<(usize, usize)> {
    let [first, second, mark] = text.get(mark.checked_sub(2)?..)?.first_chunk()?;
    let bucket = usize::from(*mark & 3) << 5 | usize::from(*second & 31);
    Some((bucket, bucket << 5 | usize::from(*first & 31)))
}

/// The word whose last rare byte is at `mark`.
#[inline]
fn marked(text: &[u8], mark: usize) -> Option<(Range<usize>, &'static Word)> {
    let (bucket, triple) = place(text, mark)?;
    let Marked { known, buckets } = &*BY_MARK;
    if known.get(triple / 64)? >> (triple % 64) & 1 == 0 {
        return None;
    }
    buckets.get(bucket)?.iter().find_map(|(offset, word)| {
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

/// The token that has this mark between its parts.
#[inline]
fn parted(text: &[u8], mark: usize) -> Option<(Range<usize>, Hit)> {
    match text.get(mark..)? {
        [b'.', ..] => dotted(text, mark),
        [b'-', b'u', ..] => mailchimp(text, mark).map(|range| (range, Hit::Whole)),
        _ => None,
    }
}

fn dotted(text: &[u8], mark: usize) -> Option<(Range<usize>, Hit)> {
    let before = text.get(mark.saturating_sub(MAX_JWT_HEAD)..mark)?;
    let length = before.iter().rev().take_while(|byte| is_base64url(byte)).count();
    if length < MIN_JWT_HEAD {
        return None;
    }
    let jwt = || jwt_start(text, mark - length..mark).map(|start| (start..mark, Hit::Jwt));
    with_dot(text, mark, length).map(|range| (range, Hit::Whole)).or_else(jwt)
}

/// The start of a JSON Web Token's head that ends with this word.
fn jwt_start(text: &[u8], word: Range<usize>) -> Option<usize> {
    let head = text.get(word.clone())?;
    let begins = |at: &usize| {
        let rest = head.get(*at..).unwrap_or_default();
        let start = word.start + at;
        JWT_STARTS.iter().any(|it| rest.starts_with(it)) && is_jwt_head(text, start..word.end)
    };
    memchr::memchr_iter(b'e', head).find(begins).map(|at| word.start + at)
}

#[cfg(test)]
mod tests {
    use super::super::keywords::{Class, Shape};
    use super::super::{Detection, Detector, secret};
    use super::*;
    use enum_map::EnumMap;

    /// A secret of this keyword, from invented characters.
    fn invented(word: &Word) -> Option<String> {
        let (class, length) = match word.shape {
            Shape::Run(class, length) | Shape::Exactly(class, length) => (class, length),
            Shape::Scheme | Shape::Basic | Shape::Pem | Shape::Putty => return None,
        };
        let letters = if matches!(class, Class::Upper) { "7ABC" } else { "7abc" };
        let lead = match word.text {
            "_v1_" => "dop",
            ".atlasv1." => "abcdefghij0123",
            _ => "",
        };
        let rest: String = letters.chars().cycle().take(length).collect();
        Some(format!("{lead}{}{rest}", word.text))
    }

    #[test]
    fn each_keyword_finds_its_secret() {
        let on = EnumMap::from_fn(|it| Detector::SECRETS.contains(&it));
        for word in PLAIN.iter().chain(&MARKED).chain([&TWILIO]) {
            let Some(invented) = invented(word) else { continue };
            let text = format!("a {invented}, b");
            let mut found = Vec::new();
            secret::find(&on, text.as_bytes(), Signs::of(text.as_bytes()), &mut found);
            let ranges: Vec<_> =
                found.iter().map(|Detection { range, .. }| range.clone()).collect();
            assert_eq!(ranges, std::slice::from_ref(&(2..2 + invented.len())), "{invented}");
        }
    }
}
