//! The back door: `Cleared` exchanges come in and go to a target or a file.

pub mod findings;
pub mod jsonl;
pub mod lines;
pub mod packets;
pub mod replay;
pub mod routed;
pub mod table;

use std::time::Duration;

use self::replay::{ReplayMonitor, ReplayReport};
use crate::rules::Cleared;
use crate::rules::route::TargetId;
use crate::stats::Note;
use crate::stats::{Account, Responses};

/// Where cleared exchanges go.
///
/// `accept` never waits when the source is live: a sink with a slow other side has a bounded queue
/// of its own, and drops and counts what does not fit.
pub trait Sink: Send {
    /// The names that [`Peers::interface`](crate::tcp::event::Peers::interface) counts; told again
    /// whenever there are more of them, before the first exchange that needs them.
    fn interfaces(&mut self, names: &[String]) {
        let _ = names;
    }

    /// The same capture is read once more: from here on, exchanges bear times that are later by
    /// `shift` than those recorded.
    fn again(&mut self, shift: Duration) {
        let _ = shift;
    }

    /// What production answered so far; told now and then.
    fn production(&mut self, responses: Responses) {
        let _ = responses;
    }

    /// True when it takes more than requests. Where no sink does, `accept` is not called again once
    /// a request was seen whole.
    fn wants_answers(&self) -> bool {
        true
    }

    /// The target that it stands for, where it stands for one of several.
    fn target(&self) -> Option<TargetId> {
        None
    }

    /// A view of a replay's counters.
    fn monitor(&self) -> Option<ReplayMonitor> {
        None
    }

    /// Takes an exchange; called at each [`Moment`](crate::http::message::Moment), of which most
    /// sinks use one.
    ///
    /// # Errors
    /// When the sink can take nothing any more, such as a disk that is full.
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()>;

    /// Called when nothing came for a moment: a good time to show what was held back for speed.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    fn idle(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Ends it: what is queued is delivered or counted.
    ///
    /// # Errors
    /// When what was accepted before could not be delivered.
    fn finish(&mut self) -> anyhow::Result<()>;

    /// Things the operator should know at the end.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Counts that explain the account.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// What a replay came to.
    fn report(&self) -> Option<ReplayReport> {
        None
    }

    /// What it was given, what it delivered, and what it dropped by reason. Complete after
    /// [`finish`](Self::finish).
    fn account(&self) -> Account;
}
