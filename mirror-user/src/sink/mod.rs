//! The back door: `Cleared` exchanges come in and go to a target or a file.

pub mod replay;

use crate::rules::Cleared;
use crate::stats::Account;

/// Where cleared exchanges go.
///
/// `accept` never waits when the source is live: a sink with a slow other side has a bounded queue
/// of its own, and drops and counts what does not fit.
pub trait Sink {
    /// What it is called in summaries and messages.
    fn name(&self) -> &str;

    /// Takes an exchange; called at each [`Moment`](crate::http::message::Moment), of which most
    /// sinks use one.
    ///
    /// # Errors
    /// When the sink can take nothing any more, such as a disk that is full.
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()>;

    /// Ends it: what is queued is delivered or counted.
    ///
    /// # Errors
    /// When what was accepted before could not be delivered.
    fn finish(&mut self) -> anyhow::Result<()>;

    /// What it was given, what it delivered, and what it dropped by reason. Complete after
    /// [`finish`](Self::finish).
    fn account(&self) -> Account;
}
