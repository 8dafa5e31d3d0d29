//! Compared pairs in, kept in a file or in memory, and out again to be judged anew by other rules.
//!
//! ```text
//! comparing thread ──pair──► queue ──► a thread with the database ──pairs──► judged anew
//! ```
//!
//! Whoever compares never waits for the disk: a pair beyond `MAX_QUEUED` is not stored, and counted; only recordings that
//! are compared with each other wait. The thread writes what is there in one transaction and bounds what it has
//! written, in bytes and in age ([`Limits`]). When space runs out, the kinds with the most pairs are thinned: a kind is an
//! endpoint and the fields that differ, and of each a uniform sample stays (pairs with the lowest random numbers).
//! How many there were is counted exactly, and by time, so that a stored pair can stand for those of its kind.
//!
//! Refuses what is no store, what a newer version wrote, what another process uses, and what is cut off. Knows pairs
//! that the rules cleared, and nothing else.

mod anew;
mod counts;
mod look;
#[cfg(not(feature = "store"))]
mod none;
mod rows;
#[cfg(feature = "store")]
mod sqlite;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};
use mirror_compare::comparison::Pair;
use mirror_compare::kept;
use mirror_compare::report::Finding;

pub use self::anew::{Anew, Range};
use self::counts::Counts;
pub use self::counts::NotStored;
pub use self::look::FieldName;
#[cfg(not(feature = "store"))]
use self::none::Database;
#[cfg(feature = "store")]
use self::sqlite::Database;
use self::writer::Writer;
use crate::files;
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Note};

/// Pairs that wait to be stored: what comes in some seconds, while a batch is written.
const MAX_QUEUED: usize = 4_096;
/// Bytes that they take together.
const MAX_QUEUED_BYTES: usize = 32 << 20;
/// Bytes of one pair before it is compressed; a larger one is not stored.
const MAX_PAIR_BYTES: usize = 8 << 20;
/// The part of a store that one pair may take, and one batch, about.
const PART_OF_STORE: u64 = 16;
/// Bytes of a store in memory: what a dashboard without a file judges anew.
pub const MEMORY_BYTES: u64 = 32 << 20;
/// Bytes of the smallest store: one pair of the common size takes a sixteenth of it.
pub const MIN_BYTES: u64 = 16 << 20;

/// How much a store holds, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// How long after it was stored a pair is deleted, in whole hours, rounded up.
    pub age: Duration,
}

impl Default for Limits {
    /// A million pairs of common APIs, for a week.
    fn default() -> Self {
        Self { bytes: 1 << 30, age: Duration::from_secs(7 * 24 * 3_600) }
    }
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file that this run adds to.
    File(PathBuf),
    /// A file that is only read.
    ReadOnly(PathBuf),
    /// In memory, until the process ends.
    Memory,
}

impl Place {
    /// As it is named in messages.
    fn name(&self) -> String {
        match self {
            Self::File(path) | Self::ReadOnly(path) => format!("--store {}", path.display()),
            Self::Memory => "the store in memory".to_owned(),
        }
    }
}

/// What is told to those who judge anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RunFacts {
    /// Where findings' curl commands send to.
    pub base_url: String,
    /// Times may be judged against production's.
    pub against_production: bool,
}

/// A store; whoever has a clone of this may add to it, and read.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    name: String,
    folder: Option<PathBuf>,
    orders: Sender<Order>,
    /// Whoever adds waits for space.
    waits: bool,
    state: Mutex<State>,
    counts: Arc<Counts>,
    facts: RunFacts,
    /// Bytes of a pair that it takes.
    longest: usize,
}

/// What the thread is asked to do.
enum Order {
    Store(Offered),
    /// Looks into the database.
    Look(Box<dyn FnOnce(&Database) + Send>),
    /// What comes next is of another run: what it is compared with changed.
    Begin,
    /// All that came before is written, or counted.
    Settle(Sender<()>),
    Close,
}

/// A pair to store.
struct Offered {
    finding: Arc<Finding>,
    bytes: Vec<u8>,
}

enum State {
    /// Pairs wait for the thread.
    New(Box<Database>, Receiver<Order>),
    Running(JoinHandle<anyhow::Result<()>>),
    Ended,
}

impl Store {
    /// Opens it; nothing is written before [`start`](Self::start). `facts` are those of the run that adds to it;
    /// `waits`: whoever adds waits for space, as where recordings are read.
    ///
    /// # Errors
    /// Why it cannot be used: no store, a newer one, in use, damaged, not readable.
    pub fn open(
        place: &Place,
        limits: Limits,
        facts: RunFacts,
        waits: bool,
    ) -> anyhow::Result<Self> {
        let name = place.name();
        let folder = match place {
            Place::File(path) => Some(files::folder_of(path)),
            Place::ReadOnly(_) | Place::Memory => None,
        };
        let database = Database::open(place, limits).with_context(|| name.clone())?;
        let (orders, queue) = bounded(MAX_QUEUED);
        let facts = match place {
            Place::ReadOnly(_) => database.last_run(),
            Place::File(_) | Place::Memory => facts,
        };
        let state = Mutex::new(State::New(Box::new(database), queue));
        let counts = Arc::new(Counts::new(MAX_QUEUED_BYTES));
        let part = usize::try_from(limits.bytes / PART_OF_STORE).unwrap_or(usize::MAX);
        let longest = part.min(MAX_PAIR_BYTES);
        Ok(Self(Arc::new(Inner { name, folder, orders, waits, state, counts, facts, longest })))
    }

    /// Starts its thread. Call it once this thread is confined.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn start(&self) -> anyhow::Result<()> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Ended) {
            State::New(database, queue) => {
                let (counts, facts) = (Arc::clone(&self.0.counts), self.0.facts.clone());
                let writer = Writer::new(*database, queue, counts, facts);
                let thread = thread::Builder::new()
                    .name("store".to_owned())
                    .spawn(move || writer.run())
                    .with_context(|| format!("{}: no thread could be started", self.0.name))?;
                *state = State::Running(thread);
            }
            other => *state = other,
        }
        Ok(())
    }

    /// The folder in which it makes files beside its own.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        self.0.folder.clone()
    }

    /// The facts of the run that adds to it, or of the last one that did.
    #[must_use]
    pub fn facts(&self) -> &RunFacts {
        &self.0.facts
    }

    /// Adds a compared pair, or counts why not.
    pub(super) fn offer(&self, pair: &Pair<'_>, finding: &Arc<Finding>) {
        let counts = &self.0.counts;
        counts.seen();
        let bytes = kept::bytes(pair);
        if bytes.len() > self.0.longest {
            return counts.lose(NotStored::TooLarge);
        }
        let size = bytes.len();
        if !counts.room.take(size, self.0.waits) {
            return counts.lose(NotStored::Shed);
        }
        let order = Order::Store(Offered { finding: Arc::clone(finding), bytes });
        let sent = match self.0.waits {
            true => self.0.orders.send(order).is_ok(),
            false => self.0.orders.try_send(order).is_ok(),
        };
        if !sent {
            counts.room.give_back(size);
            counts.lose(NotStored::Shed);
        }
    }

    /// What is added from now on is of another run: what it is compared with changed. Its thread must have been started.
    pub(super) fn begin_run(&self) {
        // If the thread has ended, its error is told at the end.
        let _ = self.0.orders.send(Order::Begin);
    }

    /// Asks the database, when all that was added before is written.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Database) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let closed = || anyhow!("{}: it is closed", self.0.name);
        let (reply, answer) = bounded(1);
        let look = move |database: &Database| {
            // Who asked may be gone.
            let _ = reply.send(question(database));
        };
        self.0.orders.send(Order::Look(Box::new(look))).map_err(|_| closed())?;
        answer.recv().map_err(|_| closed())?.with_context(|| self.0.name.clone())
    }

    /// Waits until all that was added is written, or counted. Its thread must have been started.
    pub(super) fn settle(&self) {
        let (done, settled) = bounded(1);
        if self.0.orders.send(Order::Settle(done)).is_ok() {
            // The other end is dropped if the thread has ended.
            let _ = settled.recv();
        }
    }

    /// Writes all that was added, and closes the file.
    ///
    /// # Errors
    /// Why not all of it could be written.
    pub fn close(&self) -> anyhow::Result<()> {
        let thread = match std::mem::replace(&mut *self.state(), State::Ended) {
            State::Running(thread) => thread,
            State::New(..) | State::Ended => return Ok(()),
        };
        let _ = self.0.orders.send(Order::Close);
        thread
            .join()
            .unwrap_or_else(|_| Err(anyhow!("its thread ended early")))
            .with_context(|| self.0.name.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands behind the sinks that compare, which settle it: shows what was stored.
pub struct StoreSink(Store);

impl StoreSink {
    /// Starts the store.
    ///
    /// # Errors
    /// As [`Store::start`].
    pub fn start(store: Store) -> anyhow::Result<Self> {
        store.start()?;
        Ok(Self(store))
    }
}

impl Sink for StoreSink {
    /// The pairs come from those who compare.
    fn accept(&mut self, _: &Cleared) -> anyhow::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn account(&self) -> Account {
        self.0.0.counts.account()
    }

    fn notes(&self) -> Vec<Note> {
        self.0.0.counts.note().into_iter().collect()
    }
}
