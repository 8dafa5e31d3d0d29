//! The network devices of this thread's network namespace. The only file that knows `nix`.

use std::io;

use mirror_common::Link;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrLike;

/// A network device that can be captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// True when it is administratively up.
    pub up: bool,
    /// True for `lo`, on which each packet goes out and comes in again.
    pub loopback: bool,
    /// What its packets begin with.
    pub link: Link,
}

impl Device {
    /// Every device whose packets can be read, by index. Asked of the kernel by netlink, because
    /// `/sys/class/net` shows the namespace in which it was mounted.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut devices: Vec<Self> =
            getifaddrs()?.filter_map(|address| Self::read(&address)).collect();
        devices.sort_by_key(|device| device.index);
        Ok(devices)
    }

    /// Each device has one address of the link layer, which tells its index and type.
    fn read(address: &InterfaceAddress) -> Option<Self> {
        let link = address.address.as_ref()?;
        link.family()?;
        let link = link.as_link_addr()?;
        Some(Self {
            name: address.interface_name.clone(),
            index: u32::try_from(link.ifindex()).ok()?,
            up: address.flags.contains(InterfaceFlags::IFF_UP),
            loopback: address.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            link: link_of(link.hatype())?,
        })
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
