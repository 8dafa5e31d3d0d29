//! Events of the kernel: devices appeared or disappeared, or the filters of a device changed.
//!
//! An event says that something changed; what changed is read from the lists. So events that were lost
//! because the socket buffer was full do no harm: the loss is itself an event. Only the events show that a
//! device was removed whose index another device has since got.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, recv};

use super::link::RTM_NEWLINK;
use super::tc::is_about_filters;
use super::{messages, open};

/// A device that was removed (`linux/rtnetlink.h`).
const RTM_DELLINK: u16 = 17;

/// The buffer for one event, which is about one device: most have one or two thousand bytes.
const EVENT_BYTES: usize = 16 * 1024;

/// The bits of the groups `RTNLGRP_LINK` and `RTNLGRP_TC`.
const LINKS: u32 = 1;
const FILTERS: u32 = 1 << 3;

/// The events of devices, qdiscs and filters, in the network namespace in which this was opened.
#[derive(Debug)]
pub(in crate::source::live) struct Events(OwnedFd);

/// What changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::source::live) struct Changes {
    /// Devices appeared, changed or disappeared.
    pub(in crate::source::live) devices: bool,
    /// Indexes of devices that were removed.
    pub(in crate::source::live) removed: Vec<u32>,
    /// Indexes of devices whose qdiscs or filters changed, by any program.
    pub(in crate::source::live) filters: Vec<u32>,
    /// Events were lost because there were too many at a time: everything may have changed.
    pub(in crate::source::live) missed: bool,
}

impl Changes {
    /// True if filters of this device may have changed.
    pub(in crate::source::live) fn touches(&self, device: u32) -> bool {
        self.missed || self.filters.contains(&device)
    }

    fn record(&mut self, datagram: &[u8]) {
        for message in messages(datagram) {
            let [family, _, _, _, i0, i1, i2, i3, ..] = *message.payload() else { continue };
            let index = u32::from_ne_bytes([i0, i1, i2, i3]);
            let indexes = match message.message_type() {
                RTM_NEWLINK => {
                    self.devices = true;
                    continue;
                }
                // A bridge that releases a port sends this with its own family; the device still exists.
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
    /// Subscribes to events; to those of filters only if `filters`.
    ///
    /// # Errors
    /// When the kernel provides no such socket.
    pub(in crate::source::live) fn listen(filters: bool) -> anyhow::Result<Self> {
        let groups = if filters { LINKS | FILTERS } else { LINKS };
        let socket = open(SocketFlags::NONBLOCK, groups);
        socket.map(Self).context("events of interfaces cannot be had by netlink")
    }

    /// What changed since the last call; `None` if nothing did. Does not block.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(in crate::source::live) fn take(&self) -> anyhow::Result<Option<Changes>> {
        /// Further messages are read by the next call.
        const MAX_MESSAGES: usize = 1024;
        let mut buffer = [0; EVENT_BYTES];
        let mut changes = None;
        for _ in 0..MAX_MESSAGES {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    let changes: &mut Changes = changes.get_or_insert_default();
                    changes.record(buffer.get(..len).unwrap_or_default());
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => changes.get_or_insert_default().missed = true,
                Err(error) => bail!("events of interfaces by netlink: {error}"),
            }
        }
        Ok(changes)
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

    fn read(datagram: &[u8]) -> Changes {
        let mut changes = Changes::default();
        changes.record(datagram);
        changes
    }

    #[test]
    fn removed_devices_and_changed_filters_are_told_apart() {
        let parsed = |kind, family| read(&message(kind, &link(family, b"eth0\0")));
        assert_eq!(parsed(RTM_DELLINK, 0).removed, [7]);
        assert_eq!(parsed(RTM_DELLINK, 7), Changes::default(), "a bridge releases its port");
        assert!(parsed(RTM_DELLINK, 0).devices && parsed(RTM_NEWLINK, 0).devices);
        assert!(parsed(RTM_NEWLINK, 0).removed.is_empty(), "a device came");
        // RTM_DELQDISC, RTM_DELTFILTER.
        for kind in [37, 45] {
            let changes = parsed(kind, 0);
            assert!(changes.touches(7) && !changes.touches(8) && !changes.devices);
        }
        let two = message(RTM_DELLINK, &link(0, b"a\0")).repeat(2);
        assert_eq!(read(&two).removed, [7], "each is reported once");
        assert_eq!(read(&two[..HEADER_BYTES]), Changes::default(), "it is cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            datagram in proptest::collection::vec(any::<u8>(), 0..128),
            kind in 0_u16..64,
        ) {
            let events = |changes: Changes| changes.removed.len() + changes.filters.len();
            prop_assert!(events(read(&datagram)) <= datagram.len() / HEADER_BYTES);
            prop_assert!(events(read(&message(kind, &datagram))) <= 1);
        }
    }
}
