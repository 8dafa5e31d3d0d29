//! Keeping bodies: in memory, beyond a threshold in an unlinked temporary file, beyond a limit not
//! at all; and their digest.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::message::{Body, BodyLength, Kept};
use super::spool::{Disk, SPOOL_BLOCK, Spool, SpoolError};
use super::stats::NotKept;

/// What to keep of the bodies of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKeep {
    /// Their length.
    #[default]
    Count,
    /// Their length and SHA-256.
    Digest,
    /// Their bytes as on the wire.
    Keep(KeepLimits),
}

impl BodyKeep {
    /// True when the SHA-256 is asked for.
    pub(super) fn digests(self) -> bool {
        match self {
            Self::Count => false,
            Self::Digest => true,
            Self::Keep(limits) => limits.digest == DigestOf::All,
        }
    }
}

/// The bodies whose SHA-256 is computed, beside being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestOf {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Those that turn out to be longer than what is kept: others cost nothing.
    TooLarge,
}

/// The digest of no bytes; most messages have no others.
pub(super) const EMPTY_DIGEST: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// How much of a body to keep, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLimits {
    /// Also compute its SHA-256?
    pub digest: DigestOf,
    /// Bytes of one body that stay in memory; a longer one goes to an unlinked temporary file.
    pub memory: u64,
    /// Bytes of one body that are kept at all; a longer one is [`Kept::TooLarge`].
    pub total: u64,
}

impl Default for KeepLimits {
    /// 1 MiB in memory, which holds nearly every request, and 1 GiB on disk.
    fn default() -> Self {
        Self { digest: DigestOf::None, memory: 1 << 20, total: 1 << 30 }
    }
}

/// Bytes that all connections hold, against the limit.
#[derive(Debug)]
pub(super) struct Budget {
    held: u64,
    most: u64,
    limit: u64,
    disk: Arc<Disk>,
}

impl Budget {
    /// For at most `limit` bytes in memory and `disk` bytes on disk.
    pub(super) fn new(limit: u64, disk: u64) -> Self {
        Self { held: 0, most: 0, limit, disk: Disk::new(disk) }
    }

    /// Takes `n` bytes if there is space for them.
    pub(super) fn take(&mut self, n: u64) -> bool {
        let held = self.held.saturating_add(n);
        if held > self.limit {
            return false;
        }
        self.held = held;
        self.most = self.most.max(held);
        true
    }

    /// Takes `n` bytes for a body, if that leaves space for heads: a body that is not kept costs its
    /// own content, a head that is not kept costs its message.
    fn take_for_body(&mut self, n: u64) -> bool {
        let reserved = self.limit / 4;
        self.held.saturating_add(n).saturating_add(reserved) <= self.limit && self.take(n)
    }

    /// Gives `n` bytes back.
    pub(super) fn give(&mut self, n: u64) {
        self.held = self.held.saturating_sub(n);
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Bytes on disk now, those included that other stages hold.
    pub(super) fn spooled(&self) -> u64 {
        self.disk.taken()
    }

    /// The most bytes that were ever held.
    pub(super) fn most(&self) -> u64 {
        self.most
    }
}

/// What is being kept of one body.
#[derive(Debug)]
pub(super) struct Keeper {
    sha256: Option<Sha256>,
    wire: Wire,
    limits: KeepLimits,
    length: u64,
    /// What is kept has chunk framing.
    is_chunked: bool,
    /// Bytes taken from the budget.
    charged: u64,
}

#[derive(Debug)]
enum Wire {
    /// Only the digest was asked for.
    Unasked,
    Memory(Vec<u8>),
    File(Spool),
    Dropped(NotKept),
}

/// A body as it was kept.
pub(super) struct KeptBody {
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) wire: Kept,
    pub(super) not_kept: Option<NotKept>,
    /// Bytes of the budget that it still holds.
    pub(super) charged: u64,
}

impl Keeper {
    /// A keeper for one body, unless counting is enough.
    pub(super) fn new(keep: BodyKeep) -> Option<Box<Self>> {
        let (digest, wire, limits) = match keep {
            BodyKeep::Count => return None,
            BodyKeep::Digest => (true, Wire::Unasked, KeepLimits::default()),
            BodyKeep::Keep(limits) => (keep.digests(), Wire::Memory(Vec::new()), limits),
        };
        let sha256 = digest.then(Sha256::new);
        let (length, is_chunked, charged) = (0, false, 0);
        Some(Box::new(Self { sha256, wire, limits, length, is_chunked, charged }))
    }

    /// Takes the next bytes as they were on the wire: so many of chunk framing, then content.
    pub(super) fn take(&mut self, bytes: &[u8], framing: usize, budget: &mut Budget) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.is_chunked |= framing > 0;
        if let Err(why) = self.store(bytes, budget) {
            let kept = std::mem::replace(&mut self.wire, Wire::Dropped(why));
            budget.give(std::mem::take(&mut self.charged));
            if (self.limits.digest, why) == (DigestOf::TooLarge, NotKept::TooLarge) {
                self.sha256 = kept.finish().ok().and_then(|kept| digest(kept, self.is_chunked));
            }
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes.get(framing..).unwrap_or_default());
        }
    }

    fn store(&mut self, bytes: &[u8], budget: &mut Budget) -> Result<(), NotKept> {
        let too_large = self.length > self.limits.total;
        match &mut self.wire {
            Wire::Unasked | Wire::Dropped(_) => Ok(()),
            _ if too_large => Err(NotKept::TooLarge),
            Wire::Memory(held) if self.length <= self.limits.memory => {
                let before = held.capacity();
                held.reserve(bytes.len());
                let grown = (held.capacity() - before) as u64;
                if !budget.take_for_body(grown) {
                    return Err(NotKept::NoRoom);
                }
                self.charged += grown;
                held.extend_from_slice(bytes);
                Ok(())
            }
            Wire::Memory(held) => {
                if !budget.take_for_body(SPOOL_BLOCK as u64) {
                    return Err(NotKept::NoRoom);
                }
                self.charged += SPOOL_BLOCK as u64;
                let mut file = Spool::create(&budget.disk)?;
                file.write(held)?;
                file.write(bytes)?;
                budget.give(self.charged - SPOOL_BLOCK as u64);
                self.charged = SPOOL_BLOCK as u64;
                self.wire = Wire::File(file);
                Ok(())
            }
            Wire::File(file) => Ok(file.write(bytes)?),
        }
    }

    /// Ends it.
    pub(super) fn finish(self, budget: &mut Budget) -> KeptBody {
        let sha256 = self.sha256.map(|sha256| sha256.finalize().into());
        let mut charged = self.charged;
        let in_memory = match &self.wire {
            Wire::Memory(held) => held.len() as u64,
            _ => 0,
        };
        budget.give(charged.saturating_sub(in_memory));
        charged = charged.min(in_memory);
        let (wire, not_kept) = match self.wire.finish() {
            Ok(kept) => (kept, None),
            Err(why) => (Kept::TooLarge, Some(why)),
        };
        KeptBody { sha256, wire, not_kept, charged }
    }
}

impl Wire {
    fn finish(self) -> Result<Kept, NotKept> {
        match self {
            Self::Unasked => Ok(Kept::Nothing),
            Self::Memory(held) if held.is_empty() => Ok(Kept::Nothing),
            Self::Memory(held) => Ok(Kept::Memory(held.into_boxed_slice().into())),
            Self::File(file) => Ok(Kept::File(Arc::new(file.finish()?))),
            Self::Dropped(why) => Err(why),
        }
    }
}

/// The digest of the content of the start of a body; the rest may follow. `None` if it cannot be read.
pub(super) fn digest(kept: Kept, is_chunked: bool) -> Option<Sha256> {
    let framing = if is_chunked { BodyLength::Chunked } else { BodyLength::UntilClose };
    Body { framing, wire: kept, ..Body::default() }.digest_so_far()
}

impl From<SpoolError> for NotKept {
    fn from(why: SpoolError) -> Self {
        match why {
            SpoolError::Full => Self::SpoolFull,
            SpoolError::Failed => Self::SpoolFailed,
        }
    }
}
