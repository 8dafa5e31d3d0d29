//! Packet sources: live interfaces and capture files.
//!
//! Live sources never block the kernel, and count the packets that it could not deliver. File
//! sources wait for the reader and lose nothing.

pub mod again;
pub mod folder;
pub mod live;
pub mod pcap;

use std::time::Duration;

use crate::packet::{InterfaceId, Packet, Timestamp};
use crate::stats::{Account, Note};

/// A source of packets.
pub trait PacketSource: Send {
    /// The next packet, or why there is none now. Waits at most `wait`, so that a stop is noticed.
    ///
    /// # Errors
    /// If the source cannot continue: the file became unreadable, or the ring buffer is gone. What
    /// was read before is valid.
    fn next(&mut self, wait: Duration) -> anyhow::Result<Next>;

    /// The interface names that [`Packet::interface`] indexes. The list may grow with each packet.
    fn interfaces(&self) -> &[String];

    /// Packets seen, delivered, and lost (by reason) so far. Nothing is in flight after
    /// [`Next::End`].
    fn account(&self) -> Account;

    /// The source's current time when it returns [`Next::Idle`]; `None` for files, whose time is
    /// that of their packets.
    fn now(&self) -> Option<Timestamp> {
        None
    }

    /// Stops taking packets. Packets that were already taken are still returned; then [`Next::End`]
    /// follows.
    fn stop(&mut self);

    /// A request was found in packets that were seen at this interface.
    fn count_request(&mut self, _at: InterfaceId) {}

    /// Whether all input could be read. Final only after [`Next::End`].
    ///
    /// # Errors
    /// If some of the input could not be read; the message names it.
    fn verdict(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Counts that explain the account and are not losses.
    fn notes(&self) -> Vec<Note> {
        Vec::new()
    }

    /// Advice if no request was seen.
    fn when_nothing_was_seen(&self) -> Option<String> {
        None
    }

    /// Warnings for the operator at the end, such as a truncated file.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The result of [`PacketSource::next`]. None of these is an error.
#[derive(Debug)]
pub enum Next {
    /// A packet.
    Packet(Packet),
    /// Nothing arrived within the wait.
    Idle,
    /// The capture is read again: no connection continues. From here on, times are later than
    /// recorded by this much.
    Again(Duration),
    /// The source has ended.
    End,
}
