//! Cleared requests in, the same requests at the target.
//!
//! The requests of one captured connection go in their order over one upstream connection, each
//! when it is due and the answer to the one before was read. Answers are read and dropped.
//! *Delivered* means answered: the target's answer was read to its end, whatever its status.
//!
//! Refuses what is not whole, ambiguous or a tunnel. Holds a bounded number of requests, bytes and
//! connections; when there is more, a live replay drops it and a file waits. A target that is dead,
//! slow or resets costs counted requests and nothing else; nothing is ever sent a second time.
//!
//! Two threads: the pipeline's, which makes the bytes and hands them over (`queue`), and the
//! engine's own, with one task for each captured connection (`engine`, `session`).

mod answer;
mod engine;
mod gate;
mod pace;
mod progress;
mod queue;
mod session;
mod target;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};

pub use self::pace::Pace;
pub use self::progress::{NotDelivered, ReplayProgress};
use self::queue::Queue;
pub use self::target::Target;
use crate::http::message::Moment;
use crate::rules::Cleared;
use crate::rules::tag::Marks;
use crate::sink::Sink;
use crate::stats::Account;
use crate::summary::Note;

/// How a replay is done.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How requests are marked.
    pub marks: Marks,
    /// When they are due.
    pub pace: Pace,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// How much is held at most.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// What happens to a request for which the queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped and counted, so that `accept` never waits: for live sources. When the source
    /// ends, what is queued gets [`Timeouts::drain`].
    Drop,
    /// `accept` waits: for files. When the source ends, what is queued is sent, however long that
    /// takes, until the replay is stopped.
    Wait,
}

/// How much a replay holds at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests without an outcome, wherever they are.
    pub queue_requests: usize,
    /// Their bytes in memory, with an overhead for each.
    pub queue_bytes: usize,
    /// Open connections to the target.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 0.4 s of 40,000 requests/s: a pause of a busy target, not the outage of a dead one.
            queue_requests: 16 * 1024,
            // Half of the 64 MiB that a replay of a file may take as a whole.
            queue_bytes: 32 * 1024 * 1024,
            // Half of the 1024 descriptors that a process has by default.
            connections: 512,
        }
    }
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// To connect to one address.
    pub connect: Duration,
    /// From the last byte of the request to the first of the answer.
    pub first_byte: Duration,
    /// From the first byte of the request to the last of the answer.
    pub total: Duration,
    /// For an upstream connection to be kept while its captured connection says nothing.
    pub idle: Duration,
    /// For what is queued when a live source ends or any replay is stopped.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Two retransmissions of SYN (RFC 6298: after 1 s and 3 s) would be too much for a
            // shadow; one fits.
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(10),
            total: Duration::from_secs(30),
            // Below nginx's keepalive_timeout of 75 s, so that mostly we hang up first.
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Replays to one target.
pub struct ReplaySink {
    target: String,
    marks: Marks,
    when_full: WhenFull,
    queue: Arc<Queue>,
    engine: Option<JoinHandle<anyhow::Result<()>>>,
}

impl ReplaySink {
    /// Starts the engine's thread. When `stop` becomes true, what is not due yet is given up and
    /// the rest has [`Timeouts::drain`] to end.
    ///
    /// # Errors
    /// When no thread could be started.
    pub fn start(
        target: Target,
        options: ReplayOptions,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let queue = Arc::new(Queue::new(options.limits.clone(), stop));
        let authority = target.authority().to_owned();
        let (marks, when_full) = (options.marks.clone(), options.when_full);
        let engine = std::thread::Builder::new()
            .name("replay".into())
            .spawn({
                let queue = Arc::clone(&queue);
                move || {
                    let _end = EndOfEngine(&queue);
                    engine::run(&queue, target, &options)
                }
            })
            .context("replay: no thread could be started")?;
        Ok(Self { target: authority, marks, when_full, queue, engine: Some(engine) })
    }

    /// A view of the counters for another thread.
    #[must_use]
    pub fn monitor(&self) -> ReplayMonitor {
        ReplayMonitor(Arc::clone(&self.queue))
    }

    fn host_and_mark_warnings(&self) -> Vec<String> {
        let counters = &self.queue.counters;
        let mut warnings = Vec::new();
        if self.when_full == WhenFull::Drop && counters.unmarked.load(Relaxed) {
            warnings.push(format!(
                "{}: the kernel refused the socket mark, so that shadow traffic is told apart by its \
                 headers alone; give CAP_NET_ADMIN",
                self.target
            ));
        }
        let host_missing = counters.host_missing.load(Relaxed);
        if host_missing > 0 {
            warnings
                .push(format!("{host_missing} requests have no host to mark; sent without one"));
        }
        warnings
    }
}

/// However the engine ends, the pipeline does not wait for it any more.
struct EndOfEngine<'a>(&'a Queue);

impl Drop for EndOfEngine<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Sink for ReplaySink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let Some(request) = &exchange.request else { return Ok(()) };
        // A whole request comes when it was asked; only one that never became whole is new here.
        if exchange.moment == Moment::Ended && request.incomplete.is_none() {
            return Ok(());
        }
        let counters = &self.queue.counters;
        counters.offered.fetch_add(1, Relaxed);
        match cleared.shadow_request(&self.marks, &self.target) {
            Ok(shadow) => {
                counters.host_missing.fetch_add(u64::from(shadow.host_missing), Relaxed);
                self.queue.push(exchange.id.connection, request.started, shadow, self.when_full);
            }
            Err(why) => counters.count_dropped(why.into()),
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.queue.close();
        match self.engine.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(anyhow!("{}: the replay's thread panicked", self.target)),
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.host_and_mark_warnings()
    }

    fn notes(&self) -> Vec<Note> {
        let progress = self.monitor().progress();
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(progress.classes);
        let late = [
            ("late_p50_us", progress.late_p50.as_micros()),
            ("late_p99_us", progress.late_p99.as_micros()),
        ];
        let late = late.map(|(name, micros)| (name, u64::try_from(micros).unwrap_or(u64::MAX)));
        let connected = ("connections", progress.connected);
        Note::new("answers", classes.chain([connected]).chain(late)).into_iter().collect()
    }

    fn account(&self) -> Account {
        self.queue.counters.account()
    }
}

impl Drop for ReplaySink {
    /// A sink that is not finished leaves no thread behind.
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.queue.abandon();
            let _ = engine.join();
        }
    }
}

/// Reads a running replay's counters.
#[derive(Clone)]
pub struct ReplayMonitor(Arc<Queue>);

impl ReplayMonitor {
    /// The counters now. Each is exact; together they may be a few requests apart while it runs.
    #[must_use]
    pub fn progress(&self) -> ReplayProgress {
        self.0.counters.progress(self.0.outstanding() as u64)
    }
}

#[cfg(test)]
mod tests;
