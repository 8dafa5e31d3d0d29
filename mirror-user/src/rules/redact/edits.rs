//! A text with pieces replaced: nothing is copied before the first one is.

use std::ops::Range;

pub(super) struct Edits<'a> {
    source: &'a [u8],
    out: Vec<u8>,
    /// Bytes of `source` that are in `out`, as they were or replaced.
    copied: usize,
    changed: bool,
    piece: Vec<u8>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, out: Vec::new(), copied: 0, changed: false, piece: Vec::new() }
    }

    /// Replaces a piece by what `write` writes, if it says true. Pieces come in their order.
    pub(super) fn edit(
        &mut self,
        range: Range<usize>,
        write: impl FnOnce(&'a [u8], &mut Vec<u8>) -> bool,
    ) {
        self.piece.clear();
        let text = self.source.get(range.clone()).unwrap_or_default();
        if write(text, &mut self.piece) {
            if !self.changed {
                // Tokens are longer than most values.
                self.out.reserve(self.source.len() + self.source.len() / 8 + 64);
            }
            self.changed = true;
            self.out
                .extend_from_slice(self.source.get(self.copied..range.start).unwrap_or_default());
            self.out.extend_from_slice(&self.piece);
            self.copied = range.end;
        }
    }

    /// The whole text; `None` when nothing was replaced.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.changed.then(|| {
            self.out.extend_from_slice(self.source.get(self.copied..).unwrap_or_default());
            self.out
        })
    }
}
