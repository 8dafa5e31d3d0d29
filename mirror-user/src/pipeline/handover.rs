//! What changes while packets pass. Another thread makes it ready and leaves it here; the pipeline
//! takes it between two exchanges, so that each is judged by what was in force when it was asked,
//! or by what came after, as a whole.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::Release};

use super::outlet::Outlet;
use crate::filter::Ports;
use crate::rules;
use crate::rules::route::TargetId;
use crate::stats::{Note, Topic};

/// A change, ready to take effect.
pub struct Change {
    /// The ports that servers listen on.
    pub server_ports: Ports,
    /// What may leave from now on, and how.
    pub rules: rules::RulesChange,
    /// The targets to which nothing goes any more; what they were given is still sent.
    pub retire: Vec<TargetId>,
    /// Sinks for new targets, running.
    pub outlets: Vec<Outlet>,
}

/// Where a change waits.
#[derive(Default)]
pub struct Handover {
    waits: AtomicBool,
    next: Mutex<Vec<Change>>,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

impl Handover {
    /// Leaves a change, which is counted.
    pub fn put(&self, next: Change) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push(next);
        self.waits.store(true, Release);
        self.reloaded.fetch_add(1, Relaxed);
    }

    /// Counts a change that was not valid.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The changes that wait, in their order: one load of an atomic where none do.
    pub(super) fn take(&self) -> Vec<Change> {
        if !self.waits.load(Relaxed) {
            return Vec::new();
        }
        self.waits.store(false, Relaxed);
        std::mem::take(&mut *self.next.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note(&self) -> Option<Note> {
        let counts = [("reloaded", &self.reloaded), ("refused", &self.refused)];
        Note::new(Topic::Configuration, counts.map(|(name, n)| (name, n.load(Relaxed))))
    }
}
