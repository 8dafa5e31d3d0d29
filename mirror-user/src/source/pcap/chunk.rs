//! Reads large chunks; records are slices of them.

use std::io::{self, ErrorKind, Read};

use bytes::{Bytes, BytesMut};

use super::Stop;
use super::unpack::Flaw;

/// Bytes of one read. Large enough that the system call costs little (one for some hundred
/// packets), small enough that a chunk is still in a CPU cache when its packets are parsed. Between
/// 256 KiB and 1 MiB no difference could be measured.
pub(super) const CHUNK_BYTES: usize = 512 * 1024;

/// Used chunks that are kept and reused once no slice of them is left. A reader that is one packet
/// ahead needs two; the others are for stages on other threads.
const SPARE_CHUNKS: usize = 8;

/// A window into a reader: the bytes that were read and not taken yet, always contiguous.
pub(super) struct Chunks {
    reader: Box<dyn Read + Send>,
    chunk: Bytes,
    /// How many bytes of `chunk` were taken.
    taken: usize,
    /// How many bytes of `chunk` were read; the rest is old content.
    filled: usize,
    spare: Vec<Bytes>,
    ended: bool,
    /// The flaw that the reader reported at its end.
    flaw: Option<Flaw>,
    /// How many of the next bytes are to be skipped.
    unwanted: usize,
    /// Bytes taken or skipped so far: the offset of the window in the file.
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

    /// The bytes that were read and not taken yet.
    pub(super) fn window(&self) -> &[u8] {
        self.chunk.get(self.taken..self.filled).unwrap_or_default()
    }

    /// The offset of the window in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Why there is no further record, if the window is too small for one.
    pub(super) fn stop(&self) -> Stop {
        let is_between = self.window().is_empty() && self.unwanted == 0;
        match self.flaw {
            None | Some(Flaw::Checksum | Flaw::Trailing) if is_between => Stop::End,
            Some(Flaw::Damaged) => Stop::Corrupt,
            _ => Stop::CutShort,
        }
    }

    /// The flaw that the reader reported at its end.
    pub(super) fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// Reads until the window has `need` bytes. False if the reader ended before.
    ///
    /// # Errors
    /// If the reader fails, or has no data yet (`WouldBlock`). The window is unchanged, so that the
    /// call can be repeated.
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
        // A pipe returns what it has. It is passed on at once, not held until the chunk is full.
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

    /// Takes the next `len` bytes of the window, which must contain them.
    pub(super) fn take(&mut self, len: usize) -> Bytes {
        let end = self.taken.saturating_add(len).min(self.filled);
        let bytes = self.chunk.slice(self.taken..end);
        self.skip_window(len);
        bytes
    }

    /// Skips the next `len` bytes of the window, which must contain them.
    pub(super) fn skip_window(&mut self, len: usize) {
        let len = len.min(self.window().len());
        self.taken = self.taken.saturating_add(len);
        self.offset = self.offset.saturating_add(len as u64);
    }

    /// Skips the next `len` bytes, without holding more than one chunk of them.
    pub(super) fn skip(&mut self, len: usize) {
        self.unwanted = self.unwanted.saturating_add(len);
    }
}
