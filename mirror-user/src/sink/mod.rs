//! Sinks take cleared exchanges ([`Cleared`]) and send requests to a target, or write lines or
//! packets to a file.
//!
//! A sink drops a cleared exchange only for a named reason, with a counter. Its memory is bounded,
//! and each kind documents its limits. The pipeline calls all sinks on one thread.

pub mod behaviour;
#[cfg(feature = "nats")]
pub mod broker;
pub mod collaborators;
pub mod compare;
mod decoded;
pub mod findings;
pub mod har;
pub mod jsonl;
pub mod lines;
pub mod packets;
pub mod replay;
pub mod stubs;
pub mod table;
mod url;

use std::time::Duration;

use crate::beginnings::Spoken;
use crate::rules::{Cleared, Judged};
use crate::stats::{Account, Note, Responses};

/// Takes cleared exchanges.
///
/// With a live source `accept` never waits: a sink with a slow peer has its own bounded queue, and
/// drops and counts what does not fit.
pub trait Sink: Send {
    /// Takes an exchange. Called at each [`Moment`](crate::http::message::Moment); most sinks use
    /// only one.
    ///
    /// # Errors
    /// If the sink cannot continue, for example because the disk is full.
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()>;

    /// True while it has no room for any exchange. Then [`refuse`](Self::refuse) may be called in place of
    /// [`accept`](Self::accept), so that nothing is redacted, marked or copied that is dropped anyway.
    fn is_full(&self) -> bool {
        false
    }

    /// Counts an exchange that is dropped because [`it is full`](Self::is_full).
    fn refuse(&mut self, judged: &Judged) {
        let _ = judged;
    }

    /// Handles an event that is not an exchange. Most sinks ignore these.
    fn on(&mut self, event: Event<'_>) {
        let _ = event;
    }

    /// True if it uses responses. If no sink does, `accept` is not called again after a request is
    /// complete.
    fn needs_responses(&self) -> bool {
        true
    }

    /// Called when the source is idle: writes out what is buffered.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Finishes the sink: queued exchanges are delivered or counted.
    ///
    /// # Errors
    /// If accepted exchanges could not be delivered.
    fn finish(&mut self) -> anyhow::Result<()>;

    /// What was accepted, delivered, dropped (by reason), and is in flight; nothing is in flight
    /// after [`finish`](Self::finish). It balances at any time, even while a thread of the sink
    /// counts.
    fn account(&self) -> Account;

    /// Counts that explain the account.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// Warnings for the operator at the end.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Events besides the exchanges.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The interface names that [`Peers::interface`](crate::tcp::event::Peers::interface) indexes.
    /// Sent again whenever there are more, before the first exchange that needs them.
    Interfaces(&'a [String]),
    /// The same capture is read again: from here on, the times of exchanges are later than recorded
    /// by this much.
    Rewound(Duration),
    /// Reading goes on after it was held up: what comes is not late.
    Resumed,
    /// Production's responses so far; sent periodically.
    Production(Responses),
    /// What a connection began with, where the output asked for it.
    Spoken(&'a Spoken),
}
