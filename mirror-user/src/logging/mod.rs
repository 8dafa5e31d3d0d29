//! What a run reports while it goes on: lines on standard error, as text or as JSON.
//!
//! The code emits an [`Event`] with its fields by `emit!`; [`Log`] decides which levels and modules are
//! written, limits repeats, and writes one line for each event. The only module that names `tracing` and
//! `tracing_subscriber`; what libraries report by themselves is not written, as nobody has checked
//! that it holds no captured bytes.
//!
//! A field never holds captured bytes: no URL, header or body of an exchange, redacted or not. It may
//! hold what the operator or the kernel named, such as a target, an interface or a file, and counts.

mod event;
mod line;
mod options;
mod repeats;
mod write;

use std::io;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

pub use self::event::Event;
#[cfg(test)]
pub(crate) use self::line::Line;
#[cfg(test)]
pub(crate) use self::options::KERNEL;
pub use self::options::{Filter, Format, Options};
use self::write::Writer;
use crate::stats::{Note, Topic};

/// Emits an [`Event`]: its name, fields as `tracing` takes them (`%` for what is displayed), and the
/// message, which is what a terminal shows behind `mirror: `.
macro_rules! emit {
    ($event:ident, $($fields_and_message:tt)+) => {
        ::tracing::event!(
            $crate::logging::Event::$event.level(),
            event = $crate::logging::Event::$event.name(),
            $($fields_and_message)+
        )
    };
}
pub(crate) use emit;

/// The log of this process.
pub struct Log(Writer);

impl Log {
    /// Writes what is emitted from now on to standard error.
    ///
    /// # Panics
    /// When the process has a log already.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let Options { format, filter } = options;
        let writer = Writer::new(format, Box::new(io::stderr()));
        let subscriber = registry().with(filter.targets()).with(writer.clone());
        tracing::subscriber::set_global_default(subscriber).expect("a process has one log");
        Self(writer)
    }

    /// Writes how many repeats were left out and not reported yet, for the end of a run. Returns the
    /// count for the summary.
    #[must_use]
    pub fn finish(&self) -> Option<Note> {
        Note::new(Topic::Log, [("repeats_left_out", self.0.finish())])
    }
}

/// Emits why a command could not be carried out.
pub fn failed(error: &anyhow::Error) {
    emit!(RunFailed, "{error:#}");
}

/// Emits what the operator should know at the end of a run.
pub fn warning(warning: &str) {
    emit!(RunWarning, "{warning}");
}

/// The events that `run` emits on this thread, and what it returns.
#[cfg(test)]
pub(crate) fn captured<T>(run: impl FnOnce() -> T) -> (Vec<Line>, T) {
    let capture = write::Capture::default();
    let subscriber = registry().with(capture.clone());
    let returned = tracing::subscriber::with_default(subscriber, run);
    (capture.take(), returned)
}
