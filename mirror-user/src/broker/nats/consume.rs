//! What is taken from a stream and not settled yet, between the thread that takes it and the pipeline.
//!
//! A thread of its own takes messages (`intake`); the front takes them from here ([`Consumer::next`]) and says what
//! became of each ([`Settler::settle`]), whichever thread learns it. What waits and what is not settled is bounded by
//! its memory: beyond, nothing is taken from the broker, which keeps it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::connect::Link;
use super::held::{Receipt, Shared, Taken};
use super::intake;
use super::ledger::Outcome;
use crate::broker::clock::now;
use crate::privileges::{self, Duty};
use crate::stats::{Account, Note, Topic};

/// How long messages that were handed on have to be settled at the end.
const DRAIN: Duration = Duration::from_secs(8);

/// Where taking begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Shared by all that belong to this group: each message is taken by one of them, and the group goes on where it
    /// was. A new group begins with the first message that the stream holds.
    Group(String),
    /// This process alone, from one message of the stream to another; nobody else notices.
    Range {
        /// The first one.
        from: u64,
        /// The last one; `None`: the last that is there at the start.
        to: Option<u64>,
    },
}

/// How a stream is read.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Where to begin.
    pub start: Start,
    /// The name of this member, different from that of every other.
    pub member: String,
}

/// Says what became of messages.
#[derive(Clone)]
pub struct Settler(Arc<Shared>);

impl Settler {
    /// The message is settled: it will not be handed on again, but for a crash before others know.
    pub fn settle(&self, receipt: Receipt, outcome: Outcome) {
        let shared = &self.0;
        let mut held = shared.held();
        let owned = held.shards.get_mut(&receipt.shard);
        let Some(owned) = owned.filter(|owned| owned.term == receipt.term) else { return };
        let weight = owned.ledger.settle(receipt.sequence, outcome);
        drop(held);
        shared.room.add_permits(weight as usize);
        shared.settled.notify_one();
    }
}

impl std::fmt::Debug for Settler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settler")
    }
}

/// Takes what a stream holds.
pub struct Consumer {
    shared: Arc<Shared>,
    intake: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Connects once, so that what is wrong is told at once, and starts the thread that takes.
    ///
    /// # Errors
    /// If the broker cannot be reached or used; the message says what to do.
    pub fn start(link: Link, options: ConsumerOptions) -> anyhow::Result<Self> {
        intake::probe(&link, &options)?;
        let shared = Arc::new(Shared::new());
        let thread = std::thread::Builder::new().name("subscribe".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                if privileges::keep_for(Duty::Nothing).is_ok() {
                    intake::run(&link, &options, &shared);
                }
                shared.end();
            }
        });
        let intake = Some(thread.context("subscribe: no thread could be started")?);
        Ok(Self { shared, intake })
    }

    /// By which others say what became of messages.
    #[must_use]
    pub fn settler(&self) -> Settler {
        Settler(Arc::clone(&self.shared))
    }

    /// The next message, or nothing within `wait`.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Option<Taken> {
        let until = now() + wait;
        let mut held = self.shared.held();
        loop {
            if !held.is_unheard()
                && let Some(taken) = held.inbox.pop_front()
            {
                self.shared.counts.taken.fetch_add(1, Relaxed);
                self.shared.counts.handed_on.fetch_add(1, Relaxed);
                return Some(taken);
            }
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.arrived.wait_timeout(held, left);
            held = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// True when nothing will come any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Relaxed) && self.shared.held().inbox.is_empty()
    }

    /// Takes nothing more. What was taken and not handed on stays in the stream.
    pub fn stop(&self) {
        self.shared.stop.store(true, Relaxed);
        self.shared.settled.notify_one();
    }

    /// What was taken, and what became of it.
    #[must_use]
    pub fn account(&self) -> Account {
        self.shared.counts.account()
    }

    /// Counts that explain the account.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let counts = &self.shared.counts;
        let load = |count: &AtomicU64| count.load(Relaxed);
        let broker = [
            ("redelivered", load(&counts.redelivered)),
            ("shards_gained", load(&counts.shards_gained)),
            ("shards_lost", load(&counts.shards_lost)),
            ("shards_released", load(&counts.shards_released)),
            ("reconnected", load(&counts.reconnected)),
        ];
        Note::new(Topic::Broker, broker).into_iter().collect()
    }

    /// How long those that were handed on have to be settled at the end.
    pub(super) const fn drain() -> Duration {
        DRAIN
    }
}

impl Drop for Consumer {
    /// Gives the shards back, with what is settled.
    fn drop(&mut self) {
        self.stop();
        if let Some(intake) = self.intake.take() {
            let _ = intake.join();
        }
    }
}
