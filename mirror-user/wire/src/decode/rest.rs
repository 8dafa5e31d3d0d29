//! The part of a packet that has not been read yet.

use super::Skip;
use crate::segment::{Tag, TagKind};

/// The bytes after the headers read so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// The captured bytes.
    pub(super) bytes: &'a [u8],
    /// How many more bytes there were on the wire.
    pub(super) beyond: usize,
    /// The tags read so far.
    pub(super) tag: Tag,
}

impl<'a> Rest<'a> {
    /// All of a packet, of which the link had `beyond` bytes more.
    pub(super) const fn new(bytes: &'a [u8], beyond: usize) -> Self {
        Self { bytes, beyond, tag: Tag::NONE }
    }

    /// The same bytes within one more tag.
    pub(super) const fn tagged(self, kind: TagKind, id: u32) -> Self {
        Self { tag: self.tag.with(kind, id), ..self }
    }

    /// Splits a header of `N` bytes off.
    pub(super) fn header<const N: usize>(self) -> Result<(&'a [u8; N], Self), Skip> {
        let (header, bytes) = self.bytes.split_first_chunk().ok_or(Skip::Truncated)?;
        Ok((header, Self { bytes, ..self }))
    }

    /// Skips `n` bytes.
    pub(super) fn skip(self, n: usize) -> Result<Self, Skip> {
        let bytes = self.bytes.get(n..).ok_or(Skip::Truncated)?;
        Ok(Self { bytes, ..self })
    }

    /// The first `n` bytes as they were on the wire. Bytes after them are padding, a trailer or
    /// belong to another packet; missing ones were cut off. If a header claims more than the packet
    /// had on the wire, the actual bytes count.
    pub(super) fn limit(self, n: usize) -> Self {
        match self.bytes.get(..n) {
            Some(bytes) => Self { bytes, beyond: 0, ..self },
            None => {
                let missing = n.saturating_sub(self.bytes.len());
                Self { beyond: missing.min(self.beyond), ..self }
            }
        }
    }

    /// The big-endian number at `at`.
    pub(super) fn u16(self, at: usize) -> Result<u16, Skip> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Skip::Truncated)?;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// The byte at `at`.
    pub(super) fn u8(self, at: usize) -> Result<u8, Skip> {
        self.bytes.get(at).copied().ok_or(Skip::Truncated)
    }
}
