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
    /// The file as it is now was refused.
    is_invalid: AtomicBool,
}

/// What became of the changes of the file so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Changes that took effect.
    pub reloaded: u64,
    /// Changes that were refused.
    pub refused: u64,
    /// The file as it is now was refused: an earlier one is in effect.
    pub is_invalid: bool,
}

impl Handover {
    /// Queues a change and counts it.
    pub fn put(&self, next: Change) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push(next);
        self.waits.store(true, Release);
        self.valid();
        self.reloaded.fetch_add(1, Relaxed);
    }

    /// Counts a change that was not valid.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
        self.is_invalid.store(true, Relaxed);
    }

    /// The file is what is in effect.
    pub fn valid(&self) {
        self.is_invalid.store(false, Relaxed);
    }

    /// What became of changes so far.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        Reloads {
            reloaded: self.reloaded.load(Relaxed),
            refused: self.refused.load(Relaxed),
            is_invalid: self.is_invalid.load(Relaxed),
        }
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
        let Reloads { reloaded, refused, .. } = self.reloads();
        Note::new(Topic::Configuration, [("reloaded", reloaded), ("refused", refused)])
    }
}
