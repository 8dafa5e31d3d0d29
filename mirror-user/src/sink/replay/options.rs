//! How a replay is done, and how much it may hold and wait.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use strum::{EnumIter, EnumMessage, IntoStaticStr};

use crate::rules::tag::Marks;
use crate::sink::replay::load::breaker::BreakerOptions;
use crate::sink::replay::load::ramp::RampOptions;
use crate::sink::replay::outcome::verdict::FailOn;
use crate::sink::replay::schedule::copies::Copies;
use crate::sink::replay::schedule::pace::{Pace, Rate};
use crate::sink::replay::schedule::window::Window;
use crate::sink::replay::transport::connections::Connections;

/// How a replay is done.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How requests are marked.
    pub marks: Marks,
    /// Which of them are replayed, by their recorded time.
    pub window: Window,
    /// When they are due.
    pub pace: Pace,
    /// The longest pause between two requests of a capture, at the pace of the replay; longer ones are cut.
    pub max_gap: Option<Duration>,
    /// How many of what is live are sent at most.
    pub cap: Option<Rate>,
    /// How often each is sent.
    pub copies: Copies,
    /// Which connection they go over.
    pub connections: Connections,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// How much is held at most.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Values that the target made are put in the place of production's, which it does not know.
    pub correlate: bool,
    /// How often a request is tried again of which not a byte was sent.
    pub retry_unsent: u32,
    /// A request with an idempotent method that met a connection as the target closed it is sent once
    /// more, on a new one (RFC 9110 §9.2.2).
    pub resend: bool,
    /// Gives it its load little by little; `None`: all at once.
    pub ramp: Option<RampOptions>,
    /// When the target is left alone for a while; `None`: never.
    pub breaker: Option<BreakerOptions>,
    /// Where each request leaves a line.
    pub log: Option<Arc<File>>,
    /// When it counts as failed.
    pub fail_on: Vec<FailOn>,
}

impl ReplayOptions {
    /// Everything once, within the usual limits.
    #[must_use]
    pub fn new(marks: Marks, pace: Pace, when_full: WhenFull) -> Self {
        Self {
            marks,
            window: Window::default(),
            pace,
            max_gap: None,
            cap: None,
            copies: Copies::default(),
            connections: Connections::default(),
            when_full,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            correlate: false,
            retry_unsent: 0,
            resend: true,
            ramp: None,
            breaker: None,
            log: None,
            fail_on: Vec::new(),
        }
    }
}

/// What happens to a request for which the queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// One of those that wait is dropped and counted, so that `accept` never waits: for live sources.
    /// When the source ends, what is queued gets [`Timeouts::drain`].
    Drop(Victim),
    /// `accept` waits: for files. A request that has a time waits no longer than
    /// [`Timeouts::late`] beyond it, so that a slow target bends the schedule by no more. When the
    /// source ends, what is queued is sent, however long that takes, until the replay is stopped.
    Wait,
}

/// Which request is dropped when the queue is full. Applies to live captures; reading a file pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Victim {
    /// The new request
    #[default]
    Newest,
    /// Of the lowest queued priority, the request that has waited longest
    Oldest,
}

/// What becomes of a request that meets a connection as the target closes it, without a byte of a
/// response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum IdleClose {
    /// Send it again on a new connection, if its method is idempotent (RFC 9110 §9.2.2)
    #[default]
    Resend,
    /// Drop and count it
    Drop,
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

impl Limits {
    /// What is live cannot wait: 1.6 s of 40,000 requests/s, as a process that gives way to
    /// production may stand still that long. Short requests fill [`queue_bytes`](Self::queue_bytes)
    /// before that.
    pub const LIVE_REQUESTS: usize = 64 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // More would help no file, which waits.
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
    /// From the last byte of the request to the first of the answer; and for the target to take none
    /// of a request that is being sent.
    pub first_byte: Duration,
    /// From the last byte of the request to the last of the answer.
    pub total: Duration,
    /// For a request of a file to find room in the queue after its time.
    pub late: Duration,
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
            // A burst may smear over a second; more would be another load than the recorded one.
            late: Duration::from_secs(1),
            // Below nginx's keepalive_timeout of 75 s, so that mostly we hang up first.
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}
