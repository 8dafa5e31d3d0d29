//! The options, limits and timeouts of a replay.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use strum::{EnumIter, EnumMessage, IntoStaticStr};

use crate::origin::Origins;
use crate::rules::sample::Portion;
use crate::rules::tag::Marks;
use crate::sink::replay::load::breaker::BreakerOptions;
use crate::sink::replay::load::ramp::RampOptions;
use crate::sink::replay::outcome::observer::OutcomeObserver;
use crate::sink::replay::outcome::span::SpanSink;
use crate::sink::replay::outcome::verdict::FailOn;
use crate::sink::replay::schedule::copies::Copies;
use crate::sink::replay::schedule::pace::{Pace, Rate};
use crate::sink::replay::schedule::window::Window;
use crate::sink::replay::transport::connections::Connections;

/// The options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How requests are marked.
    pub marks: Marks,
    /// Which requests are replayed, by their recorded time.
    pub window: Window,
    /// When requests are due.
    pub pace: Pace,
    /// The longest pause between two requests of a capture, at the pace of the replay. Longer ones
    /// are cut to it.
    pub max_gap: Option<Duration>,
    /// The highest rate at which live requests are sent.
    pub cap: Option<Rate>,
    /// How many copies of each are sent.
    pub copies: Copies,
    /// Which connection they are sent over.
    pub connections: Connections,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// How much is held at most.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Whether values that production generated are replaced with the target's own.
    pub correlate: bool,
    /// How often a request is retried if no byte of it was sent.
    pub retry_unsent: u32,
    /// Whether an idempotent request that was sent while the target closed the connection is sent
    /// once more, on a new connection (RFC 9110 §9.2.2).
    pub resend: bool,
    /// Increases the load gradually; `None`: full load at once.
    pub ramp: Option<RampOptions>,
    /// The circuit breaker; `None`: there is none.
    pub breaker: Option<BreakerOptions>,
    /// The share of failed requests, from 0 to 1, at which the target is not healthy; `None`: it always is.
    pub health: Option<f64>,
    /// The file of the request log.
    pub log: Option<Arc<File>>,
    /// Who is told of each request that was sent, as a span.
    pub spans: Option<Arc<dyn SpanSink>>,
    /// Where requests come from, by what their metrics tell apart.
    pub origins: Origins,
    /// When the replay counts as failed.
    pub fail_on: Vec<FailOn>,
    /// Who is given what became of each request, with the target's response.
    pub observer: Option<Arc<dyn OutcomeObserver>>,
    /// Which part of the safe requests the target is asked twice, one time after the other, so that the observer sees
    /// what differs between two responses to the same request.
    pub ask_again: Portion,
    /// True if somebody judges all of the traffic, so that no less of it may be captured because the target is slow.
    pub needs_all: bool,
}

impl ReplayOptions {
    /// Replays everything once, within the default limits.
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
            health: None,
            log: None,
            spans: None,
            origins: Origins::default(),
            fail_on: Vec::new(),
            observer: None,
            ask_again: Portion::NONE,
            needs_all: false,
        }
    }

    /// True if somebody looks at responses, production's and the target's.
    #[must_use]
    pub fn keeps_responses(&self) -> bool {
        self.correlate || self.observer.as_ref().is_some_and(|observer| observer.wants_responses())
    }
}

/// What happens to a request if the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// For live sources: a request is dropped and counted, so that `accept` never waits. When the
    /// source ends, queued requests have [`Timeouts::drain`] to be sent.
    Drop(Victim),
    /// For files: `accept` waits (backpressure). A request with a deadline waits no longer than
    /// [`Timeouts::late`] beyond it, so that a slow target delays the schedule by no more. When the
    /// source ends, queued requests are sent however long that takes, until the replay is stopped.
    Wait,
}

/// Which request is dropped when the queue is full. Applies to live captures; reading a file pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumIter, EnumMessage, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Victim {
    /// The one that arrives
    #[default]
    Newest,
    /// The one that has waited longest, among those of the lowest priority
    Oldest,
}

/// What happens to a request if the target closes the connection without sending a byte of a
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

/// The limits of a replay.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests without an outcome: queued or in flight.
    pub queue_requests: usize,
    /// Their memory in bytes, including an overhead for each.
    pub queue_bytes: usize,
    /// Open connections to the target.
    pub connections: usize,
}

impl Limits {
    /// `queue_requests` of a live replay, which gets no backpressure: 1.6 s at 40,000 requests/s,
    /// because a process with low priority may be paused that long. Usually
    /// [`queue_bytes`](Self::queue_bytes) is reached first.
    pub const LIVE_REQUESTS: usize = 64 * 1024;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // More is no use for a file, which waits.
            queue_requests: 16 * 1024,
            // Half of the 64 MiB that the replay of a file may use in all.
            queue_bytes: 32 * 1024 * 1024,
            // Half of the 1024 descriptors that a process has by default.
            connections: 512,
        }
    }
}

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For connecting to one address.
    pub connect: Duration,
    /// From the last byte of the request to the first byte of the response. Also the longest time
    /// without progress while a request is sent.
    pub first_byte: Duration,
    /// From the last byte of the request to the last byte of the response.
    pub total: Duration,
    /// For a request of a file to wait for space in the queue after it was due.
    pub late: Duration,
    /// For an upstream connection to be kept open while its captured connection is idle.
    pub idle: Duration,
    /// For queued requests when a live source ends or a replay is stopped.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Allows one retransmission of the SYN (RFC 6298: after 1 s, then 3 s).
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(10),
            total: Duration::from_secs(30),
            // A burst may be spread over one second; more would change the recorded load.
            late: Duration::from_secs(1),
            // Below nginx's keepalive_timeout of 75 s, so that mirror usually closes first.
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}
