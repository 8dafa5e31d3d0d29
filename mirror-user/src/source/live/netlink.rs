//! The kernel's list of network devices, and its word that some came or went (rtnetlink(7)), in the
//! network namespace of the thread that asks. The only file that knows `netlink-packet-core`.
//!
//! The events say that something changed and the list says what, so that events that were lost in a
//! full socket buffer cost nothing: the loss is itself an event. One thing only the events know: that a
//! device was removed whose index another has since taken.

use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, bail};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlasIterator,
};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

/// What the kernel puts into one part of its list at most.
const LIST_BYTES: usize = 32 * 1024;

/// One event, which is of one device: most have one or two thousand bytes.
const EVENT_BYTES: usize = 16 * 1024;

/// Message types (`linux/rtnetlink.h`): a device, a device that was removed, the question for devices.
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

/// The attribute that is a device's name.
const IFLA_IFNAME: u16 = 3;

/// Length of a message's header (`struct nlmsghdr`), and of what all messages of devices begin with
/// (`struct ifinfomsg`).
const HEADER_BYTES: usize = 16;
const LINK_BYTES: usize = 16;

/// What is said of one device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) index: u32,
    /// `ARPHRD_` number (`linux/if_arp.h`).
    pub(super) hardware: u16,
    /// `IFF_` bits (netdevice(7)).
    pub(super) flags: u32,
}

impl Link {
    /// Every device of this thread's network namespace. `/sys/class/net` would show those of the
    /// namespace in which it was mounted, getifaddrs(3) leaves out devices without an address of
    /// the link layer, such as tun.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(super) fn all() -> io::Result<Vec<Self>> {
        let socket = open(SocketFlags::empty(), 0)?;
        let mut request = [0; HEADER_BYTES + LINK_BYTES];
        let mut header = NetlinkBuffer::new(&mut request[..]);
        header.set_length((HEADER_BYTES + LINK_BYTES) as u32);
        header.set_message_type(RTM_GETLINK);
        header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        send(&socket, &request, SendFlags::empty())?;
        let mut buffer = vec![0; LIST_BYTES];
        let mut links = Vec::new();
        loop {
            let (len, _) = match recv(&socket, &mut buffer[..], RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                received => received?,
            };
            for message in messages(buffer.get(..len).unwrap_or_default()) {
                match message.message_type() {
                    NLMSG_DONE => return Ok(links),
                    NLMSG_ERROR => return Err(refused(message.payload())),
                    RTM_NEWLINK => links.extend(Self::read(message.payload())),
                    _ => {}
                }
            }
        }
    }

    /// `struct ifinfomsg` (family, hardware after two bytes, index, flags), then attributes.
    fn read(payload: &[u8]) -> Option<Self> {
        let (fixed, attributes) = payload.split_first_chunk::<LINK_BYTES>()?;
        let [_, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *fixed;
        let name = NlasIterator::new(attributes)
            .map_while(Result::ok)
            .find(|attribute| attribute.kind() == IFLA_IFNAME)?;
        let name = name.value().split(|byte| *byte == 0).next()?;
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            hardware: u16::from_ne_bytes([h0, h1]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
        })
    }
}

/// `struct nlmsgerr` begins with the negative number of an error.
fn refused(payload: &[u8]) -> io::Error {
    let number = payload.first_chunk().map_or(0, |number| i32::from_ne_bytes(*number));
    io::Error::from_raw_os_error(number.saturating_neg())
}

/// The messages of a datagram, up to the first that is cut off.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    const ALIGNMENT: usize = 4;
    iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let len = (message.length() as usize).next_multiple_of(ALIGNMENT);
        datagram = datagram.get(len..).unwrap_or_default();
        Some(message)
    })
}

/// A socket that hears what is told to these groups.
fn open(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | flags;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// What the kernel tells of devices that come, change and go (`RTNLGRP_LINK`), in the network
/// namespace in which this was made.
#[derive(Debug)]
pub(super) struct Events(OwnedFd);

impl Events {
    /// From now on.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub(super) fn listen() -> anyhow::Result<Self> {
        /// `RTMGRP_LINK`, the bit of `RTNLGRP_LINK`.
        const LINKS: u32 = 1;
        let socket = open(SocketFlags::NONBLOCK, LINKS);
        socket.map(Self).context("events of interfaces cannot be had by netlink")
    }

    /// Indexes of the devices that were removed since the last call; `None` when nothing at all
    /// happened. Does not wait.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(super) fn take(&self) -> anyhow::Result<Option<Vec<u32>>> {
        /// The rest waits for the next call.
        const MAX_MESSAGES: usize = 1024;
        let mut buffer = [0; EVENT_BYTES];
        let mut removed = None;
        for _ in 0..MAX_MESSAGES {
            match recv(&self.0, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    let datagram = buffer.get(..len).unwrap_or_default();
                    removed.get_or_insert_with(Vec::new).extend(removed_by(datagram));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // Events were lost, of which the list of devices knows.
                Err(Errno::NOBUFS) => drop(removed.get_or_insert_with(Vec::new)),
                Err(error) => bail!("events of interfaces by netlink: {error}"),
            }
        }
        Ok(removed)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The indexes of the devices that a datagram says were removed.
fn removed_by(datagram: &[u8]) -> impl Iterator<Item = u32> {
    messages(datagram).filter(|message| message.message_type() == RTM_DELLINK).filter_map(
        |message| {
            let [family, _, _, _, i0, i1, i2, i3, ..] = *message.payload() else { return None };
            // A bridge that lets go of its port says so with its own family; the device is there.
            (family == 0).then_some(u32::from_ne_bytes([i0, i1, i2, i3]))
        },
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let len = HEADER_BYTES + payload.len();
        let mut bytes = vec![0; HEADER_BYTES];
        let mut header = NetlinkBuffer::new(&mut bytes[..]);
        header.set_length(len as u32);
        header.set_message_type(kind);
        bytes.extend_from_slice(payload);
        bytes.resize(len.next_multiple_of(4), 0);
        bytes
    }

    /// `struct ifinfomsg` of the device 7, and a name.
    fn link(family: u8, name: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; LINK_BYTES];
        payload[0] = family;
        payload[2..4].copy_from_slice(&0xfffe_u16.to_ne_bytes());
        payload[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        payload[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        payload.extend_from_slice(&((4 + name.len()) as u16).to_ne_bytes());
        payload.extend_from_slice(&IFLA_IFNAME.to_ne_bytes());
        payload.extend_from_slice(name);
        payload
    }

    #[test]
    fn every_host_has_a_loopback() {
        let links = Link::all().unwrap();
        assert!(links.iter().any(|link| link.name == "lo" && link.hardware == 772), "{links:?}");
    }

    #[test]
    fn a_device_is_read_from_its_message() {
        let tun = Link { name: "tun0".to_owned(), index: 7, hardware: 0xfffe, flags: 1 };
        assert_eq!(Link::read(&link(0, b"tun0\0")), Some(tun));
        assert_eq!(Link::read(&[0; LINK_BYTES]), None, "it has no name");
        assert_eq!(Link::read(&[0; LINK_BYTES - 1]), None, "it is cut off");
    }

    #[test]
    fn only_removed_devices_are_told() {
        let told = |kind, family| -> Vec<u32> {
            removed_by(&message(kind, &link(family, b"eth0\0"))).collect()
        };
        assert_eq!(told(RTM_DELLINK, 0), [7]);
        assert!(told(RTM_DELLINK, 7).is_empty(), "a bridge lets go of its port");
        assert!(told(RTM_NEWLINK, 0).is_empty(), "a device came");
        let two = message(RTM_DELLINK, &link(0, b"a\0")).repeat(2);
        assert_eq!(removed_by(&two).count(), 2);
        assert_eq!(removed_by(two.get(..two.len() - 4).unwrap()).count(), 1, "one is cut off");
    }

    #[test]
    fn a_refusal_has_the_kernels_reason() {
        assert_eq!(refused(&(-1_i32).to_ne_bytes()).raw_os_error(), Some(1));
        assert_eq!(refused(&[]).raw_os_error(), Some(0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            datagram in proptest::collection::vec(any::<u8>(), 0..128),
            kind in RTM_NEWLINK..=RTM_GETLINK,
        ) {
            prop_assert!(removed_by(&datagram).count() <= datagram.len() / HEADER_BYTES);
            prop_assert!(removed_by(&message(kind, &datagram)).count() <= 1);
            if let Some(link) = Link::read(&datagram) {
                prop_assert!(link.name.len() <= 3 * datagram.len());
            }
        }
    }
}
