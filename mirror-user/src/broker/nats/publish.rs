//! The queue in front of the broker, and what became of everything that was offered to it.
//!
//! The pipeline's thread offers ([`Publisher::offer`]); a thread of its own sends (`engine`). With a live source the
//! offer never waits: when the queue is full, what comes is dropped by the reason why the broker does not take it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;
use tokio::sync::Notify;

use super::connect::Link;
use super::engine::{self, Engine};
use super::numbers::Ends;
use super::stream::StreamOptions;
use crate::broker::clock::now;
use crate::broker::envelope::{NotPublishable, Outgoing};
use crate::privileges::{self, Duty};
use crate::stats::{Account, Note, Seam, Topic};

/// How often a thread that waits for space looks whether it was stopped.
const STOP_CHECK: Duration = Duration::from_millis(20);
/// How long what waits has when the run was stopped.
const STOPPED_DRAIN: Duration = Duration::from_secs(5);

/// Why a request was not published: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotPublished {
    /// Not captured completely.
    Incomplete,
    /// Larger in its body than the limit.
    BodyTooLarge,
    /// Captured without its body, or its body could not be read again.
    BodyNotKept,
    /// Not parseable where it had to be redacted; the rules count why.
    Unredactable,
    /// Longer in its head than an envelope may have.
    HeadTooLarge,
    /// One too many while the broker confirmed more slowly than requests came.
    BrokerSlow,
    /// One too many while the broker was not connected.
    BrokerAway,
    /// One too many while the stream took nothing, because it is full.
    StreamFull,
    /// One too many while the broker refused this user's messages.
    NotAllowed,
    /// Sent, and not confirmed before the end: it may be in the stream, or not.
    Unconfirmed,
}

impl From<NotPublishable> for NotPublished {
    fn from(why: NotPublishable) -> Self {
        match why {
            NotPublishable::Incomplete => Self::Incomplete,
            NotPublishable::BodyTooLarge => Self::BodyTooLarge,
            NotPublishable::BodyNotKept => Self::BodyNotKept,
            NotPublishable::Unredactable => Self::Unredactable,
            NotPublishable::HeadTooLarge => Self::HeadTooLarge,
        }
    }
}

/// What the broker is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Connected = 0,
    Away = 1,
    Full = 2,
    NotAllowed = 3,
}

impl State {
    /// Why what comes now is dropped, if there is no space for it.
    pub(super) fn reason(self) -> NotPublished {
        match self {
            Self::Connected => NotPublished::BrokerSlow,
            Self::Away => NotPublished::BrokerAway,
            Self::Full => NotPublished::StreamFull,
            Self::NotAllowed => NotPublished::NotAllowed,
        }
    }
}

/// How a run publishes.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The name of the run in its envelopes.
    pub run: String,
    /// The host's.
    pub host: String,
    /// What the stream is made with, where it is missing.
    pub stream: StreamOptions,
    /// Publish responses, too.
    pub responses: bool,
    /// True for a live source, which is never waited for.
    pub is_live: bool,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// How long what waits has at the end.
    pub drain: Duration,
}

/// The shared state of both threads.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the engine.
    pub(super) wake: Notify,
    space: Condvar,
    state: AtomicU8,
    pub(super) counts: Counts,
    stop: Arc<AtomicBool>,
    /// The run failed elsewhere: what waits has no time at all.
    abandoned: AtomicBool,
    queue_bytes: usize,
    drain: Duration,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Outgoing>,
    bytes: usize,
    /// Nothing comes any more, since then.
    closed: Option<Instant>,
}

/// What became of requests and responses.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) seen: AtomicU64,
    pub(super) published: AtomicU64,
    dropped: EnumMap<NotPublished, AtomicU64>,
    pub(super) responses: AtomicU64,
    pub(super) responses_dropped: AtomicU64,
    pub(super) messages: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) sent_again: AtomicU64,
    pub(super) reconnected: AtomicU64,
}

impl Counts {
    fn drop(&self, why: NotPublished) {
        self.dropped[why].fetch_add(1, Relaxed);
    }

    /// What waited, or was on its way, is not sent any more.
    pub(super) fn not_sent(&self, ends: Ends, why: NotPublished) {
        match ends {
            Ends::Request => self.drop(why),
            Ends::Response => {
                self.responses_dropped.fetch_add(1, Relaxed);
            }
            Ends::Nothing => {}
        }
    }

    pub(super) fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.dropped.iter().map(|(why, n)| (why.into(), n.load(Relaxed))).collect()
    }

    fn account(&self) -> Account {
        // What is settled is read before what was seen, so that nothing is settled and unseen.
        let (delivered, dropped) = (self.published.load(Relaxed), self.dropped());
        let seen = self.seen.load(Relaxed);
        Account { seen, delivered, dropped, ..Account::new(Seam::Published) }.with_rest_in_flight()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Relaxed);
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Relaxed) {
            0 => State::Connected,
            2 => State::Full,
            3 => State::NotAllowed,
            _ => State::Away,
        }
    }

    /// The next one to be sent.
    pub(super) fn pop(&self) -> Option<Outgoing> {
        let mut queue = self.queue();
        let outgoing = queue.items.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(outgoing.memory());
        drop(queue);
        self.space.notify_one();
        Some(outgoing)
    }

    /// True when nothing waits and nothing will come.
    pub(super) fn is_done(&self) -> bool {
        let queue = self.queue();
        queue.closed.is_some() && queue.items.is_empty()
    }

    /// True when what waits has had its time.
    pub(super) fn is_over(&self) -> bool {
        let drain =
            if self.stop.load(Relaxed) { self.drain.min(STOPPED_DRAIN) } else { self.drain };
        let closed = self.queue().closed;
        self.abandoned.load(Relaxed) || closed.is_some_and(|at| at.elapsed() >= drain)
    }
}

/// Publishes what it is offered.
pub struct Publisher {
    shared: Arc<Shared>,
    is_live: bool,
    engine: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Publisher {
    /// Connects once, so that what is wrong is told at once, and starts the thread that sends.
    ///
    /// # Errors
    /// If the broker cannot be reached or used; the message says what to do.
    pub fn start(
        link: Link,
        options: PublisherOptions,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        engine::probe(&link, &options)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Notify::new(),
            space: Condvar::new(),
            state: AtomicU8::new(State::Away as u8),
            counts: Counts::default(),
            stop,
            abandoned: AtomicBool::new(false),
            queue_bytes: options.queue_bytes,
            drain: options.drain,
        });
        let is_live = options.is_live;
        let engine = Engine::new(link, options, Arc::clone(&shared));
        let engine = std::thread::Builder::new().name("publish".into()).spawn(move || {
            privileges::keep_for(Duty::Nothing)?;
            engine.run()
        });
        let engine = engine.context("publish: no thread could be started")?;
        Ok(Self { shared, is_live, engine: Some(engine) })
    }

    /// Takes a request, or the reason why it is none that can be published.
    pub fn offer(&self, request: Result<Outgoing, NotPublishable>) {
        let counts = &self.shared.counts;
        counts.seen.fetch_add(1, Relaxed);
        let taken = request.map_err(NotPublished::from).and_then(|request| self.push(request));
        if let Err(why) = taken {
            counts.drop(why);
        }
    }

    /// Takes the response to a request that was offered.
    pub fn offer_response(&self, response: Outgoing) {
        if self.push(response).is_err() {
            self.shared.counts.responses_dropped.fetch_add(1, Relaxed);
        }
    }

    fn push(&self, outgoing: Outgoing) -> Result<(), NotPublished> {
        let shared = &self.shared;
        let bytes = outgoing.memory();
        let mut queue = shared.queue();
        // One is taken however large it is.
        let is_full = |queue: &Queue| {
            !queue.items.is_empty() && queue.bytes.saturating_add(bytes) > shared.queue_bytes
        };
        while is_full(&queue) {
            if self.is_live || shared.stop.load(Relaxed) {
                return Err(shared.state().reason());
            }
            let waited = shared.space.wait_timeout(queue, STOP_CHECK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.bytes = queue.bytes.saturating_add(bytes);
        queue.items.push_back(outgoing);
        let first = queue.items.len() == 1;
        drop(queue);
        if first {
            shared.wake.notify_one();
        }
        Ok(())
    }

    /// Sends what waits, or counts why it was not sent.
    ///
    /// # Errors
    /// If the thread that sends could not go on.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.shared.queue().closed.get_or_insert_with(now);
        self.shared.wake.notify_one();
        match self.engine.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(anyhow::anyhow!("publish: the thread panicked")),
        }
    }

    /// What was offered, and what became of it.
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
            ("messages", load(&counts.messages)),
            ("bytes", load(&counts.bytes)),
            ("sent_again", load(&counts.sent_again)),
            ("reconnected", load(&counts.reconnected)),
            ("responses", load(&counts.responses)),
            ("responses_dropped", load(&counts.responses_dropped)),
        ];
        Note::new(Topic::Broker, broker).into_iter().collect()
    }
}

impl Drop for Publisher {
    /// Ends the thread if the run did not.
    fn drop(&mut self) {
        if self.engine.is_some() {
            self.shared.abandoned.store(true, Relaxed);
            let _ = self.finish();
        }
    }
}
