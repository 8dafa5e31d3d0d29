//! What was taken and is not settled yet: the messages that wait for the front, and the shards that this process owns.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;
use tokio::sync::{Notify, Semaphore};

use super::ledger::Ledger;
use super::members::{LEASE, Member};
use crate::broker::clock::now;
use crate::broker::envelope::{Envelope, NotAnEnvelope};
use crate::stats::{Account, Seam};

/// Memory that messages may take until they are settled, in units of [`UNIT`].
const ROOM: usize = 64 * 1024;
/// Bytes of a unit; each message takes at least one, so that there are 64 Ki of them at most.
const UNIT: usize = 1024;

/// Why a message was taken and not handed on: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotHandedOn {
    /// Of a version that this build does not know.
    OtherVersion,
    /// Not an envelope, or cut.
    Damaged,
    /// Of other sizes than it says.
    ForgedSize,
    /// A part that cannot be.
    BadPart,
    /// Longer than anything that a publisher sends.
    MessageTooLong,
    /// Sent twice by its publisher.
    Duplicate,
    /// Of a shard that another member owns by now; it takes it.
    Moved,
    /// Parked: owners died whenever they handled it.
    Parked,
}

impl From<NotAnEnvelope> for NotHandedOn {
    fn from(why: NotAnEnvelope) -> Self {
        match why {
            NotAnEnvelope::OtherVersion => Self::OtherVersion,
            NotAnEnvelope::Damaged => Self::Damaged,
            NotAnEnvelope::ForgedSize => Self::ForgedSize,
            NotAnEnvelope::BadPart => Self::BadPart,
            NotAnEnvelope::MessageTooLong => Self::MessageTooLong,
        }
    }
}

/// Names a message, so that it can be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(super) shard: u32,
    /// Which time that this process owned the shard.
    pub(super) term: u64,
    pub(super) sequence: u64,
}

/// A message that is handed on.
#[derive(Debug)]
pub struct Taken {
    /// What it is.
    pub envelope: Envelope,
    /// By which it is settled.
    pub receipt: Receipt,
}

/// The state that the threads share.
pub(super) struct Shared {
    held: Mutex<Held>,
    pub(super) arrived: Condvar,
    /// Wakes the intake when something was settled.
    pub(super) settled: Notify,
    pub(super) room: Semaphore,
    pub(super) stop: AtomicBool,
    /// Taking ended by itself: the last message of a range came.
    pub(super) ended: AtomicBool,
    pub(super) counts: Counts,
}

#[derive(Default)]
pub(super) struct Held {
    pub(super) inbox: VecDeque<Taken>,
    pub(super) shards: HashMap<u32, Owned>,
    terms: u64,
    /// When the group last heard of this member; `None`: it belongs to none.
    heard: Option<Instant>,
}

/// A shard that this process owns.
pub(super) struct Owned {
    pub(super) ledger: Ledger,
    pub(super) term: u64,
    /// The revision of its lease.
    pub(super) revision: u64,
    /// What is parked when it comes.
    pub(super) parked: Option<u64>,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) taken: AtomicU64,
    pub(super) handed_on: AtomicU64,
    dropped: EnumMap<NotHandedOn, AtomicU64>,
    pub(super) redelivered: AtomicU64,
    pub(super) shards_gained: AtomicU64,
    pub(super) shards_lost: AtomicU64,
    pub(super) shards_released: AtomicU64,
    pub(super) reconnected: AtomicU64,
}

impl Counts {
    pub(super) fn drop(&self, why: NotHandedOn) {
        self.taken.fetch_add(1, Relaxed);
        self.dropped[why].fetch_add(1, Relaxed);
    }

    /// What its member says of itself.
    pub(super) fn member(&self) -> Member {
        Member {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            taken: self.taken.load(Relaxed),
            handed_on: self.handed_on.load(Relaxed),
            redelivered: self.redelivered.load(Relaxed),
        }
    }

    pub(super) fn account(&self) -> Account {
        let delivered = self.handed_on.load(Relaxed);
        let dropped = self.dropped.iter().map(|(why, n)| (why.into(), n.load(Relaxed))).collect();
        let seen = self.taken.load(Relaxed);
        Account { seen, delivered, dropped, ..Account::new(Seam::Taken) }.with_rest_in_flight()
    }
}

/// The units that a message of so many bytes takes.
pub(super) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).clamp(1, ROOM)).unwrap_or(u32::MAX)
}

impl Shared {
    /// Nothing was taken yet.
    pub(super) fn new() -> Self {
        Self {
            held: Mutex::default(),
            arrived: Condvar::new(),
            settled: Notify::new(),
            room: Semaphore::new(ROOM),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard is this process's from now on.
    pub(super) fn gain(&self, shard: u32, ledger: Ledger, revision: u64, parked: Option<u64>) {
        let mut held = self.held();
        held.terms += 1;
        let term = held.terms;
        let before = held.shards.insert(shard, Owned { ledger, term, revision, parked });
        let before = before.map_or(0, |owned| owned.ledger.weight());
        self.room.add_permits(before as usize);
        self.counts.shards_gained.fetch_add(1, Relaxed);
    }

    /// A shard is somebody else's, or nobody's. What waits of it is dropped: its next owner takes it.
    pub(super) fn lose(&self, shard: u32) {
        let mut held = self.held();
        let Some(owned) = held.shards.remove(&shard) else { return };
        held.inbox.retain(|taken| {
            let stays = taken.receipt.shard != shard;
            if !stays {
                self.counts.drop(NotHandedOn::Moved);
            }
            stays
        });
        self.room.add_permits(owned.ledger.weight() as usize);
    }

    /// Takes back what waits of a shard: whoever owns it next takes it.
    pub(super) fn withdraw(&self, held: &mut Held, shard: u32) {
        let mut first = None;
        held.inbox.retain(|taken| {
            let stays = taken.receipt.shard != shard;
            if !stays {
                first.get_or_insert(taken.receipt.sequence);
            }
            stays
        });
        if let (Some(first), Some(owned)) = (first, held.shards.get_mut(&shard)) {
            self.room.add_permits(owned.ledger.withdraw(first) as usize);
        }
    }

    /// Hands a message on to the front.
    pub(super) fn hand_on(&self, held: &mut Held, shard: u32, sequence: u64, envelope: Envelope) {
        let Some(owned) = held.shards.get(&shard) else { return };
        let receipt = Receipt { shard, term: owned.term, sequence };
        held.inbox.push_back(Taken { envelope, receipt });
        self.arrived.notify_one();
    }

    /// The group has heard of this member.
    pub(super) fn heard(&self) {
        self.held().heard = Some(now());
        self.arrived.notify_one();
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Relaxed);
        self.arrived.notify_one();
    }
}

impl Held {
    /// True when others may think that this member is gone, and take its shards: nothing is handed on then.
    pub(super) fn is_unheard(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() > LEASE / 2)
    }
}
