//! Paths: percent-encoding made alike, and templates that many of them fit.

use std::borrow::Cow;
use std::str::FromStr;

/// A path without percent-encoding where none is needed, and with upper-case digits where it is (RFC 3986 §6.2.2).
/// Dot segments stay: not every server removes them.
pub(super) fn canonical(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', path).is_none() {
        return if path.is_empty() { Cow::Borrowed(b"/") } else { Cow::Borrowed(path) };
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        match decoded(rest) {
            Some((byte, after)) if is_unreserved(byte) => {
                out.push(byte);
                rest = after;
            }
            Some((_, after)) => {
                let code = rest.get(..3).unwrap_or_default();
                out.extend(code.iter().map(u8::to_ascii_uppercase));
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

/// What `%41` at the start stands for, and what is behind it.
fn decoded(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = digit(high)? << 4 | digit(low)?;
    Some((u8::try_from(value).ok()?, rest))
}

/// RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The segments of a path.
pub(in crate::stub) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

/// Paths of one kind: `/orders/{id}/items`, `/static/**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
    /// It ends in `**`: whatever follows.
    rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Word(Vec<u8>),
    /// `{name}`: one segment that is not empty.
    Any,
}

impl Template {
    /// True if this path is of its kind.
    #[must_use]
    pub fn fits(&self, path: &[u8]) -> bool {
        let mut have = segments(path);
        let fits = self.segments.iter().all(|segment| match (segment, have.next()) {
            (Segment::Word(word), Some(have)) => word == have,
            (Segment::Any, Some(have)) => !have.is_empty(),
            (_, None) => false,
        });
        fits && (self.rest || have.next().is_none())
    }

    /// As it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl FromStr for Template {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a path such as /orders/{id}/items or /static/**";
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err(WHAT);
        }
        let (head, rest) = match text.strip_suffix("/**") {
            Some(head) => (head, true),
            None => (text, false),
        };
        let mut found = Vec::new();
        for segment in segments(head.as_bytes()).filter(|_| !(rest && head.is_empty())) {
            let is_name = segment.starts_with(b"{") && segment.ends_with(b"}") && segment.len() > 2;
            let has_sign = segment.iter().any(|byte| matches!(byte, b'{' | b'}' | b'*'));
            found.push(match (is_name, has_sign) {
                (true, _) => Segment::Any,
                (false, true) => return Err(WHAT),
                (false, false) => Segment::Word(canonical(segment).into_owned()),
            });
        }
        // An empty word is no root of its own.
        for segment in &mut found {
            if let Segment::Word(word) = segment
                && word == b"/"
            {
                word.clear();
            }
        }
        Ok(Self { text: text.to_owned(), segments: found, rest })
    }
}
