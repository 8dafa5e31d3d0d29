//! What other threads can read of a live source: whether it is attached, and how full its ring is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mirror_common::PacketRecord;

use super::pods::PodFigures;

/// What an entry of the ring takes beside its packet: the ring's own header (8 bytes) and the record.
const ENTRY_HEADER_BYTES: u64 = 8 + size_of::<PacketRecord>() as u64;

/// The state of a live source. A cheap handle, which the source writes and others read.
#[derive(Clone, Debug)]
pub struct Health(Arc<State>);

#[derive(Debug)]
struct State {
    hook: &'static str,
    ring_bytes: u64,
    attached: AtomicUsize,
    waiting_bytes: AtomicU64,
    lost: Mutex<Vec<String>>,
    pods: Mutex<Option<PodFigures>>,
}

impl Health {
    /// Nothing is attached yet.
    pub(super) fn new(hook: &'static str, ring_bytes: u64) -> Self {
        Self(Arc::new(State {
            hook,
            ring_bytes,
            attached: AtomicUsize::new(0),
            waiting_bytes: AtomicU64::new(0),
            lost: Mutex::default(),
            pods: Mutex::default(),
        }))
    }

    /// By which of the kernel's hooks it is attached: TCX, clsact, XDP or cgroup.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        self.0.hook
    }

    /// How many interfaces and cgroups it is attached to.
    #[must_use]
    pub fn attached(&self) -> usize {
        self.0.attached.load(Relaxed)
    }

    /// The names of what is wanted, is there, and cannot be captured.
    #[must_use]
    pub fn lost(&self) -> Vec<String> {
        self.lost_names().clone()
    }

    /// The size of the ring in bytes.
    #[must_use]
    pub fn ring_bytes(&self) -> u64 {
        self.0.ring_bytes
    }

    /// How many bytes waited in the ring when the counters were last read.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.0.waiting_bytes.load(Relaxed)
    }

    pub(super) fn set_attached<'a>(
        &self,
        attached: usize,
        lost: impl ExactSizeIterator<Item = &'a String> + Clone,
    ) {
        self.0.attached.store(attached, Relaxed);
        let mut known = self.lost_names();
        // Looked at each time that the ring was empty, and nearly never another.
        if known.len() != lost.len() || lost.clone().any(|name| !known.contains(name)) {
            *known = lost.cloned().collect();
            known.sort();
        }
    }

    /// So many packets wait in the ring, of so many bytes together.
    pub(super) fn set_waiting(&self, packets: u64, bytes: u64) {
        let headers = packets.saturating_mul(ENTRY_HEADER_BYTES);
        let waiting = bytes.saturating_add(headers).min(self.0.ring_bytes);
        self.0.waiting_bytes.store(waiting, Relaxed);
    }

    /// The state of the pods when the counters were last read, if pods are captured.
    #[must_use]
    pub fn pods(&self) -> Option<PodFigures> {
        self.0.pods.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_pods(&self, pods: PodFigures) {
        *self.0.pods.lock().unwrap_or_else(PoisonError::into_inner) = Some(pods);
    }

    fn lost_names(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_named_until_it_is_found() {
        let health = Health::new("TCX", 1024);
        let names = ["eth1".to_owned(), "eth0".to_owned()];
        health.set_attached(1, names.iter());
        assert_eq!((health.attached(), health.lost()), (1, vec!["eth0".into(), "eth1".into()]));
        let others = ["eth2".to_owned(), "eth0".to_owned()];
        health.set_attached(1, others.iter());
        assert_eq!(health.lost(), ["eth0", "eth2"]);
        health.set_attached(3, [].iter());
        assert!(health.lost().is_empty());
        health.set_waiting(2, 100);
        assert_eq!(health.waiting_bytes(), 100 + 2 * ENTRY_HEADER_BYTES);
        health.set_waiting(0, 2048);
        assert_eq!(health.waiting_bytes(), 1024, "a ring holds no more than its size");
    }
}
