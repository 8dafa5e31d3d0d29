//! Where cleared exchanges go: [`Cleared`] comes in, requests to a target, lines or packets of a file go out.
//!
//! A sink refuses nothing that was cleared except by a reason with a counter. What it remembers is
//! bounded, and each kind says how. The pipeline drives it, on one thread.

pub mod findings;
pub mod jsonl;
pub mod lines;
pub mod packets;
pub mod replay;
pub mod table;

use std::time::Duration;

use crate::rules::Cleared;
use crate::stats::{Account, Note, Responses};

/// Where cleared exchanges go.
///
/// `accept` never waits when the source is live: a sink with a slow other side has a bounded queue
/// of its own, and drops and counts what does not fit.
pub trait Sink: Send {
    /// Takes an exchange; called at each [`Moment`](crate::http::message::Moment), of which most
    /// sinks use one.
    ///
    /// # Errors
    /// When the sink can take nothing any more, such as a disk that is full.
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()>;

    /// Takes note of what happened beside the exchanges; most sinks need none of it.
    fn on(&mut self, event: Event<'_>) {
        let _ = event;
    }

    /// True when it takes more than requests. Where no sink does, `accept` is not called again once
    /// a request was seen whole.
    fn needs_responses(&self) -> bool {
        true
    }

    /// Called when nothing came for a moment: a good time to show what was held back for speed.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Ends it: what is queued is delivered or counted.
    ///
    /// # Errors
    /// When what was accepted before could not be delivered.
    fn finish(&mut self) -> anyhow::Result<()>;

    /// What it was given, what it delivered, what it dropped by reason, and what is in flight;
    /// nothing is after [`finish`](Self::finish). Balances at any time, also where a thread of the
    /// sink's own counts meanwhile.
    fn account(&self) -> Account;

    /// Counts that explain the account.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// What the operator should know at the end.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a sink may have to know beside the exchanges.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The names that [`Peers::interface`](crate::tcp::event::Peers::interface) counts; given again
    /// whenever there are more of them, before the first exchange that needs them.
    Interfaces(&'a [String]),
    /// The same capture is read once more: from here on, exchanges bear times that are later by so
    /// much than those recorded.
    Rewound(Duration),
    /// How production responded so far; given now and then.
    Production(Responses),
}
