//! The kernel's list of network devices.

use std::io;

use netlink_packet_core::NLM_F_DUMP;

use super::{Request, attributes, text};

/// Message types (`linux/rtnetlink.h`): a device, the question for devices.
pub(super) const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;

/// The attribute that is a device's name.
const IFLA_IFNAME: u16 = 3;

/// Length of what all messages of devices begin with (`struct ifinfomsg`).
const LINK_BYTES: usize = 16;

/// One device as the kernel describes it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::live) struct Link {
    pub(in crate::source::live) name: String,
    pub(in crate::source::live) index: u32,
    /// `ARPHRD_` number (`linux/if_arp.h`).
    pub(in crate::source::live) hardware: u16,
    /// `IFF_` bits (netdevice(7)).
    pub(in crate::source::live) flags: u32,
}

impl Link {
    /// Every device of this thread's network namespace. `/sys/class/net` would show those of the
    /// namespace in which it was mounted, getifaddrs(3) leaves out devices without an address of
    /// the link layer, such as tun.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub(in crate::source::live) fn all() -> io::Result<Vec<Self>> {
        let mut links = Vec::new();
        Request::new(RTM_GETLINK, NLM_F_DUMP, &[0; LINK_BYTES]).send(|kind, payload| {
            links.extend((kind == RTM_NEWLINK).then(|| Self::read(payload)).flatten());
        })?;
        Ok(links)
    }

    /// `struct ifinfomsg` (family, hardware after two bytes, index, flags), then attributes.
    fn read(payload: &[u8]) -> Option<Self> {
        let (fixed, rest) = payload.split_first_chunk::<LINK_BYTES>()?;
        let [_, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *fixed;
        let (_, name) = attributes(rest).find(|(kind, _)| *kind == IFLA_IFNAME)?;
        Some(Self {
            name: text(name),
            index: u32::from_ne_bytes([i0, i1, i2, i3]),
            hardware: u16::from_ne_bytes([h0, h1]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `struct ifinfomsg` of the device 7, and a name.
    pub(in crate::source::live) fn link(family: u8, name: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; LINK_BYTES];
        payload[0] = family;
        payload[2..4].copy_from_slice(&0xfffe_u16.to_ne_bytes());
        payload[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        payload[8..12].copy_from_slice(&1_u32.to_ne_bytes());
        super::super::put_attribute(&mut payload, IFLA_IFNAME, name);
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

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..128)) {
            if let Some(link) = Link::read(&payload) {
                prop_assert!(link.name.len() <= 3 * payload.len());
            }
        }
    }
}
