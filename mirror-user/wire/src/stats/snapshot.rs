//! The counters of a running pipeline, for other threads.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::account::{Account, Seam};
use super::note::{Note, Topic};

/// Every counter of a run at one moment between two packets. Each account balances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// One account for each seam, in the order in which a packet meets them.
    pub accounts: Vec<Account>,
    /// Further counts that are no losses, without zeros.
    pub notes: Vec<Note>,
}

impl Snapshot {
    /// The account of this seam; the first, where targets have one each.
    #[must_use]
    pub fn account(&self, seam: Seam) -> Option<&Account> {
        self.accounts.iter().find(|account| account.seam == seam)
    }

    /// The note about this; the first, where targets have one each.
    #[must_use]
    pub fn note(&self, topic: Topic) -> Option<&Note> {
        self.notes.iter().find(|note| note.topic == topic)
    }
}

/// Where a pipeline leaves snapshots for other threads, when one asked and at the end. What the
/// pipeline pays while nobody asks is one load of an atomic every few hundred packets.
#[derive(Default)]
pub struct SnapshotSlot {
    wanted: AtomicBool,
    slot: Mutex<Published>,
    published: Condvar,
}

#[derive(Default)]
struct Published {
    latest: Arc<Snapshot>,
    /// How many were published so far.
    count: u64,
    /// None will come any more.
    ended: bool,
}

impl SnapshotSlot {
    /// The last snapshot that was published: of the start of the run, of when it was last asked
    /// for, or of the end. Empty before the run has begun.
    #[must_use]
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.slot().latest)
    }

    /// Asks for a snapshot, and waits for it; after the end of the run, that is the last one.
    /// `None` when the pipeline does not come to it within `patience`: it waits for a target that
    /// is slower than a capture file, or is stuck.
    #[must_use]
    pub fn request(&self, patience: Duration) -> Option<Arc<Snapshot>> {
        let slot = self.slot();
        let before = slot.count;
        self.wanted.store(true, Relaxed);
        let waits = |slot: &mut Published| slot.count == before && !slot.ended;
        let waited = self.published.wait_timeout_while(slot, patience, waits);
        let (slot, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (!timeout.timed_out()).then(|| Arc::clone(&slot.latest))
    }

    /// True once for whoever publishes, when somebody asked.
    pub fn take_request(&self) -> bool {
        // A reader looks again under the lock, so that the flag orders nothing.
        self.wanted.load(Relaxed) && self.wanted.swap(false, Relaxed)
    }

    /// Publishes a snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.put(snapshot, false);
    }

    /// Publishes the last snapshot of a run.
    pub fn publish_last(&self, snapshot: Snapshot) {
        self.put(snapshot, true);
    }

    fn put(&self, snapshot: Snapshot, ended: bool) {
        let mut slot = self.slot();
        slot.latest = Arc::new(snapshot);
        slot.count = slot.count.wrapping_add(1);
        slot.ended = ended;
        drop(slot);
        self.published.notify_all();
    }

    fn slot(&self) -> MutexGuard<'_, Published> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn snapshot(seen: u64) -> Snapshot {
        let accounts = vec![Account { seen, ..Account::new(Seam::Packets) }];
        Snapshot { accounts, notes: Vec::new() }
    }

    #[test]
    fn a_reader_gets_what_was_published_after_it_asked() {
        let slot = Arc::new(SnapshotSlot::default());
        slot.publish(snapshot(1));
        assert!(!slot.take_request(), "nobody asked");
        assert!(slot.request(Duration::ZERO).is_none(), "nobody publishes");
        assert!(slot.take_request());
        let reader = thread::spawn({
            let slot = Arc::clone(&slot);
            move || slot.request(Duration::from_secs(60))
        });
        while !slot.take_request() {
            thread::yield_now();
        }
        slot.publish(snapshot(2));
        assert_eq!(*reader.join().unwrap().unwrap(), snapshot(2));
    }

    #[test]
    fn after_the_end_nobody_waits() {
        let slot = SnapshotSlot::default();
        slot.publish_last(snapshot(3));
        assert_eq!(*slot.request(Duration::ZERO).unwrap(), snapshot(3));
        assert_eq!(slot.latest().account(Seam::Packets).unwrap().seen, 3);
    }
}
