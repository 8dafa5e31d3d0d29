//! The trait of what provides exchanges to the rules: a packet source with the stages that turn
//! packets into exchanges, or any other origin.

use std::time::Duration;

use crate::filter::Ports;
use crate::http::message::Exchange;
use crate::stats::{Account, Note};

/// Provides the exchanges of a run. Those of one connection are in order.
pub trait Front: Send {
    /// Reads further, for at most `wait` if nothing arrives and a bounded number of packets
    /// otherwise, and adds the exchanges to `out`. Returns as soon as there is one.
    ///
    /// # Errors
    /// If it cannot continue, or at the end, if some of the input could not be read. What was read
    /// before is valid.
    fn read(&mut self, wait: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading>;

    /// Stops taking input. Input that was already taken is still read; then [`Reading::End`]
    /// follows.
    fn stop(&mut self);

    /// Ends open connections and adds their exchanges to `out`.
    ///
    /// # Errors
    /// If the recording of packets could not be written.
    fn finish(&mut self, out: &mut Vec<Exchange>) -> anyhow::Result<()>;

    /// The interface names that [`Peers::interface`](crate::tcp::event::Peers::interface) indexes.
    fn interfaces(&self) -> &[String];

    /// How many packets were read so far.
    fn packets(&self) -> u64;

    /// Sets the ports that servers listen on.
    fn server_ports(&mut self, ports: Ports);

    /// The counters so far, with losses by reason. Nothing is in flight after
    /// [`finish`](Self::finish).
    fn observe(&self) -> Observed;

    /// Warnings for the operator at the end.
    fn warnings(&self) -> Vec<String>;

    /// Advice if no request was seen.
    fn when_nothing_was_seen(&self) -> Option<String>;
}

/// The result of reading. None of these is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Something was read; there may be more.
    Some,
    /// Nothing arrived within the wait.
    Idle,
    /// After the exchanges that were added, the capture is read again: no connection continues, and
    /// times are later than recorded by this much.
    Rewound(Duration),
    /// The input has ended.
    End,
}

/// The counters of a front.
#[derive(Debug, Default)]
pub struct Observed {
    /// One account for each seam, in the order in which a packet passes them.
    pub accounts: Vec<Account>,
    /// Accounts that are listed last, after those of the sinks.
    pub copies: Vec<Account>,
    /// Counts that explain the accounts.
    pub notes: Vec<Note>,
}
