//! The kernel's word that devices came or went, or that somebody changed the filters of one.
//!
//! The events say that something changed and the lists say what, so that events that were lost in a
//! full socket buffer cost nothing: the loss is itself an event. One thing only the events know: that a
//! device was removed whose index another has since taken.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, recv};

use super::link::RTM_NEWLINK;
use super::tc::is_about_filters;
use super::{messages, open};

/// A device that was removed (`linux/rtnetlink.h`).
const RTM_DELLINK: u16 = 17;

/// One event, which is of one device: most have one or two thousand bytes.
const EVENT_BYTES: usize = 16 * 1024;

/// The bits of the groups `RTNLGRP_LINK` and `RTNLGRP_TC`.
const LINKS: u32 = 1;
const FILTERS: u32 = 1 << 3;

/// What the kernel tells of devices that come, change and go, and of qdiscs and filters, in the network
/// namespace in which this was made.
#[derive(Debug)]
pub(in crate::source::live) struct Events(OwnedFd);

/// What happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::source::live) struct Happened {
    /// Devices came, changed or went.
    pub(in crate::source::live) devices: bool,
    /// Indexes of those that were removed.
    pub(in crate::source::live) removed: Vec<u32>,
    /// Indexes of devices whose qdiscs or filters changed, whoever changed them.
    pub(in crate::source::live) filters: Vec<u32>,
    /// Something else happened that nobody heard, as too much did at a time: all may have changed.
    pub(in crate::source::live) unheard: bool,
}

impl Happened {
    /// True when filters of this device may have changed.
    pub(in crate::source::live) fn touches(&self, device: u32) -> bool {
        self.unheard || self.filters.contains(&device)
    }

    fn hear(&mut self, datagram: &[u8]) {
        for message in messages(datagram) {
            let [family, _, _, _, i0, i1, i2, i3, ..] = *message.payload() else { continue };
            let index = u32::from_ne_bytes([i0, i1, i2, i3]);
            let indexes = match message.message_type() {
                RTM_NEWLINK => {
                    self.devices = true;
                    continue;
                }
                // A bridge that lets go of its port says so with its own family; the device is there.
                RTM_DELLINK if family == 0 => &mut self.removed,
                kind if is_about_filters(kind) => &mut self.filters,
                _ => continue,
            };
            self.devices |= message.message_type() == RTM_DELLINK;
            if !indexes.contains(&index) {
                indexes.push(index);
            }
        }
    }
}

impl Events {
    /// From now on; of filters only where there are any to lose.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub(in crate::source::live) fn listen(filters: bool) -> anyhow::Result<Self> {
        let groups = if filters { LINKS | FILTERS } else { LINKS };
        let socket = open(SocketFlags::NONBLOCK, groups);
        socket.map(Self).context("events of interfaces cannot be had by netlink")
    }

    /// What happened since the last call; `None` when nothing did. Does not wait.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(in crate::source::live) fn take(&self) -> anyhow::Result<Option<Happened>> {
        /// The rest waits for the next call.
        const MAX_MESSAGES: usize = 1024;
        let mut buffer = [0; EVENT_BYTES];
        let mut happened = None;
        for _ in 0..MAX_MESSAGES {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    let happened: &mut Happened = happened.get_or_insert_default();
                    happened.hear(buffer.get(..len).unwrap_or_default());
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => happened.get_or_insert_default().unheard = true,
                Err(error) => bail!("events of interfaces by netlink: {error}"),
            }
        }
        Ok(happened)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::HEADER_BYTES;
    use super::super::link::tests::link;
    use super::super::tests::message;
    use super::*;

    fn heard(datagram: &[u8]) -> Happened {
        let mut happened = Happened::default();
        happened.hear(datagram);
        happened
    }

    #[test]
    fn removed_devices_and_changed_filters_are_told_apart() {
        let told = |kind, family| heard(&message(kind, &link(family, b"eth0\0")));
        assert_eq!(told(RTM_DELLINK, 0).removed, [7]);
        assert_eq!(told(RTM_DELLINK, 7), Happened::default(), "a bridge lets go of its port");
        assert!(told(RTM_DELLINK, 0).devices && told(RTM_NEWLINK, 0).devices);
        assert!(told(RTM_NEWLINK, 0).removed.is_empty(), "a device came");
        // RTM_DELQDISC, RTM_DELTFILTER.
        for kind in [37, 45] {
            let happened = told(kind, 0);
            assert!(happened.touches(7) && !happened.touches(8) && !happened.devices);
        }
        let two = message(RTM_DELLINK, &link(0, b"a\0")).repeat(2);
        assert_eq!(heard(&two).removed, [7], "each is told once");
        assert_eq!(heard(&two[..HEADER_BYTES]), Happened::default(), "it is cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            datagram in proptest::collection::vec(any::<u8>(), 0..128),
            kind in 0_u16..64,
        ) {
            let events = |happened: Happened| happened.removed.len() + happened.filters.len();
            prop_assert!(events(heard(&datagram)) <= datagram.len() / HEADER_BYTES);
            prop_assert!(events(heard(&message(kind, &datagram))) <= 1);
        }
    }
}
