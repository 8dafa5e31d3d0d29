//! Where exchanges go: each kind of output is a plan, which says what it needs of the stages before it
//! and how it is opened. A kind that comes anew has a file here and one line where it is asked for.

pub(crate) mod files;
pub(crate) mod replay;
pub(crate) mod shown;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::files::Destination;
use crate::http::{BodyKeep, HttpOptions, KeepLimits};
use crate::pipeline::Outlet;
use crate::recorder::Recorder;
use crate::rules::redact::Redactor;
use crate::shutdown::Stop;
use crate::sink::Sink;
use crate::sink::replay::{OnConnect, ReplayMonitor};

/// An output that is not opened yet.
pub(crate) struct OutputPlan {
    /// What has to be kept of each message.
    pub(crate) http: HttpOptions,
    /// What it does with messages.
    pub(crate) messages: Messages,
    /// True when it sends requests to targets.
    pub(crate) sends: bool,
    /// True when requests go out at the times of the capture, so that waiting would shift them.
    pub(crate) keeps_pace: bool,
    /// The file that is written.
    pub(crate) file: Option<Destination>,
    /// The ports that are connected to.
    pub(crate) connects: Vec<u16>,
    open: Open,
}

type Open = Box<dyn FnOnce(&Opening) -> anyhow::Result<Opened> + Send>;

/// What an output does with messages, which says whether they are redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Shows, writes or sends them: redacted before it gets them.
    Shown,
    /// Says where there is something to redact.
    Searched,
    /// Counts them, or writes packets as they were seen: nothing of them is redacted.
    Untouched,
}

/// What an output is opened with.
#[derive(Default)]
pub(crate) struct Opening {
    /// Ends what waits.
    pub(crate) stop: Stop,
    /// What redacts the run.
    pub(crate) redactor: Option<Arc<Redactor>>,
    /// Takes note of each connection to a target as mirror's own.
    pub(crate) on_connect: Option<OnConnect>,
    /// Whether packets to this address are captured, so that it must not be a target.
    pub(crate) is_captured: Option<IsCaptured>,
}

/// Whether packets to an address are captured.
pub(crate) type IsCaptured = Arc<dyn Fn(SocketAddr) -> anyhow::Result<bool> + Send + Sync>;

/// An output, opened.
#[derive(Default)]
pub(crate) struct Opened {
    /// Where the exchanges go.
    pub(crate) outlets: Vec<Outlet>,
    /// What writes down packets as they were seen.
    pub(crate) recorder: Option<Recorder>,
    /// A view of each replay.
    pub(crate) monitors: Vec<ReplayMonitor>,
    /// True when exchanges are printed to the standard output.
    pub(crate) prints: bool,
}

impl Opened {
    fn of(sink: impl Sink + 'static) -> Self {
        Self { outlets: vec![Outlet::of_all(Box::new(sink))], ..Self::default() }
    }
}

impl OutputPlan {
    /// An output that keeps what is told here, and is opened by `open`.
    fn new(
        http: HttpOptions,
        open: impl FnOnce(&Opening) -> anyhow::Result<Opened> + Send + 'static,
    ) -> Self {
        Self {
            http,
            messages: Messages::Shown,
            sends: false,
            keeps_pace: false,
            file: None,
            connects: Vec::new(),
            open: Box::new(open),
        }
    }

    /// Opens the files, reaches the targets.
    ///
    /// # Errors
    /// When one cannot be written or reached; the message names it.
    pub(crate) fn open(self, opening: &Opening) -> anyhow::Result<Opened> {
        (self.open)(opening)
    }
}

/// Bodies are kept up to `total` bytes.
fn keep(total: u64) -> BodyKeep {
    BodyKeep::Keep(KeepLimits { total, ..KeepLimits::default() })
}
