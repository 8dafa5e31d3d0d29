//! Where exchanges come from: in front of the rules stands a source of packets with what turns them into
//! exchanges, or anything else that gives exchanges.

use std::time::Duration;

use crate::beginnings::Spoken;
use crate::filter::Ports;
use crate::http::message::Exchange;
use crate::stats::{Account, Note};

/// Gives the exchanges of a run, in the order in which each connection had them.
pub trait Front: Send {
    /// Reads on, for at most `wait` where nothing comes, and adds the exchanges that this completed to
    /// `out`. Returns as soon as there is one.
    ///
    /// # Errors
    /// When it cannot go on, or at its end, when not all that was asked for could be read. What was read
    /// before stands.
    fn read(&mut self, wait: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading>;

    /// Takes nothing further in. What was taken is still read; then comes [`Reading::End`].
    fn stop(&mut self);

    /// What was open ends here; its exchanges are added to `out`.
    ///
    /// # Errors
    /// When a copy of what was read could not be written.
    fn finish(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()>;

    /// What connections began with since the last call, where that is read.
    fn spoken(&mut self) -> Vec<Spoken> {
        Vec::new()
    }

    /// The names of the interfaces that [`Peers::interface`](crate::tcp::event::Peers::interface) counts.
    fn interfaces(&self) -> &[String];

    /// How many packets were read so far.
    fn packets(&self) -> u64;

    /// The ports that servers listen on, as the configuration has them from now on.
    fn server_ports(&mut self, ports: Ports);

    /// What was read so far, and what was lost by reason. Nothing is in flight after
    /// [`finish`](Self::finish).
    fn observe(&self) -> Observed;

    /// What the operator should know at the end.
    fn warnings(&self) -> Vec<String>;

    /// What to do where not one request was seen.
    fn when_nothing_was_seen(&self) -> Option<String>;
}

/// What came of reading. None of them is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Exchanges were added; more may be there at once.
    Exchanges,
    /// So much was read since the last pause that it is time to look at what other threads want.
    Pause,
    /// Nothing came within the wait.
    Idle,
    /// The capture begins anew, after the exchanges that were added: no connection goes on, and times are so
    /// much later than those recorded.
    Rewound(Duration),
    /// Nothing will come any more.
    End,
}

/// The counters of a front.
#[derive(Debug, Default)]
pub struct Observed {
    /// One account for each seam, in the order in which a packet meets them.
    pub accounts: Vec<Account>,
    /// Accounts that stand at the end of the list, after those of the sinks.
    pub copies: Vec<Account>,
    /// Counts that explain the accounts.
    pub notes: Vec<Note>,
}
