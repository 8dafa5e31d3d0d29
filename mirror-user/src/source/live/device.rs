//! The network devices of this thread's network namespace.

use std::io;

use mirror_common::Link;

use super::netlink;

/// A network device that can be captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// True when it is administratively up.
    pub up: bool,
    /// True for `lo`, on which each outgoing packet comes in again.
    pub loopback: bool,
    /// The header that its packets begin with.
    pub link: Link,
}

impl Device {
    /// Every device whose packets can be read, by index.
    ///
    /// # Errors
    /// When the kernel does not list them.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut devices: Vec<Self> =
            netlink::Link::all()?.into_iter().filter_map(Self::read).collect();
        devices.sort_by_key(|device| device.index);
        Ok(devices)
    }

    fn read(link: netlink::Link) -> Option<Self> {
        /// `IFF_UP` and `IFF_LOOPBACK`.
        const UP: u32 = 1;
        const LOOPBACK: u32 = 1 << 3;
        let netlink::Link { name, index, hardware, flags } = link;
        let has = |flag| flags & flag != 0;
        Some(Self { name, index, up: has(UP), loopback: has(LOOPBACK), link: link_of(hardware)? })
    }
}

/// From the `ARPHRD_` numbers of `linux/if_arp.h`.
fn link_of(hardware: u16) -> Option<Link> {
    match hardware {
        // Ether, loopback.
        1 | 772 => Some(Link::Ethernet),
        // Raw IP, tunnel, tunnel6, SIT, IPGRE, IP6GRE, none (tun, WireGuard).
        519 | 768 | 769 | 776 | 778 | 823 | 65534 => Some(Link::Ip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_a_loopback() {
        let devices = Device::all().unwrap();
        assert!(devices.iter().any(|device| device.loopback && device.name == "lo"), "{devices:?}");
    }
}
