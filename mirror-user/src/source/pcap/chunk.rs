//! Bytes of a reader in large chunks, of which records are slices.

use std::io::{self, ErrorKind, Read};

use bytes::{Bytes, BytesMut};

use super::Stop;
use super::unpack::Flaw;

/// How much one read asks for. Large enough that the system call does not show (one for some
/// hundred packets), small enough that a chunk is still in a cache when its packets are looked at.
/// Between 256 KiB and 1 MiB no difference could be measured.
pub(super) const CHUNK_BYTES: usize = 512 * 1024;

/// Used-up chunks that are kept to be filled again once nobody holds a slice of them. A reader
/// that is one packet ahead needs two; the others are for stages on other threads.
const SPARE_CHUNKS: usize = 8;

/// A window into a reader: what was read and not yet taken, always in one piece.
pub(super) struct Chunks {
    reader: Box<dyn Read + Send>,
    chunk: Bytes,
    /// How much of `chunk` was taken.
    taken: usize,
    /// How much of `chunk` was read; the rest is what it held before.
    filled: usize,
    spare: Vec<Bytes>,
    ended: bool,
    /// What the reader itself said was wrong at its end.
    flaw: Option<Flaw>,
    /// Bytes that come next and are to be left out.
    unwanted: usize,
    /// Bytes taken or skipped so far: where in the file the window begins.
    offset: u64,
}

impl Chunks {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        let (chunk, spare) = (Bytes::new(), Vec::new());
        Self {
            reader,
            chunk,
            taken: 0,
            filled: 0,
            spare,
            ended: false,
            flaw: None,
            unwanted: 0,
            offset: 0,
        }
    }

    /// What was read and not yet taken.
    pub(super) fn window(&self) -> &[u8] {
        self.chunk.get(self.taken..self.filled).unwrap_or_default()
    }

    /// Where in the file the window begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Why there is no further record, when the window was found too small for one.
    pub(super) fn stop(&self) -> Stop {
        let is_between = self.window().is_empty() && self.unwanted == 0;
        match self.flaw {
            None | Some(Flaw::Checksum | Flaw::Trailing) if is_between => Stop::End,
            Some(Flaw::Damaged) => Stop::Corrupt,
            _ => Stop::CutShort,
        }
    }

    /// What was wrong with the reader at its end.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// Reads on until the window holds `need` bytes. False when the reader ended before.
    ///
    /// # Errors
    /// When the reader fails, or has nothing now (`WouldBlock`). The window stands, so that it can
    /// be asked again.
    pub(super) fn want(&mut self, need: usize) -> io::Result<bool> {
        while self.unwanted > 0 {
            if self.window().is_empty() && !self.refill(1)? {
                return Ok(false);
            }
            let step = self.unwanted.min(self.window().len());
            self.skip_window(step);
            self.unwanted = self.unwanted.saturating_sub(step);
        }
        if self.window().len() >= need {
            return Ok(true);
        }
        self.refill(need)
    }

    /// Moves the rest of the window to the front of another chunk and fills that.
    fn refill(&mut self, need: usize) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let mut next = self.free_chunk(need.max(CHUNK_BYTES));
        let rest = self.window();
        let mut filled = rest.len();
        if let Some(front) = next.get_mut(..filled) {
            front.copy_from_slice(rest);
        }
        let mut outcome = Ok(());
        // A pipe gives what it has: what came is handed on at once, not held until a chunk is full.
        while filled < need {
            match self.reader.read(next.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => filled = filled.saturating_add(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // What is packed may be cut short or damaged: what was unpacked stands.
                    self.flaw = Flaw::of(&error);
                    match self.flaw {
                        Some(_) => self.ended = true,
                        None => outcome = Err(error),
                    }
                    break;
                }
            }
        }
        let next = next.freeze();
        // A slow pipe fills little of a chunk. That little is copied, so that a packet that waits
        // somewhere does not hold a whole chunk for itself.
        let used = if filled < CHUNK_BYTES / 4 {
            let little = Bytes::copy_from_slice(next.get(..filled).unwrap_or_default());
            self.keep(next);
            std::mem::replace(&mut self.chunk, little)
        } else {
            std::mem::replace(&mut self.chunk, next)
        };
        self.keep(used);
        (self.taken, self.filled) = (0, filled);
        outcome.map(|()| filled >= need)
    }

    fn keep(&mut self, used: Bytes) {
        if used.len() == CHUNK_BYTES && self.spare.len() < SPARE_CHUNKS {
            self.spare.push(used);
        }
    }

    /// A chunk of at least `len` initialised bytes: a used one that nobody holds any more, or a
    /// new one.
    fn free_chunk(&mut self, len: usize) -> BytesMut {
        if len == CHUNK_BYTES {
            if let Some(free) = self.spare.iter().position(Bytes::is_unique)
                && let Ok(chunk) = self.spare.swap_remove(free).try_into_mut()
            {
                return chunk;
            }
            // All are held by stages further on: they are let go of, and freed by their last holder.
            if self.spare.len() == SPARE_CHUNKS {
                self.spare.clear();
            }
        }
        BytesMut::zeroed(len)
    }

    /// Takes the next `len` bytes of the window, which must hold them.
    pub(super) fn take(&mut self, len: usize) -> Bytes {
        let end = self.taken.saturating_add(len).min(self.filled);
        let bytes = self.chunk.slice(self.taken..end);
        self.skip_window(len);
        bytes
    }

    /// Leaves out the next `len` bytes of the window, which must hold them.
    pub(super) fn skip_window(&mut self, len: usize) {
        let len = len.min(self.window().len());
        self.taken = self.taken.saturating_add(len);
        self.offset = self.offset.saturating_add(len as u64);
    }

    /// Leaves out the next `len` bytes, of which no more than a chunk is ever held.
    pub(super) fn skip(&mut self, len: usize) {
        self.unwanted = self.unwanted.saturating_add(len);
    }
}
