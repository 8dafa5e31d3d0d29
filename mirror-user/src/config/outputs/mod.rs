//! Where exchanges go. Each kind of output is a plan: what it needs from the stages before it, and how to
//! open it. A new kind needs a file here and one line where it is selected.

pub(crate) mod collaborators;
pub(crate) mod compare;
pub(crate) mod files;
pub(crate) mod har;
pub(crate) mod replay;
pub(crate) mod rows;
pub(crate) mod shown;
#[cfg(feature = "nats")]
pub(crate) mod stream;
pub(crate) mod stub;
pub(crate) mod stubs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::files::Destination;
use crate::http::{BodyKeep, DigestOf, HttpOptions, KeepLimits};
use crate::origin::Origins;
use crate::pipeline::Outlet;
use crate::recorder::Recorder;
use crate::rules::redact::{MAX_BODY_BYTES, Redactor};
use crate::rules::route::TargetId;
use crate::shutdown::Stop;
use crate::sink::Sink;
use crate::sink::replay::{OnConnect, OutcomeObserver, ReplayMonitor, SpanSink};

/// An output that is not open yet.
pub(crate) struct OutputPlan {
    /// Which parts of each message are kept.
    pub(crate) http: HttpOptions,
    /// What it does with messages.
    pub(crate) messages: Messages,
    /// True if it sends requests to targets.
    pub(crate) sends: bool,
    /// True if requests are sent at recorded times, which backpressure would shift.
    pub(crate) keeps_pace: bool,
    /// True if it wants to know what connections begin with.
    pub(crate) beginnings: bool,
    /// The file that it writes.
    pub(crate) file: Option<Destination>,
    /// Other files that it writes.
    pub(crate) writes: Vec<PathBuf>,
    /// A folder in which it makes and removes files meanwhile.
    pub(crate) folder: Option<PathBuf>,
    /// The ports that it connects to.
    pub(crate) connects: Vec<u16>,
    open: Open,
}

type Open = Box<dyn FnOnce(&Opening) -> anyhow::Result<Opened> + Send>;

/// What an output does with messages; this decides whether they are redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Shows, writes or sends them: they are redacted first.
    Shown,
    /// Reports where there is something to redact.
    Searched,
    /// Counts them, or writes the original packets: nothing is redacted.
    Untouched,
}

/// What opening an output needs.
#[derive(Default)]
pub(crate) struct Opening {
    /// Ends waits.
    pub(crate) stop: Stop,
    /// The redactor of the run.
    pub(crate) redactor: Option<Arc<Redactor>>,
    /// Who is told of each request that is sent.
    pub(crate) spans: Option<Arc<dyn SpanSink>>,
    /// Where requests come from.
    pub(crate) origins: Origins,
    /// Registers each connection to a target as mirror's own.
    pub(crate) on_connect: Option<OnConnect>,
    /// Tells whether packets to an address are captured, in which case it must not be a target.
    pub(crate) is_captured: Option<IsCaptured>,
    /// Puts whoever has to know what becomes of requests before the observer of a replay.
    pub(crate) watch: Option<WatchOutcomes>,
}

/// Adds an observer before that of a replay, if it has one.
pub(crate) type WatchOutcomes =
    Arc<dyn Fn(Option<Arc<dyn OutcomeObserver>>) -> Arc<dyn OutcomeObserver> + Send + Sync>;

/// Tells whether packets to an address are captured.
pub(crate) type IsCaptured = Arc<dyn Fn(SocketAddr) -> anyhow::Result<bool> + Send + Sync>;

/// An open output.
#[derive(Default)]
pub(crate) struct Opened {
    /// Where the exchanges go.
    pub(crate) outlets: Vec<Outlet>,
    /// Writes the original packets.
    pub(crate) recorder: Option<Recorder>,
    /// A view of each replay.
    pub(crate) monitors: Vec<ReplayMonitor>,
    /// True if exchanges are printed to standard output.
    pub(crate) prints: bool,
}

impl Opened {
    /// Adds what was opened after it.
    fn add(&mut self, mut later: Self) {
        self.outlets.append(&mut later.outlets);
        self.monitors.append(&mut later.monitors);
    }

    fn of(sink: impl Sink + 'static) -> Self {
        Self { outlets: vec![Outlet::of_all(Box::new(sink))], ..Self::default() }
    }
}

impl OutputPlan {
    /// An output with these HTTP options, opened by `open`.
    fn new(
        http: HttpOptions,
        open: impl FnOnce(&Opening) -> anyhow::Result<Opened> + Send + 'static,
    ) -> Self {
        Self {
            http,
            messages: Messages::Shown,
            sends: false,
            keeps_pace: false,
            beginnings: false,
            file: None,
            writes: Vec::new(),
            folder: None,
            connects: Vec::new(),
            open: Box::new(open),
        }
    }

    /// True if it sends requests alone, and nobody looks at bodies of responses.
    pub(crate) fn wants_no_response_bodies(&self) -> bool {
        self.sends && self.http.response_body == BodyKeep::Count
    }

    /// Opens the files and connects to the targets.
    ///
    /// # Errors
    /// If one cannot be written or reached; the message names it.
    pub(crate) fn open(self, opening: &Opening) -> anyhow::Result<Opened> {
        (self.open)(opening)
    }
}

/// What the rules send to the target `id` of this name; everything without one.
fn outlet(name: Option<Arc<str>>, id: Option<TargetId>, sink: Box<dyn Sink>) -> Outlet {
    match (name, id) {
        (Some(name), Some(id)) => Outlet::of_target(id, name, sink),
        _ => Outlet::of_all(sink),
    }
}

/// Keeps bodies up to `total` bytes.
fn keep(total: u64) -> BodyKeep {
    BodyKeep::Keep(KeepLimits { total, ..KeepLimits::default() })
}

/// The same for responses that are compared: what is too long is known by its digest.
fn keep_or_digest(total: u64) -> BodyKeep {
    BodyKeep::Keep(KeepLimits { total, digest: DigestOf::TooLarge, ..KeepLimits::default() })
}

/// Keeps the same of both messages of an exchange.
fn both(body: BodyKeep) -> HttpOptions {
    HttpOptions { request_body: body, response_body: body, ..HttpOptions::default() }
}

/// Keeps no more of bodies than redaction reads.
fn for_redaction() -> HttpOptions {
    both(keep(MAX_BODY_BYTES as u64))
}

/// Keeps nothing of messages, which are only counted.
fn for_counts() -> HttpOptions {
    HttpOptions { heads: false, ..HttpOptions::default() }
}
