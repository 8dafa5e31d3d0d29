//! Bytes on their way to a client: from where they lie, several responses in one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::http::message::Spooled;

/// Bytes that wait before they are written.
const MAX_WAITING: usize = 256 * 1024;

/// Slices of one write.
const SLICES: usize = 32;

/// Bytes of a long body that are read from its file at once.
const BLOCK: usize = 64 * 1024;

/// Responses that wait to be written.
pub(super) struct Outgoing {
    /// For a client to take the next bytes.
    patience: Duration,
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// How many recorded responses these are.
    responses: u64,
}

impl Outgoing {
    /// For a client that takes the next bytes within `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, waiting: VecDeque::new(), bytes: 0, responses: 0 }
    }

    /// A response, or a part of one; `responses` recorded ones end with it.
    pub(super) fn push(&mut self, bytes: Bytes, responses: u64) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.responses += responses;
        if !bytes.is_empty() {
            self.waiting.push_back(bytes);
        }
    }

    /// True if it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_WAITING || self.waiting.len() >= SLICES
    }

    /// How many recorded responses were pushed since this was last asked.
    pub(super) fn take_responses(&mut self) -> u64 {
        std::mem::take(&mut self.responses)
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// If the client has gone, or takes no bytes for too long.
    pub(super) async fn flush(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while let Some(first) = self.waiting.front() {
            let written = match self.waiting.len() {
                1 => timeout(self.patience, to.write(first)).await??,
                _ => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    for (slice, bytes) in slices.iter_mut().zip(&self.waiting) {
                        *slice = IoSlice::new(bytes);
                    }
                    timeout(self.patience, to.write_vectored(&slices)).await??
                }
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        timeout(self.patience, to.flush()).await??;
        self.bytes = 0;
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.waiting.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.waiting.pop_front();
        }
    }

    /// Writes what waits, and then a body from its file.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and if the file cannot be read.
    pub(super) async fn flush_file(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        (file, length): (&Arc<Spooled>, u64),
    ) -> io::Result<()> {
        self.flush(to).await?;
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        while at < length {
            // The page cache has it; a block takes some microseconds.
            let read = file.read_at(&mut block, at)?;
            let bytes = block.get(..read).filter(|bytes| !bytes.is_empty());
            let mut bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            at = at.saturating_add(read as u64);
            while !bytes.is_empty() {
                let written = timeout(self.patience, to.write(bytes)).await??;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                bytes = bytes.get(written..).unwrap_or_default();
            }
        }
        Ok(())
    }
}
