//! The counters of a running pipeline, for other threads.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

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
}

#[derive(Default)]
struct Published {
    latest: Arc<Snapshot>,
    /// How many were published so far.
    count: u64,
    /// None will come any more.
    ended: bool,
    /// Those that wait for the next one, by the number of their request.
    waiting: Vec<(u64, Waker)>,
    requests: u64,
}

impl SnapshotSlot {
    /// The last snapshot that was published: of the start of the run, of when it was last asked
    /// for, or of the end. Empty before the run has begun.
    #[must_use]
    pub fn latest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.slot().latest)
    }

    /// Asks for a snapshot, and waits for it; after the end of the run, that is the last one. It does
    /// not come while the pipeline waits for a target that is slower than a capture file, or is
    /// stuck: whoever asks bounds the wait, and may drop it at any time.
    pub async fn request(&self) -> Arc<Snapshot> {
        let request = {
            let mut slot = self.slot();
            self.wanted.store(true, Relaxed);
            slot.requests = slot.requests.wrapping_add(1);
            Request { slot: self, number: slot.requests, before: slot.count }
        };
        poll_fn(|context| request.poll(context)).await
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
        let waiting = std::mem::take(&mut slot.waiting);
        drop(slot);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn slot(&self) -> MutexGuard<'_, Published> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for the next snapshot.
struct Request<'a> {
    slot: &'a SnapshotSlot,
    number: u64,
    /// How many had been published when it was made.
    before: u64,
}

impl Request<'_> {
    fn poll(&self, context: &Context<'_>) -> Poll<Arc<Snapshot>> {
        let mut slot = self.slot.slot();
        if slot.count != self.before || slot.ended {
            return Poll::Ready(Arc::clone(&slot.latest));
        }
        slot.waiting.retain(|(number, _)| *number != self.number);
        slot.waiting.push((self.number, context.waker().clone()));
        Poll::Pending
    }
}

/// One that is given up leaves nothing behind, so that those who ask a stuck pipeline again and again
/// take no more memory than one.
impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.slot.slot().waiting.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn snapshot(seen: u64) -> Snapshot {
        let accounts = vec![Account { seen, ..Account::new(Seam::Packets) }];
        Snapshot { accounts, notes: Vec::new() }
    }

    #[test]
    fn a_reader_gets_what_was_published_after_it_asked() {
        let slot = SnapshotSlot::default();
        let mut context = Context::from_waker(Waker::noop());
        slot.publish(snapshot(1));
        assert!(!slot.take_request(), "nobody asked");
        let mut asked = pin!(slot.request());
        assert!(asked.as_mut().poll(&mut context).is_pending(), "nobody publishes");
        assert!(slot.take_request() && !slot.take_request());
        slot.publish(snapshot(2));
        let Poll::Ready(got) = asked.as_mut().poll(&mut context) else {
            panic!("it was published")
        };
        assert_eq!(*got, snapshot(2));
    }

    #[test]
    fn those_who_gave_up_are_forgotten() {
        let slot = SnapshotSlot::default();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut asked = pin!(slot.request());
            assert!(asked.as_mut().poll(&mut context).is_pending());
            assert!(asked.as_mut().poll(&mut context).is_pending());
            assert_eq!(slot.slot().waiting.len(), 1);
        }
        assert_eq!(slot.slot().waiting.len(), 0);
    }

    #[test]
    fn after_the_end_nobody_waits() {
        let slot = SnapshotSlot::default();
        slot.publish_last(snapshot(3));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(last) = pin!(slot.request()).poll(&mut context) else { panic!("it ended") };
        assert_eq!(*last, snapshot(3));
        assert_eq!(slot.latest().account(Seam::Packets).unwrap().seen, 3);
    }
}
