//! Bodies that wait on disk, and how much disk they may take together.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of disk that all spooled bodies take, wherever in the process they are by now.
#[derive(Debug)]
pub(super) struct Disk {
    taken: AtomicU64,
    limit: u64,
}

/// A part of the disk, given back when it is dropped.
#[derive(Debug)]
struct Share {
    disk: Arc<Disk>,
    bytes: u64,
}

/// A body that is being written to an unlinked temporary file.
#[derive(Debug)]
pub(super) struct Spool {
    file: BufWriter<File>,
    share: Share,
}

/// A body in an unlinked temporary file.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    /// `None` when it was made elsewhere.
    _share: Option<Share>,
}

/// Why a body could not be written.
pub(super) enum SpoolError {
    /// All spooled bodies together would take more disk than they may.
    Full,
    /// The disk took no more.
    Failed,
}

impl From<io::Error> for SpoolError {
    fn from(_: io::Error) -> Self {
        Self::Failed
    }
}

/// Spooled bytes are written in blocks of this many bytes.
pub(super) const SPOOL_BLOCK: usize = 64 * 1024;

impl Disk {
    /// Space for this number of bytes.
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { taken: AtomicU64::new(0), limit })
    }

    /// Bytes taken now.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }
}

impl Share {
    /// Takes `n` bytes more, if there is space for them. One thread takes; any may give back.
    fn grow(&mut self, n: u64) -> Result<(), SpoolError> {
        let taken = self.disk.taken.fetch_add(n, Relaxed).saturating_add(n);
        self.bytes = self.bytes.saturating_add(n);
        if taken > self.disk.limit { Err(SpoolError::Full) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.disk.taken.fetch_sub(self.bytes, Relaxed);
    }
}

impl Spool {
    pub(super) fn create(disk: &Arc<Disk>) -> Result<Self, SpoolError> {
        let file = BufWriter::with_capacity(SPOOL_BLOCK, tempfile::tempfile()?);
        Ok(Self { file, share: Share { disk: Arc::clone(disk), bytes: 0 } })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.share.grow(bytes.len() as u64)?;
        Ok(self.file.write_all(bytes)?)
    }

    pub(super) fn finish(self) -> Result<Spooled, SpoolError> {
        let file = self.file.into_inner().map_err(|_| SpoolError::Failed)?;
        Ok(Spooled { file, _share: Some(self.share) })
    }
}

impl Deref for Spooled {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl From<File> for Spooled {
    fn from(file: File) -> Self {
        Self { file, _share: None }
    }
}
