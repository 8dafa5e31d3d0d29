//! Where production's exchanges meet what the targets made of their shadows.
//!
//! In come cleared exchanges and outcomes, in any order; out go exchanges of which all sides are known. Nobody waits here:
//! what does not fit is dropped and counted. Whoever waits longest for the other sides goes when [`MAX_WAITING`] are
//! waiting, or when they take [`MAX_WAITING_BYTES`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use enum_map::EnumMap;
use hashbrown::HashMap;
use mirror_compare::pair::Failure;

use super::NotCompared;
use super::message::{memory, memory_of};
use crate::http::message::ExchangeId;
use crate::rules::Cleared;
use crate::sink::replay::{
    Attribution, NotDelivered, OutcomeObserver, ShadowOutcome, ShadowResponse,
};

/// Exchanges of which not all sides are known yet: what a busy host has in flight.
const MAX_WAITING: usize = 10_000;
/// Bytes of their heads and bodies, about.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Complete pairs that wait to be compared.
const MAX_QUEUED: usize = 1_000;
/// Bytes of their heads and bodies, about.
const MAX_QUEUED_BYTES: usize = 32 << 20;

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
    again: Told,
    bytes: usize,
}

/// An exchange of which all is known.
pub(super) struct Complete {
    pub(super) production: Cleared,
    pub(super) candidate: Told,
    pub(super) control: Told,
    /// What the candidate did when it was asked again.
    pub(super) again: Told,
    bytes: usize,
}

/// Where the sides of exchanges meet.
pub struct Meeting {
    table: Mutex<Table>,
    has_control: bool,
    queue: Mutex<Option<Sender<Complete>>>,
    queued_bytes: AtomicUsize,
    /// Replays whose outcomes still come.
    sides: Mutex<usize>,
    side_ended: Condvar,
    pub(super) counts: Counts,
}

#[derive(Default)]
struct Table {
    exchanges: HashMap<ExchangeId, Waiting>,
    order: VecDeque<ExchangeId>,
    bytes: usize,
}

/// What became of exchanges.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) seen: AtomicU64,
    pub(super) compared: AtomicU64,
    pub(super) dropped: EnumMap<NotCompared, AtomicU64>,
}

impl Counts {
    pub(super) fn count(&self, why: NotCompared) {
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
        Arc::new(Self {
            table: Mutex::default(),
            has_control,
            queue: Mutex::default(),
            queued_bytes: AtomicUsize::new(0),
            sides: Mutex::default(),
            side_ended: Condvar::new(),
            counts: Counts::default(),
        })
    }

    /// What takes the outcomes of one target, whose replay says when it has ended.
    #[must_use]
    pub fn observer(self: &Arc<Self>, role: Role) -> Arc<dyn OutcomeObserver> {
        *self.sides.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Arc::new(Side { meeting: Arc::clone(self), role, ended: Mutex::new(false) })
    }

    /// Where complete exchanges come out.
    pub(super) fn queue(&self) -> Receiver<Complete> {
        let (sender, receiver) = bounded(MAX_QUEUED);
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// A complete exchange left the queue.
    pub(super) fn taken(&self, complete: &Complete) {
        self.queued_bytes.fetch_sub(complete.bytes, Relaxed);
    }

    /// Production's side of an exchange.
    pub(super) fn production(&self, cleared: &Cleared) {
        let bytes = memory(cleared.exchange());
        self.add(cleared.exchange().id, bytes, |waiting| {
            waiting.production = Some(cleared.clone());
        });
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what became known of an exchange, which takes so many bytes.
    fn add(&self, id: ExchangeId, bytes: usize, add: impl FnOnce(&mut Waiting)) {
        let mut table = self.table();
        if !table.exchanges.contains_key(&id) {
            if table.exchanges.len() >= MAX_WAITING {
                self.displace(&mut table, NotCompared::NotMatched);
            }
            table.order.push_back(id);
        }
        let waiting = table.exchanges.entry(id).or_default();
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        add(waiting);
        let is_complete = waiting.production.is_some()
            && waiting.candidate.is_some()
            && (waiting.control.is_some() || !self.has_control);
        table.bytes = table.bytes.saturating_add(bytes);
        let complete = if is_complete { table.remove(id) } else { None };
        while table.bytes > MAX_WAITING_BYTES && self.displace(&mut table, NotCompared::NoRoom) {}
        drop(table);
        let Some(Waiting { production: Some(production), candidate, control, again, bytes }) =
            complete
        else {
            return;
        };
        let (candidate, control) = (candidate.flatten(), control.flatten());
        self.offer(Complete { production, candidate, control, again, bytes });
    }

    /// Makes room: the one that waits longest goes. False if there is none.
    fn displace(&self, table: &mut Table, why: NotCompared) -> bool {
        while let Some(id) = table.order.pop_front() {
            if let Some(gone) = table.remove(id) {
                if gone.production.is_some() {
                    self.counts.count(why);
                }
                return true;
            }
        }
        false
    }

    fn offer(&self, complete: Complete) {
        if complete.candidate.is_none() {
            return self.counts.count(NotCompared::NotSent);
        }
        let bytes = complete.bytes;
        let queued = self.queued_bytes.fetch_add(bytes, Relaxed);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = queued.saturating_add(bytes) <= MAX_QUEUED_BYTES;
        if !has_room || queue.as_ref().is_none_or(|queue| queue.try_send(complete).is_err()) {
            self.queued_bytes.fetch_sub(bytes, Relaxed);
            self.counts.count(NotCompared::Shed);
        }
    }

    fn end_side(&self) {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        *sides = sides.saturating_sub(1);
        self.side_ended.notify_all();
    }

    /// Waits until the replays have ended. Then nothing more comes: what still waits is dropped, and the queue ends.
    pub(super) fn end(&self) {
        let sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = self.side_ended.wait_while(sides, |sides| *sides > 0);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
        let mut table = self.table();
        while self.displace(&mut table, NotCompared::NotMatched) {}
        drop(table);
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Table {
    fn remove(&mut self, id: ExchangeId) -> Option<Waiting> {
        let waiting = self.exchanges.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(waiting.bytes);
        // Those that were completed stay in the order, as long as they are not many.
        if self.order.len() > 2 * MAX_WAITING {
            self.order.retain(|id| self.exchanges.contains_key(id));
        }
        Some(waiting)
    }
}

/// One target's outcomes.
#[derive(Debug)]
struct Side {
    meeting: Arc<Meeting>,
    role: Role,
    ended: Mutex<bool>,
}

impl OutcomeObserver for Side {
    fn observe(&self, outcome: ShadowOutcome) {
        let ShadowOutcome { exchange, copy, result, again } = outcome;
        // Further copies are load, and answer to nothing of production's.
        if copy > 0 {
            return;
        }
        let (told, again) = (told(result), again.and_then(told));
        let message = |told: &Told| match told {
            Some(Ok(ShadowResponse { message: Some(message), .. })) => memory_of(message),
            _ => 0,
        };
        let bytes = message(&told).saturating_add(message(&again));
        self.meeting.add(exchange, bytes, |waiting| match self.role {
            Role::Candidate => (waiting.candidate, waiting.again) = (Some(told), again),
            Role::Control => waiting.control = Some(told),
        });
    }

    fn ended(&self) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *ended, true) {
            self.meeting.end_side();
        }
    }
}

/// What a target did; `None` if it was not asked.
fn told(result: Result<ShadowResponse, NotDelivered>) -> Told {
    let why = match result {
        Ok(response) => return Some(Ok(response)),
        Err(why) => why,
    };
    let failure = match why {
        NotDelivered::ResponseTimeout => Failure::Timeout,
        NotDelivered::Reset => Failure::Reset,
        NotDelivered::Closed => Failure::Closed,
        NotDelivered::InvalidResponse => Failure::NotHttp,
        NotDelivered::BreakerOpen => return None,
        why if why.attribution() == Attribution::Target => Failure::NotConnected,
        _ => return None,
    };
    Some(Err(failure))
}
