//! Replaces pieces of a text while appending it to a buffer. Nothing is copied before the first
//! replacement.

use std::ops::Range;

pub(super) struct Replacer<'a, 'o> {
    source: &'a [u8],
    out: &'o mut Vec<u8>,
    /// Bytes of `source` that are already in `out`, unchanged or replaced.
    copied: usize,
    changed: bool,
}

impl<'a, 'o> Replacer<'a, 'o> {
    pub(super) fn new(source: &'a [u8], out: &'o mut Vec<u8>) -> Self {
        Self { source, out, copied: 0, changed: false }
    }

    /// Replaces a piece by what `write` writes, if it returns true. Pieces must be in order.
    pub(super) fn edit(
        &mut self,
        range: Range<usize>,
        write: impl FnOnce(&'a [u8], &mut Vec<u8>) -> bool,
    ) {
        let start = self.out.len();
        if !write(self.source.get(range.clone()).unwrap_or_default(), self.out) {
            self.out.truncate(start);
            return;
        }
        // The text before the piece is copied only if the piece is replaced: it is appended after the
        // replacement, and both are swapped.
        let before = self.source.get(self.copied..range.start).unwrap_or_default();
        self.out.extend_from_slice(before);
        if let Some(both) = self.out.get_mut(start..) {
            both.rotate_right(before.len());
        }
        self.replaced(range);
    }

    /// Replaces a piece by what `write` writes.
    pub(super) fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.changed {
            // Tokens are longer than most values.
            self.out.reserve(self.source.len() + self.source.len() / 8 + 64);
        }
        self.out.extend_from_slice(self.source.get(self.copied..range.start).unwrap_or_default());
        write(self.out);
        self.replaced(range);
    }

    fn replaced(&mut self, range: Range<usize>) {
        self.changed = true;
        self.copied = range.end;
    }

    /// Writes the rest; returns false, with nothing written, if nothing was replaced.
    pub(super) fn finish(self) -> bool {
        if self.changed {
            self.out.extend_from_slice(self.source.get(self.copied..).unwrap_or_default());
        }
        self.changed
    }
}
