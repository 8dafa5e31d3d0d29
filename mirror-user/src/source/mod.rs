//! The front door: packets of live interfaces or of files come in, `Packet`s go out.
//!
//! Live sources never block the kernel and count what it could not hand over; file sources wait
//! for the reader and lose nothing. Remembers the chunk that is being filled, nothing else.

pub mod again;
pub mod folder;
pub mod live;
pub mod pcap;

use std::time::Duration;

use crate::packet::{Packet, Timestamp};
use crate::stats::{Account, Note};

/// Where packets come from.
pub trait PacketSource: Send {
    /// The next packet, or why there is none now. Waits at most `wait`, so that a stop is heard.
    ///
    /// # Errors
    /// When the source cannot go on: the file became unreadable, the ring is gone. What was read
    /// before stands.
    fn next(&mut self, wait: Duration) -> anyhow::Result<Next>;

    /// The names of the interfaces that [`Packet::interface`] counts. Grows while packets come.
    fn interfaces(&self) -> &[String];

    /// What happened so far: packets seen, handed over, and lost by reason. Nothing is in flight
    /// after [`Next::End`].
    fn account(&self) -> Account;

    /// What time it is at the source when it answers [`Next::Idle`]; `None` for files, whose time
    /// moves with their packets alone.
    fn now(&self) -> Option<Timestamp> {
        None
    }

    /// Takes no further packets in. What was taken is still handed over; then comes [`Next::End`].
    fn stop(&mut self);

    /// Whether all that was asked for could be read. Complete only after [`Next::End`].
    ///
    /// # Errors
    /// When some of it could not be, while the rest was: the message names it.
    fn verdict(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Counts that explain the account and are no losses.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// What to do where not one request was seen.
    fn when_nothing_was_seen(&self) -> Option<String> {
        None
    }

    /// Things the operator should know at the end, such as a file that was cut short.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The answer of a source. None of them is an error.
#[derive(Debug)]
pub enum Next {
    /// A packet.
    Packet(Packet),
    /// Nothing came within the wait; ask again.
    Idle,
    /// The capture begins anew: no connection goes on. From here on, times are so much later than
    /// those recorded.
    Again(Duration),
    /// Nothing will come any more.
    End,
}
