//! The pool of connections to the target: how many there may be, which request gets one, and which
//! session gives one up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::backoff::{Attempt, ConnectBackoff};
use super::room::Share;
use super::upstream::Upstream;
use crate::logging::emit;
use crate::sink::replay::clock::now;
use crate::sink::replay::engine::Engine;
use crate::sink::replay::engine::queue::Queue;
use crate::sink::replay::engine::session::Session;
use crate::sink::replay::outcome::not_delivered::NotDelivered;

/// Which connection a request is sent over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// Each captured connection has its own upstream connection, as its client had.
    #[default]
    Faithful,
    /// All requests share N connections, as behind a proxy: each request takes a free one. The
    /// requests of one captured connection are still sent one after the other.
    Pooled(usize),
    /// Requests do not wait for one another, even if they were captured on the same connection:
    /// each is sent when it is due, over any free one of N connections. For captures of a proxy's
    /// connections, each of which carries the requests of many clients.
    Independent(usize),
}

impl Connections {
    /// The largest number of connections, if the policy sets one.
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

/// An open connection. It is included in the `connections` counter until it is dropped.
pub(in crate::sink::replay) struct Connection {
    pub(in crate::sink::replay) upstream: Upstream,
    queue: Arc<Queue>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.counters.connections.fetch_sub(1, Relaxed);
    }
}

/// A connection with its permit from the pool.
pub(in crate::sink::replay) struct Held<'a> {
    pub(in crate::sink::replay) connection: Connection,
    _permit: SemaphorePermit<'a>,
}

/// The connections that all sessions share.
pub(in crate::sink::replay) struct Pool {
    pub(in crate::sink::replay) policy: Connections,
    backoff: ConnectBackoff,
    permits: Semaphore,
    /// How many requests wait for a permit.
    waiting: Cell<usize>,
    turn: Cell<usize>,
    /// Sessions that were idle when they were added, the longest idle first.
    idle: RefCell<VecDeque<Weak<Session>>>,
    /// Open connections that are not in use; the most recently used is last. A new connection is
    /// made only if this is empty, so that spare and used connections together never exceed the
    /// number of permits.
    spare: RefCell<Vec<Connection>>,
}

impl Pool {
    /// A pool of at most `limit` connections.
    pub(in crate::sink::replay) fn new(policy: Connections, limit: usize) -> Self {
        let limit = policy.limit().map_or(limit, |n| n.min(limit));
        Self {
            policy,
            backoff: ConnectBackoff::new(),
            permits: Semaphore::new(limit.min(Semaphore::MAX_PERMITS)),
            waiting: Cell::new(0),
            turn: Cell::new(0),
            idle: RefCell::default(),
            spare: RefCell::default(),
        }
    }

    /// True if a session should close its connection instead of keeping it idle.
    pub(in crate::sink::replay) fn is_wanted(&self) -> bool {
        self.waiting.get() > 0
    }

    /// True if a permit is free, so that taking one does not delay a request that is due.
    pub(in crate::sink::replay) fn has_room(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// Returns a connection that can take another request.
    pub(in crate::sink::replay) fn give_back(&self, held: Held<'_>) {
        self.spare.borrow_mut().push(held.connection);
    }

    pub(in crate::sink::replay) fn list_idle(&self, session: &Rc<Session>) {
        if !session.listed.replace(true) {
            self.idle.borrow_mut().push_back(Rc::downgrade(session));
        }
    }

    /// Waits for a permit for one connection. If none is left, the session that has been idle
    /// longest closes its connection.
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

    /// Skips sessions that have been busy since they were listed: they are listed again when they
    /// are idle.
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

    /// Takes a spare connection that the target has not closed in the meantime.
    fn take_spare(&self) -> Option<Connection> {
        let mut spare = self.spare.borrow_mut();
        std::iter::from_fn(|| spare.pop()).find(|connection| !connection.upstream.has_ended())
    }

    /// Returns the next number in a sequence, which spreads connections over the target's
    /// addresses.
    fn turn(&self) -> usize {
        self.turn.replace(self.turn.get().wrapping_add(1))
    }
}

impl Engine {
    /// Gets a spare connection, or makes a new one as soon as the limit allows.
    pub(in crate::sink::replay) async fn connection(&self) -> Result<Held<'_>, NotDelivered> {
        let permit = self.pool.permit().await;
        if let Some(connection) = self.pool.take_spare() {
            return Ok(Held { connection, _permit: permit });
        }
        self.connect(permit).await
    }

    /// Makes a connection that has not been used before, as soon as the limit allows.
    pub(in crate::sink::replay) async fn new_connection(&self) -> Result<Held<'_>, NotDelivered> {
        let permit = self.pool.permit().await;
        // Replaces a spare connection, so that the total stays within the limit.
        drop(self.pool.take_spare());
        self.connect(permit).await
    }

    async fn connect<'a>(&'a self, permit: SemaphorePermit<'a>) -> Result<Held<'a>, NotDelivered> {
        if let Attempt::Failed(why) = self.pool.backoff.attempt().await {
            return Err(why);
        }
        let counters = &self.queue.counters;
        match self.dialer.connect(self.pool.turn(), self.timeouts.connect).await {
            Ok(stream) => {
                self.pool.backoff.succeeded();
                counters.connections.fetch_add(1, Relaxed);
                counters.connected.fetch_add(1, Relaxed);
                let share = self.room.clone().map(Share::new);
                let (upstream, queue) = (Upstream::new(stream, share), Arc::clone(&self.queue));
                Ok(Held { connection: Connection { upstream, queue }, _permit: permit })
            }
            Err(why) => {
                self.pool.backoff.failed(Instant::from_std(now()), why);
                if why == NotDelivered::NoDescriptor {
                    self.lacks_descriptor();
                }
                Err(why)
            }
        }
    }

    /// Closes an idle connection, which frees its descriptor for the next attempt, and warns the
    /// operator once.
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
