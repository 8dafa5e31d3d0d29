//! The network devices of this host, as `/sys/class/net` tells of them.

use std::fs;
use std::io;
use std::path::Path;

use mirror_common::Link;

/// `IFF_UP` of `linux/if.h`.
const IFF_UP: u32 = 1;
/// `IFF_LOOPBACK` of `linux/if.h`.
const IFF_LOOPBACK: u32 = 8;

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
    /// Every device whose packets can be read, by index.
    ///
    /// # Errors
    /// When `/sys/class/net` cannot be listed.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut devices: Vec<Self> = fs::read_dir("/sys/class/net")?
            .filter_map(Result::ok)
            .filter_map(|entry| Self::read(&entry.path()))
            .collect();
        devices.sort_by_key(|device| device.index);
        Ok(devices)
    }

    /// `None` for a device that went away meanwhile, or whose packets cannot be read.
    fn read(folder: &Path) -> Option<Self> {
        let text = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let flags = text("flags")?;
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok()?;
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            index: text("ifindex")?.trim().parse().ok()?,
            up: flags & IFF_UP != 0,
            loopback: flags & IFF_LOOPBACK != 0,
            link: link_of(text("type")?.trim().parse().ok()?)?,
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
