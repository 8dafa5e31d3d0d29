//! Out-of-order segments of one side, held until the bytes before them arrive.

use std::collections::VecDeque;

use bytes::Bytes;

use super::limits::{MAX_CUT, PIECE_OVERHEAD};
use crate::packet::Timestamp;
use crate::segment::SeqNumber;
use crate::segment::{Flags, Segment};

/// The text of one segment, and its FIN.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The sequence number of its first byte.
    pub(super) start: SeqNumber,
    pub(super) payload: Bytes,
    /// Bytes after the payload that the capture cut off.
    pub(super) cut: u32,
    pub(super) fin: bool,
    /// Its acknowledgment of the other side; it is emitted after the acknowledged bytes.
    pub(super) ack: Option<SeqNumber>,
    /// When its segment was captured, however much later it is emitted.
    pub(super) at: Timestamp,
}

impl Piece {
    /// The payload and FIN of a segment whose SYN was removed.
    pub(super) fn of(segment: Segment) -> Self {
        Self {
            start: segment.seq,
            cut: segment.cut.min(MAX_CUT),
            fin: segment.flags.contains(Flags::FIN),
            ack: segment.flags.contains(Flags::ACK).then_some(segment.ack),
            at: segment.at,
            payload: segment.payload,
        }
    }

    /// How many sequence numbers it occupies; FIN occupies one (RFC 9293 §3.4).
    pub(super) fn span(&self) -> u32 {
        (self.payload.len() as u32).wrapping_add(self.cut).wrapping_add(u32::from(self.fin))
    }

    pub(super) fn end(&self) -> SeqNumber {
        self.start.advanced_by(self.span())
    }

    /// Removes `n` bytes from its front, and returns how many of them were captured.
    pub(super) fn skip(&mut self, n: u32) -> usize {
        let captured = self.payload.len().min(n as usize);
        self.payload = self.payload.slice(captured..);
        self.cut = self.cut.saturating_sub(n - captured as u32);
        self.start = self.start.advanced_by(n);
        captured
    }

    fn cost(&self) -> usize {
        self.payload.len() + PIECE_OVERHEAD
    }
}

/// Pieces in the order of their starts, none within another, so that their ends are ordered too.
/// They may overlap: where they do, the piece that starts first wins when they are taken out.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pieces: VecDeque<Piece>,
    /// Captured bytes in them.
    pub(super) payload: usize,
    /// Their cost in memory, in bytes.
    pub(super) cost: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// The sequence number after the last piece.
    pub(super) fn end(&self) -> Option<SeqNumber> {
        self.pieces.back().map(Piece::end)
    }

    /// Keeps a copy of the piece unless another one covers all of it, and drops the pieces that it
    /// covers. Returns whether it was kept and how many captured bytes were dropped.
    pub(super) fn insert(&mut self, piece: Piece) -> (bool, usize) {
        let end = piece.end();
        let mut at = self.pieces.partition_point(|p| !p.start.is_after(piece.start));
        if let Some(before) = at.checked_sub(1).and_then(|i| self.pieces.get(i)) {
            if !end.is_after(before.end()) {
                return (false, piece.payload.len());
            }
            if before.start == piece.start {
                at -= 1;
            }
        }
        let mut dropped = 0;
        while self.pieces.get(at).is_some_and(|p| !p.end().is_after(end)) {
            let covered = self.pieces.remove(at).expect("it was just looked at");
            dropped += covered.payload.len();
            self.forget(&covered);
        }
        // A slice would keep the whole chunk of the source in memory.
        let piece = Piece { payload: Bytes::copy_from_slice(&piece.payload), ..piece };
        self.payload += piece.payload.len();
        self.cost += piece.cost();
        self.pieces.insert(at, piece);
        (true, dropped)
    }

    /// Removes the first piece.
    pub(super) fn pop(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.forget(&piece);
        Some(piece)
    }

    fn forget(&mut self, piece: &Piece) {
        self.payload -= piece.payload.len();
        self.cost -= piece.cost();
    }
}
