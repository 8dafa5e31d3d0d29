//! What became of the pairs that were to be stored.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};

use enum_map::{Enum, EnumMap};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use crate::stats::{Account, Note, Seam, Topic};

/// Why a compared pair was not stored: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotStored {
    /// One too many for the disk: storing goes first where there is too much to do.
    Shed,
    /// Longer than a pair may be.
    TooLarge,
    /// Not in the sample of its kind, which stands for it.
    NotSampled,
    /// Not written: the disk is full, or failed.
    NotWritten,
}

/// Counters of a store.
pub(super) struct Counts {
    seen: AtomicU64,
    stored: AtomicU64,
    dropped: EnumMap<NotStored, AtomicU64>,
    /// Stored pairs that were deleted: to make space, and by their age.
    thinned: AtomicU64,
    expired: AtomicU64,
    pub(super) room: Room,
}

impl Counts {
    pub(super) fn new(room: usize) -> Self {
        Self {
            seen: AtomicU64::default(),
            stored: AtomicU64::default(),
            dropped: EnumMap::default(),
            thinned: AtomicU64::default(),
            expired: AtomicU64::default(),
            room: Room { used: Mutex::new(0), limit: room, freed: Condvar::new() },
        }
    }

    pub(super) fn seen(&self) {
        self.seen.fetch_add(1, Relaxed);
    }

    pub(super) fn stored(&self, pairs: u64) {
        self.stored.fetch_add(pairs, Relaxed);
    }

    pub(super) fn lose(&self, why: NotStored) {
        self.lose_all(why, 1);
    }

    pub(super) fn lose_all(&self, why: NotStored, pairs: u64) {
        self.dropped[why].fetch_add(pairs, Relaxed);
    }

    pub(super) fn deleted(&self, thinned: u64, expired: u64) {
        self.thinned.fetch_add(thinned, Relaxed);
        self.expired.fetch_add(expired, Relaxed);
    }

    /// Pairs for which no stored one stands.
    pub(super) fn lost(&self) -> u64 {
        let lost = [NotStored::Shed, NotStored::TooLarge, NotStored::NotWritten];
        lost.into_iter().map(|why| self.dropped[why].load(Relaxed)).sum()
    }

    pub(super) fn account(&self) -> Account {
        // What is settled is read before what came in.
        let count = |why: NotStored| (why.into(), self.dropped[why].load(Relaxed));
        let dropped = NotStored::iter().map(count).collect();
        let delivered = self.stored.load(Relaxed);
        let seen = self.seen.load(Relaxed);
        let account = Account { seen, delivered, dropped, ..Account::new(Seam::StoredPairs) };
        account.with_rest_in_flight()
    }

    pub(super) fn note(&self) -> Option<Note> {
        let deleted =
            [("thinned", self.thinned.load(Relaxed)), ("expired", self.expired.load(Relaxed))];
        Note::new(Topic::Store, deleted)
    }
}

/// Bytes that wait.
pub(super) struct Room {
    used: Mutex<usize>,
    limit: usize,
    freed: Condvar,
}

impl Room {
    /// Takes some, and waits for them if that is asked for; false if there are not enough.
    pub(super) fn take(&self, bytes: usize, wait: bool) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used + bytes > self.limit && *used > 0 {
            if !wait {
                return false;
            }
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        true
    }

    pub(super) fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes);
        drop(used);
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_fits_always_and_others_while_there_is_room() {
        let counts = Counts::new(10);
        assert!(counts.room.take(100, false) && !counts.room.take(1, false));
        counts.room.give_back(100);
        assert!(counts.room.take(6, false) && counts.room.take(4, true));
        assert!(!counts.room.take(1, false));
    }
}
