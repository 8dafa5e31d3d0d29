//! Digits and separators beyond ASCII, as word processors and Asian keyboards write them.

use std::borrow::Cow;
use std::ops::Range;

/// A text with full-width digits, special spaces and dashes in ASCII.
pub(in crate::rules::redact) struct FoldedText {
    text: Vec<u8>,
    /// The position of each byte, and of the end, in the source.
    places: Vec<u32>,
}

impl FoldedText {
    /// `None` if there is nothing to fold.
    pub(super) fn new(source: &[u8]) -> Option<Self> {
        memchr::memchr3(0xc2, 0xe2, 0xef, source)?;
        let mut folded = Self { text: Vec::new(), places: Vec::new() };
        let mut changed = false;
        let mut at = 0;
        while let Some(byte) = source.get(at) {
            let (byte, len) = match source.get(at..).and_then(ascii) {
                Some((byte, len)) => {
                    changed = true;
                    (byte, len)
                }
                None => (*byte, 1),
            };
            folded.text.push(byte);
            folded.places.push(at as u32);
            at += len;
        }
        folded.places.push(source.len() as u32);
        changed.then_some(folded)
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// A range of this text in the source.
    pub(super) fn unfold(&self, range: Range<usize>) -> Range<usize> {
        let place = |at: usize| self.places.get(at).copied().unwrap_or_default() as usize;
        place(range.start)..place(range.end)
    }
}

/// A value with its digits and separators in ASCII.
pub(in crate::rules::redact) fn folded(value: &[u8]) -> Cow<'_, [u8]> {
    FoldedText::new(value).map_or(Cow::Borrowed(value), |folded| Cow::Owned(folded.text))
}

/// The ASCII character for the one that begins a text, and how many bytes that has.
fn ascii(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        // NO-BREAK SPACE
        [0xc2, 0xa0, ..] => Some((b' ', 2)),
        // Spaces of various widths, NARROW NO-BREAK SPACE
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] => Some((b' ', 3)),
        // HYPHEN, NON-BREAKING HYPHEN, FIGURE DASH, EN DASH, EM DASH, HORIZONTAL BAR
        [0xe2, 0x80, 0x90..=0x95, ..] => Some((b'-', 3)),
        // MINUS SIGN
        [0xe2, 0x88, 0x92, ..] => Some((b'-', 3)),
        // FULLWIDTH HYPHEN-MINUS, FULL STOP, PLUS SIGN, DIGITS
        [0xef, 0xbc, 0x8d, ..] => Some((b'-', 3)),
        [0xef, 0xbc, 0x8e, ..] => Some((b'.', 3)),
        [0xef, 0xbc, 0x8b, ..] => Some((b'+', 3)),
        [0xef, 0xbc, digit @ 0x90..=0x99, ..] => Some((b'0' + (digit - 0x90), 3)),
        _ => None,
    }
}
