//! Hands configuration changes to the running pipeline. Another thread prepares a change and puts
//! it here. The pipeline takes it between two exchanges, so that each exchange is evaluated by one
//! configuration as a whole.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::Release};

use super::outlet::Outlet;
use crate::filter::Ports;
use crate::rules;
use crate::rules::route::TargetId;
use crate::stats::{Note, Topic};

/// A prepared change.
pub struct Change {
    /// The ports that servers listen on.
    pub server_ports: Ports,
    /// The new rules.
    pub rules: rules::RulesChange,
    /// Removed targets. What they were given is still sent.
    pub retire: Vec<TargetId>,
    /// Running sinks for new targets.
    pub outlets: Vec<Outlet>,
}

/// The queue of changes.
#[derive(Default)]
pub struct Handover {
    waits: AtomicBool,
    next: Mutex<Vec<Change>>,
    reloaded: AtomicU64,
    refused: AtomicU64,
}

impl Handover {
    /// Queues a change and counts it.
    pub fn put(&self, next: Change) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push(next);
        self.waits.store(true, Release);
        self.reloaded.fetch_add(1, Relaxed);
    }

    /// Counts a change that was not valid.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Takes the queued changes, in order. If there are none, this costs one atomic load.
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
