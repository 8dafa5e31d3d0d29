//! Connections to the target: how many there may be, who gets one, and who gives one up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::gate::{Gate, Pass};
use super::upstream::Upstream;
use crate::logging::emit;
use crate::sink::replay::clock::now;
use crate::sink::replay::engine::Engine;
use crate::sink::replay::engine::queue::Queue;
use crate::sink::replay::engine::session::Session;
use crate::sink::replay::outcome::progress::NotDelivered;

/// Which connection a request goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// Each captured connection has one of its own, as its client had.
    #[default]
    Faithful,
    /// All share so many, as behind a proxy: each request takes a free one. The requests of one
    /// captured connection still go one after the other.
    Pooled(usize),
    /// Requests do not wait for one another, whichever captured connection they came over: each is
    /// sent when it is due, over a free one of so many. For captures of a proxy's connections, each
    /// of which carries the requests of many clients.
    Independent(usize),
}

impl Connections {
    /// How many connections there may be at most, where that is part of the policy.
    #[must_use]
    pub fn limit(self) -> Option<usize> {
        match self {
            Self::Faithful => None,
            Self::Pooled(n) | Self::Independent(n) => Some(n),
        }
    }
}

/// `faithful`, `pooled:N` or `independent:N`.
impl FromStr for Connections {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (policy, count) = text.split_once(':').unzip();
        let count = count.and_then(|count: &str| count.parse().ok()).filter(|count| *count > 0);
        match (policy.unwrap_or(text), count) {
            ("faithful", None) if policy.is_none() => Ok(Self::Faithful),
            ("pooled", Some(n)) => Ok(Self::Pooled(n)),
            ("independent", Some(n)) => Ok(Self::Independent(n)),
            _ => Err("`faithful`, or `pooled:N` or `independent:N` with N from 1 on".into()),
        }
    }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faithful => f.write_str("faithful"),
            Self::Pooled(n) => write!(f, "pooled:{n}"),
            Self::Independent(n) => write!(f, "independent:{n}"),
        }
    }
}

/// An open connection. Counts itself as such.
pub(in crate::sink::replay) struct Connection {
    pub(in crate::sink::replay) upstream: Upstream,
    queue: Arc<Queue>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.counters.connections.fetch_sub(1, Relaxed);
    }
}

/// A connection and the right to use it.
pub(in crate::sink::replay) struct Held<'a> {
    pub(in crate::sink::replay) connection: Connection,
    _permit: SemaphorePermit<'a>,
}

/// What the sessions share of connections.
pub(in crate::sink::replay) struct Pool {
    pub(in crate::sink::replay) policy: Connections,
    gate: Gate,
    permits: Semaphore,
    /// How many sessions wait for a connection to be given up.
    waiting: Cell<usize>,
    turn: Cell<usize>,
    /// Sessions that were idle when they were put here, the longest idle first.
    idle: RefCell<VecDeque<Weak<Session>>>,
    /// Open ones that nobody uses, the one used last at the end. A new one is made only when there
    /// is none, so that together with those in use they are never more than there are permits.
    spare: RefCell<Vec<Connection>>,
}

impl Pool {
    /// At most `limit` connections at once.
    pub(in crate::sink::replay) fn new(policy: Connections, limit: usize) -> Self {
        let limit = policy.limit().map_or(limit, |n| n.min(limit));
        Self {
            policy,
            gate: Gate::new(),
            permits: Semaphore::new(limit.min(Semaphore::MAX_PERMITS)),
            waiting: Cell::new(0),
            turn: Cell::new(0),
            idle: RefCell::default(),
            spare: RefCell::default(),
        }
    }

    /// True when a session that would become idle should hang up instead.
    pub(in crate::sink::replay) fn is_wanted(&self) -> bool {
        self.waiting.get() > 0
    }

    /// True when a connection may be had without taking it from a request that is due.
    pub(in crate::sink::replay) fn has_room(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// Gives a connection back that can take another request.
    pub(in crate::sink::replay) fn give_back(&self, held: Held<'_>) {
        self.spare.borrow_mut().push(held.connection);
    }

    pub(in crate::sink::replay) fn list_idle(&self, session: &Rc<Session>) {
        if !session.listed.replace(true) {
            self.idle.borrow_mut().push_back(Rc::downgrade(session));
        }
    }

    /// The right to one connection. When there are none left, the session that has been idle the
    /// longest hangs up for it.
    async fn permit(&self) -> SemaphorePermit<'_> {
        if let Ok(permit) = self.permits.try_acquire() {
            return permit;
        }
        self.evict_idle();
        self.waiting.set(self.waiting.get().saturating_add(1));
        let permit = self.permits.acquire().await;
        self.waiting.set(self.waiting.get().saturating_sub(1));
        permit.expect("the semaphore is never closed")
    }

    /// Those that have been busy since they were listed get their place anew when idle again.
    fn evict_idle(&self) {
        while let Some(session) = self.idle.borrow_mut().pop_front() {
            if let Some(session) = session.upgrade() {
                session.listed.set(false);
                if session.evict() {
                    return;
                }
            }
        }
    }

    /// A spare connection that the target has not closed meanwhile.
    fn take_spare(&self) -> Option<Connection> {
        let mut spare = self.spare.borrow_mut();
        std::iter::from_fn(|| spare.pop()).find(|connection| !connection.upstream.is_over())
    }

    /// Counts connections, so that they are spread over the target's addresses.
    fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }
}

impl Engine {
    /// A connection: a spare one, or a new one as soon as there may be one more.
    pub(in crate::sink::replay) async fn connection(&self) -> Result<Held<'_>, NotDelivered> {
        let permit = self.pool.permit().await;
        if let Some(connection) = self.pool.take_spare() {
            return Ok(Held { connection, _permit: permit });
        }
        self.connect(permit).await
    }

    /// A connection that nothing was sent on yet, as soon as there may be one more.
    pub(in crate::sink::replay) async fn new_connection(&self) -> Result<Held<'_>, NotDelivered> {
        let permit = self.pool.permit().await;
        // It stands in for one of the spare ones, so that they do not become too many.
        drop(self.pool.take_spare());
        self.connect(permit).await
    }

    async fn connect<'a>(&'a self, permit: SemaphorePermit<'a>) -> Result<Held<'a>, NotDelivered> {
        if let Pass::Failed(why) = self.pool.gate.pass().await {
            return Err(why);
        }
        let counters = &self.queue.counters;
        match self.dialer.connect(self.pool.turn(), self.timeouts.connect).await {
            Ok(stream) => {
                self.pool.gate.open();
                counters.connections.fetch_add(1, Relaxed);
                counters.connected.fetch_add(1, Relaxed);
                let (upstream, queue) = (Upstream::new(stream), Arc::clone(&self.queue));
                Ok(Held { connection: Connection { upstream, queue }, _permit: permit })
            }
            Err(why) => {
                self.pool.gate.close(Instant::from_std(now()), why);
                if why == NotDelivered::NoDescriptor {
                    self.lacks_descriptor();
                }
                Err(why)
            }
        }
    }

    /// An idle connection gives up its descriptor for the next attempt. The operator is told once.
    fn lacks_descriptor(&self) {
        self.pool.evict_idle();
        if !self.queue.counters.short_of_descriptors.swap(true, Relaxed) {
            let target = self.authority();
            emit!(
                DescriptorsExhausted,
                target,
                "{target}: no descriptor is left for a connection; requests that find none are counted as \
                 no_descriptor (raise `ulimit -Hn`, or lower --max-connections)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Connections;

    #[test]
    fn policy_is_read_from_its_name() {
        assert_eq!("faithful".parse(), Ok(Connections::Faithful));
        assert_eq!("pooled:8".parse(), Ok(Connections::Pooled(8)));
        assert_eq!("independent:8".parse(), Ok(Connections::Independent(8)));
        for text in [
            "",
            "pooled",
            "pooled:",
            "pooled:0",
            "pooled:-1",
            "8",
            "faithful:",
            "faithful:1",
            "independent",
        ] {
            assert!(text.parse::<Connections>().is_err(), "{text}");
        }
    }
}
