//! Production's exchanges and the target's responses to their shadows, put together while both come.
//!
//! ```text
//! pipeline ──Cleared──► LiveSink ──┐
//!                                  ├─► Meeting ──complete──► queue ──► a thread that redacts and compares
//! replay ──ShadowOutcome─► Side ───┘
//! ```
//!
//! Neither the pipeline nor a replay waits: what does not fit is dropped and counted, comparisons first. Whoever waits
//! longest for the other sides goes when [`MAX_WAITING`] are waiting.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use enum_map::EnumMap;
use hashbrown::HashMap;
use mirror_compare::pair::Failure;
use strum::IntoEnumIterator;

use super::message::Pair;
use super::{NotCompared, Shared, unfit};
use crate::http::message::{ExchangeId, Moment};
use crate::rules::Cleared;
use crate::rules::pair::ClearedPair;
use crate::rules::redact::Redactor;
use crate::sink::Sink;
use crate::sink::replay::{
    Attribution, NotDelivered, OutcomeObserver, ShadowOutcome, ShadowResponse,
};
use crate::stats::{Account, Seam};

/// Exchanges of which not all sides are known yet: what a busy host has in flight.
const MAX_WAITING: usize = 10_000;
/// Complete pairs that wait to be compared.
const MAX_QUEUED: usize = 1_000;

/// A target that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The version under test.
    Candidate,
    /// A second instance of production's version.
    Control,
}

/// What a target did; `None`: it was not asked.
pub(super) type Told = Option<Result<ShadowResponse, Failure>>;

/// What is known of one exchange.
#[derive(Default)]
struct Waiting {
    production: Option<Cleared>,
    candidate: Option<Told>,
    control: Option<Told>,
}

/// An exchange of which all is known.
struct Complete {
    production: Cleared,
    candidate: Told,
    control: Told,
}

/// Where the sides of exchanges meet.
pub struct Meeting {
    waiting: Mutex<Table>,
    has_control: bool,
    queue: Mutex<Option<Sender<Complete>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Table {
    exchanges: HashMap<ExchangeId, Waiting>,
    order: VecDeque<ExchangeId>,
}

#[derive(Default)]
struct Counts {
    seen: AtomicU64,
    compared: AtomicU64,
    dropped: EnumMap<NotCompared, AtomicU64>,
}

impl Counts {
    fn count(&self, why: NotCompared) {
        self.dropped[why].fetch_add(1, Relaxed);
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").field("has_control", &self.has_control).finish_non_exhaustive()
    }
}

impl Meeting {
    /// Where production meets a candidate and perhaps a control.
    #[must_use]
    pub fn new(has_control: bool) -> Arc<Self> {
        let (waiting, queue, counts) = (Mutex::default(), Mutex::default(), Arc::default());
        Arc::new(Self { waiting, has_control, queue, counts })
    }

    /// What takes the outcomes of one target.
    #[must_use]
    pub fn observer(self: &Arc<Self>, role: Role) -> Arc<dyn OutcomeObserver> {
        Arc::new(Side { meeting: Arc::clone(self), role })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what became known of an exchange.
    fn add(&self, id: ExchangeId, add: impl FnOnce(&mut Waiting)) {
        let mut table = self.table();
        if !table.exchanges.contains_key(&id) {
            if table.exchanges.len() >= MAX_WAITING {
                self.displace(&mut table);
            }
            table.order.push_back(id);
        }
        let waiting = table.exchanges.entry(id).or_default();
        add(waiting);
        let is_complete = waiting.production.is_some()
            && waiting.candidate.is_some()
            && (waiting.control.is_some() || !self.has_control);
        let complete = if is_complete { table.exchanges.remove(&id) } else { None };
        drop(table);
        if let Some(Waiting { production: Some(production), candidate, control }) = complete {
            self.offer(Complete {
                production,
                candidate: candidate.flatten(),
                control: control.flatten(),
            });
        }
    }

    /// Makes room: the one that waits longest goes.
    fn displace(&self, table: &mut Table) {
        while let Some(id) = table.order.pop_front() {
            if let Some(gone) = table.exchanges.remove(&id) {
                if gone.production.is_some() {
                    self.counts.count(NotCompared::NotMatched);
                }
                return;
            }
        }
    }

    fn offer(&self, complete: Complete) {
        if complete.candidate.is_none() {
            return self.counts.count(NotCompared::NotSent);
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.as_ref().is_none_or(|queue| queue.try_send(complete).is_err()) {
            self.counts.count(NotCompared::Shed);
        }
    }

    /// Nothing more comes: what still waits is dropped, and the queue ends.
    fn end(&self) {
        let mut table = self.table();
        for (_, waiting) in table.exchanges.drain() {
            if waiting.production.is_some() {
                self.counts.count(NotCompared::NotMatched);
            }
        }
        table.order.clear();
        drop(table);
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// One target's outcomes.
#[derive(Debug)]
struct Side {
    meeting: Arc<Meeting>,
    role: Role,
}

impl OutcomeObserver for Side {
    fn observe(&self, outcome: ShadowOutcome) {
        let ShadowOutcome { exchange, copy, result } = outcome;
        // Further copies are load, and answer to nothing of production's.
        if copy > 0 {
            return;
        }
        let told = match result {
            Ok(response) => Some(Ok(response)),
            Err(why) => failure(why).map(Err),
        };
        self.meeting.add(exchange, |waiting| match self.role {
            Role::Candidate => waiting.candidate = Some(told),
            Role::Control => waiting.control = Some(told),
        });
    }
}

/// What a target did wrong; `None` if it was not asked.
fn failure(why: NotDelivered) -> Option<Failure> {
    match why {
        NotDelivered::ResponseTimeout => Some(Failure::Timeout),
        NotDelivered::Reset => Some(Failure::Reset),
        NotDelivered::Closed => Some(Failure::Closed),
        NotDelivered::InvalidResponse => Some(Failure::NotHttp),
        NotDelivered::BreakerOpen => None,
        why => (why.attribution() == Attribution::Target).then_some(Failure::NotConnected),
    }
}

/// Takes production's exchanges.
pub struct LiveSink {
    meeting: Arc<Meeting>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// What compares complete pairs.
pub struct Judge {
    /// What it adds to.
    pub comparison: Shared,
    /// What redacts all sides of a pair; `None`: nothing does.
    pub redactor: Option<Arc<Redactor>>,
    /// Where pairs that differ are written, one JSON object per line.
    pub findings: Option<Box<dyn Write + Send>>,
}

impl LiveSink {
    /// Starts the thread that compares.
    ///
    /// # Errors
    /// If there is none to be had.
    pub fn start(meeting: Arc<Meeting>, judge: Judge) -> anyhow::Result<Self> {
        let (sender, receiver) = bounded(MAX_QUEUED);
        *meeting.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        let counts = Arc::clone(&meeting.counts);
        let thread = thread::Builder::new()
            .name("compare".to_owned())
            .spawn(move || judge.run(&receiver, &counts))
            .context("compare: no thread could be started")?;
        Ok(Self { meeting, thread: Some(thread) })
    }
}

impl Judge {
    fn run(mut self, queue: &Receiver<Complete>, counts: &Counts) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for Complete { production, candidate, control } in queue {
            let message = |told: &Told| match told {
                Some(Ok(response)) => response.message.clone(),
                _ => None,
            };
            let (left, right) = (message(&candidate), message(&control));
            let redactor = self.redactor.clone();
            let pair = ClearedPair::answered(&production, left, right, redactor);
            let Some(pair) = Pair::of_live(&pair, candidate.as_ref(), control.as_ref()) else {
                counts.count(NotCompared::Incomplete);
                continue;
            };
            let finding = pair.compare(&self.comparison);
            counts.compared.fetch_add(1, Relaxed);
            if outcome.is_ok() {
                outcome = super::write(&mut self.findings, &finding);
            }
        }
        outcome.and_then(|()| super::flush(&mut self.findings))
    }
}

impl Sink for LiveSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        let meeting = &self.meeting;
        meeting.counts.seen.fetch_add(1, Relaxed);
        let whole = exchange.response.as_deref().is_some_and(|one| one.incomplete.is_none());
        match unfit(exchange) {
            Some(why) => meeting.counts.count(why),
            None if !whole => meeting.counts.count(NotCompared::Incomplete),
            None => meeting.add(exchange.id, |waiting| waiting.production = Some(cleared.clone())),
        }
        Ok(())
    }

    /// Called after the replays have finished: all outcomes are known.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.meeting.end();
        let ended = self.thread.take().map(JoinHandle::join);
        ended.map_or(Ok(()), |ended| {
            ended.unwrap_or_else(|_| anyhow::bail!("compare: its thread ended early"))
        })
    }

    fn account(&self) -> Account {
        let counts = &self.meeting.counts;
        // What is settled is read before what came in.
        let dropped = NotCompared::iter()
            .map(|why| (why.into(), counts.dropped[why].load(Relaxed)))
            .collect();
        let delivered = counts.compared.load(Relaxed);
        let seen = counts.seen.load(Relaxed);
        Account { seen, delivered, dropped, ..Account::new(Seam::Exchanges) }.with_rest_in_flight()
    }
}
