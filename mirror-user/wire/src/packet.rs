//! The input of the pipeline: one packet as it was on a link, and its time.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// Nanoseconds since the Unix epoch, up to the year 2554.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A time from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time `span` before this one.
    #[must_use]
    pub const fn earlier(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The time `span` after this one.
    #[must_use]
    pub const fn later(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The time since `earlier`; zero if this is before it (captured clocks may step back).
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Nanoseconds of a span of at most 584 years.
const fn nanos(span: Duration) -> u64 {
    let nanos = span.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

/// The format of a packet's first bytes. The source refuses other formats by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet II (`LINKTYPE_ETHERNET`, 1).
    Ethernet,
    /// An IPv4 or IPv6 header comes first (`LINKTYPE_RAW`, 101; also 12, 14, 228 and 229).
    RawIp,
    /// Linux cooked capture (`LINKTYPE_LINUX_SLL`, 113).
    LinuxSll,
    /// Linux cooked capture v2 (`LINKTYPE_LINUX_SLL2`, 276).
    LinuxSll2,
    /// BSD loopback: the address family in either byte order (`LINKTYPE_NULL`, 0, and
    /// `LINKTYPE_LOOP`, 108).
    Null,
    /// The Point-to-Point Protocol (`LINKTYPE_PPP`, 9, and `LINKTYPE_PPP_HDLC`, 50).
    Ppp,
    /// Linux netfilter's log, as of `tcpdump -i nflog` (`LINKTYPE_NFLOG`, 239).
    Nflog,
    /// A header of macOS that names the link type after it, as of `tcpdump -i pktap` there
    /// (`LINKTYPE_PKTAP`, 258; also 149, which Apple's own programs write).
    Pktap,
}

impl LinkType {
    /// The link type with this number in capture files (tcpdump.org's LINKTYPE list); `None` if
    /// `decode` cannot read it.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            // 12 and 14 are DLT_RAW of BSD and OpenBSD, which some writers put in files unchanged.
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::LinuxSll,
            239 => Self::Nflog,
            // 149 is for private use; Wireshark, too, reads it as PKTAP.
            149 | 258 => Self::Pktap,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }

    /// The number that is written to capture files.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Ppp => 9,
            Self::RawIp => 101,
            Self::LinuxSll => 113,
            Self::Nflog => 239,
            Self::Pktap => 258,
            Self::LinuxSll2 => 276,
        }
    }
}

/// The interface on which a packet was seen: its place among the interfaces of its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InterfaceId(pub u32);

/// One packet of a link. Its bytes are a slice of a larger chunk of the source. A stage that keeps
/// some of them longer than until the next packet copies them, so that a few bytes never keep a
/// whole chunk in memory.
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it was seen.
    pub at: Timestamp,
    /// The format of the beginning of `data`.
    pub link: LinkType,
    /// Where it was seen.
    pub interface: InterfaceId,
    /// Its length on the link in bytes; more than `data.len()` if the capture cut it (snaplen).
    pub wire_len: u32,
    /// The bytes, from the link header on.
    pub data: Bytes,
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
