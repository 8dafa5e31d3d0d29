//! Rules that change while requests pass. Another thread leaves them here; whoever clears requests
//! takes them between two requests, so that each request is judged by the old rules or by the new
//! ones as a whole. An exchange that is under way then may be judged by the old ones when it was
//! asked and by the new ones at its end; sinks that replay look at the first moment alone.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::Release};

use super::route::Routes;
use crate::summary::Note;

/// Where new rules wait for the next request.
#[derive(Debug, Default)]
pub struct Handover {
    waits: AtomicBool,
    next: Mutex<Option<Routes>>,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

impl Handover {
    /// Leaves rules for the next request.
    pub fn put(&self, next: Routes) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        self.waits.store(true, Release);
        self.reloaded.fetch_add(1, Relaxed);
    }

    /// Counts rules that were not valid.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The rules that wait, if any do: one load of an atomic where none do.
    pub(super) fn take(&self) -> Option<Routes> {
        if !self.waits.load(Relaxed) {
            return None;
        }
        self.waits.store(false, Relaxed);
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn note(&self) -> Option<Note> {
        let counts = [("reloaded", &self.reloaded), ("refused", &self.refused)];
        Note::new("configuration", counts.map(|(name, n)| (name, n.load(Relaxed))))
    }
}
