//! The bytes without which nothing is found, looked for sixteen at a time.
//!
//! Most texts have few of them. Which kinds a text has decides which searches are worth their time; the
//! positions of a kind are visited without a new search after each.

use std::ops::BitOr;

use wide::u8x16;

/// A set of kinds of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules::redact) struct Signs(u8);

impl Signs {
    /// `_`, `-` and `.`, which most keywords of secrets have.
    pub(in crate::rules::redact) const MARK: Self = Self(1);
    /// `=`, `:` and `%`, of which one stands between a name and its value.
    pub(in crate::rules::redact) const SEPARATOR: Self = Self(2);
    /// `@`
    pub(in crate::rules::redact) const AT: Self = Self(4);
    /// `<`, `{` and `[`
    pub(in crate::rules::redact) const OPENING: Self = Self(8);
    pub(in crate::rules::redact) const DIGIT: Self = Self(16);
    /// Bytes beyond ASCII.
    pub(in crate::rules::redact) const BEYOND: Self = Self(32);
    /// What a finding shorter than every secret needs.
    pub(super) const NEEDED: Self =
        Self(Self::SEPARATOR.0 | Self::AT.0 | Self::OPENING.0 | Self::DIGIT.0 | Self::BEYOND.0);

    /// The kinds of which `text` has a byte.
    pub(in crate::rules::redact) fn of(text: &[u8]) -> Self {
        let (chunks, rest) = text.as_chunks();
        let mut padded = [0; LANES];
        if let Some(start) = padded.get_mut(..rest.len()) {
            start.copy_from_slice(rest);
        }
        let none = u8x16::splat(0);
        let (mut mark, mut separator, mut at) = (none, none, none);
        let (mut opening, mut digit, mut beyond) = (none, none, none);
        for chunk in chunks.iter().chain([&padded]) {
            let chunk = u8x16::from(*chunk);
            mark |= marks(chunk);
            separator |= separators(chunk);
            at |= is(chunk, b'@');
            opening |= is(chunk, b'<') | is(chunk, b'{') | is(chunk, b'[');
            digit |= digits(chunk);
            beyond |= chunk;
        }
        let kinds = [
            (mark, Self::MARK),
            (separator, Self::SEPARATOR),
            (at, Self::AT),
            (opening, Self::OPENING),
            (digit, Self::DIGIT),
            // The highest bit of a byte is all that a bit mask regards.
            (beyond, Self::BEYOND),
        ];
        kinds
            .into_iter()
            .filter(|(found, _)| found.to_bitmask() != 0)
            .fold(Self(0), |all, (_, kind)| all | kind)
    }

    /// True if it has one of `others`.
    pub(in crate::rules::redact) fn meet(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOr for Signs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Bytes in a vector.
const LANES: usize = 16;
/// Bytes that are looked at before the positions among them are given: one bit each.
const BLOCK: usize = 64;

fn is(chunk: u8x16, byte: u8) -> u8x16 {
    chunk.simd_eq(u8x16::splat(byte))
}

fn marks(chunk: u8x16) -> u8x16 {
    is(chunk, b'_') | is(chunk, b'-') | is(chunk, b'.')
}

fn separators(chunk: u8x16) -> u8x16 {
    is(chunk, b'=') | is(chunk, b':') | is(chunk, b'%')
}

fn digits(chunk: u8x16) -> u8x16 {
    let above = chunk - u8x16::splat(b'0');
    above.min(u8x16::splat(9)).simd_eq(above)
}

/// The positions of [`Signs::MARK`] in a text, in order.
pub(super) fn each_mark(text: &[u8]) -> impl Iterator<Item = usize> {
    positions(text, marks)
}

/// The positions of [`Signs::SEPARATOR`].
pub(in crate::rules::redact) fn each_separator(text: &[u8]) -> impl Iterator<Item = usize> {
    positions(text, separators)
}

/// The positions of the bytes of a kind. A block is looked at once, however many of them it has.
#[inline]
fn positions(text: &[u8], kind: impl Fn(u8x16) -> u8x16) -> impl Iterator<Item = usize> {
    let mut blocks = text.chunks(BLOCK);
    let (mut start, mut found) = (0_usize.wrapping_sub(BLOCK), 0_u64);
    std::iter::from_fn(move || {
        while found == 0 {
            found = bits(blocks.next()?, &kind);
            start = start.wrapping_add(BLOCK);
        }
        let at = found.trailing_zeros() as usize;
        found &= found - 1;
        Some(start + at)
    })
}

/// One bit for each byte of a block that is of a kind.
#[inline]
fn bits(block: &[u8], kind: impl Fn(u8x16) -> u8x16) -> u64 {
    let mut padded = [0; BLOCK];
    let block = match block.first_chunk() {
        Some(block) => block,
        None => {
            if let Some(start) = padded.get_mut(..block.len()) {
                start.copy_from_slice(block);
            }
            &padded
        }
    };
    let (chunks, _) = block.as_chunks::<LANES>();
    let bits = |chunk: &[u8; LANES]| u64::from(kind(u8x16::from(*chunk)).to_bitmask());
    chunks.iter().rev().fold(0, |all, chunk| all << LANES | bits(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_of_its_kind_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let kind = match byte {
                b'_' | b'-' | b'.' => Signs::MARK.0,
                b'=' | b':' | b'%' => Signs::SEPARATOR.0,
                b'@' => Signs::AT.0,
                b'<' | b'{' | b'[' => Signs::OPENING.0,
                b'0'..=b'9' => Signs::DIGIT.0,
                0x80.. => Signs::BEYOND.0,
                _ => 0,
            };
            for (length, at) in [(1, 0), (16, 15), (17, 16), (64, 63), (65, 64), (200, 131)] {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                assert_eq!(Signs::of(&text), Signs(kind), "{byte} at {at}");
                let found = |kind: Signs, positions: Vec<usize>| {
                    let expected = if Signs::of(&text).meet(kind) { vec![at] } else { vec![] };
                    assert_eq!(positions, expected, "{byte} at {at}");
                };
                found(Signs::MARK, each_mark(&text).collect());
                found(Signs::SEPARATOR, each_separator(&text).collect());
            }
        }
        assert_eq!(Signs::of(b""), Signs(0));
    }

    #[test]
    fn all_positions_are_given_in_order() {
        let text = b"-=".repeat(100);
        assert_eq!(each_mark(&text).collect::<Vec<_>>(), (0..200).step_by(2).collect::<Vec<_>>());
        let odd = (1..200).step_by(2).collect::<Vec<_>>();
        assert_eq!(each_separator(&text).collect::<Vec<_>>(), odd);
    }
}
