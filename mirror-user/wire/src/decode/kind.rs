//! What the packets were that are not IP or not TCP, so that the summary can name the most
//! frequent.

use std::fmt;

use super::Skip;
use super::frequent::Frequent;
use super::ip::{self, protocol};
use super::link::{self, Layer};
use super::rest::Rest;
use super::tunnel::port;
use crate::packet::LinkType;
use crate::stats::{Note, Topic};

/// The innermost readable header, by what it says about its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// BSD loopback's address family.
    AddressFamily(u32),
    /// The link type that PKTAP names.
    LinkType(u16),
    EtherType(u16),
    /// IEEE 802.2's destination service access point.
    Llc(u8),
    /// A vendor's protocol: organization and number.
    Snap(u32, u16),
    /// An IEEE 802.11 frame that is encrypted, a fragment or no data.
    Wlan,
    Ppp(u16),
    /// The first four bits, where an IP header was expected.
    IpVersion(u8),
    IpProtocol(u8),
    /// One of the two ports.
    Udp(u16),
    /// Cut before any field that identifies it.
    Unknown,
}

impl Kind {
    /// The kind of a frame whose first header does not lead to IP.
    pub(super) fn of_link(link: LinkType, rest: Rest<'_>) -> Self {
        match (link, rest.bytes.first_chunk::<4>()) {
            (LinkType::Null, Some(family)) => Self::AddressFamily(link::address_family(*family)),
            (LinkType::Pktap, _) => match link::pktap(rest) {
                Ok((0 | 108, rest)) => Self::of_link(LinkType::Null, rest),
                Ok((number, _)) => Self::LinkType(number),
                Err(_) => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// The kind of what was read as `layer` and is not IP.
    pub(super) fn of_layer(layer: Layer, rest: Rest<'_>) -> Self {
        let kind = match (layer, rest.bytes) {
            (Layer::EtherType(kind), _) => Some(Self::EtherType(kind)),
            (Layer::Llc, &[0xaa, 0xaa, 0x03, a, b, c, high, low, ..]) => {
                let organization = u32::from_be_bytes([0, a, b, c]);
                Some(Self::Snap(organization, u16::from_be_bytes([high, low])))
            }
            (Layer::Llc, [access_point, ..]) => Some(Self::Llc(*access_point)),
            (Layer::Wlan, _) => Some(Self::Wlan),
            (Layer::Ppp | Layer::FramedPpp, _) => {
                link::ppp_protocol(layer, rest).ok().map(|(protocol, _)| Self::Ppp(protocol))
            }
            (Layer::Ip, [first, ..]) => Some(Self::IpVersion(first >> 4)),
            _ => None,
        };
        kind.unwrap_or(Self::Unknown)
    }

    /// The kind of an IP payload that is not TCP. Both directions of a flow count as one kind: by
    /// the lower port with a name, else by the lower port.
    pub(super) fn of_payload(protocol: u8, rest: Rest<'_>) -> Self {
        match (rest.u16(0), rest.u16(2)) {
            (Ok(source), Ok(destination)) if protocol == protocol::UDP => {
                let (low, high) = (source.min(destination), source.max(destination));
                let named = [low, high].into_iter().find(|port| service(*port).is_some());
                Self::Udp(named.unwrap_or(low))
            }
            _ => Self::IpProtocol(protocol),
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::EtherType(kind) => ether_type(kind),
            Self::Llc(access_point) => Some(match access_point {
                0x42 => "STP",
                0xe0 => "IPX",
                0xf0 => "NetBIOS",
                0xfe => "IS-IS",
                _ => return None,
            }),
            Self::Snap(0x00_000c, protocol) => Some(match protocol {
                0x010b => "PVST+",
                0x0111 => "UDLD",
                0x2000 => "CDP",
                0x2003 => "VTP",
                0x2004 => "DTP",
                _ => return None,
            }),
            Self::Ppp(protocol) => Some(match protocol {
                0x003d => "multilink",
                0x00fd => "compressed",
                0x8021 => "IPCP",
                0x8057 => "IPV6CP",
                0xc021 => "LCP",
                0xc023 => "PAP",
                0xc223 => "CHAP",
                _ => return None,
            }),
            Self::IpProtocol(number) => ip::protocol_name(number),
            Self::Udp(port) => service(port),
            Self::AddressFamily(_)
            | Self::LinkType(_)
            | Self::Snap(..)
            | Self::Wlan
            | Self::IpVersion(_)
            | Self::Unknown => None,
        }
    }
}

/// `EtherType 0x0806 (ARP)`, `UDP port 53 (DNS)`: the number, and its name if it has one.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressFamily(family) => write!(f, "address family {family}"),
            Self::LinkType(number) => write!(f, "link type {number}"),
            Self::EtherType(kind) => write!(f, "EtherType {kind:#06x}"),
            Self::Llc(access_point) => write!(f, "LLC {access_point:#04x}"),
            Self::Snap(organization, protocol) => {
                write!(f, "SNAP {organization:06x}:{protocol:04x}")
            }
            Self::Wlan => f.write_str("802.11"),
            Self::Ppp(protocol) => write!(f, "PPP {protocol:#06x}"),
            Self::IpVersion(version) => write!(f, "IP version {version}"),
            Self::IpProtocol(number) => write!(f, "IP protocol {number}"),
            Self::Udp(port) => write!(f, "UDP port {port}"),
            Self::Unknown => f.write_str("unknown"),
        }?;
        self.name().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// From IEEE's list: those that occur in captures of production networks.
fn ether_type(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0x0806 => "ARP",
        0x0842 => "Wake-on-LAN",
        0x22f3 => "TRILL",
        0x4305 => "batman-adv",
        0x8035 => "RARP",
        0x8137 => "IPX",
        0x8809 => "LACP",
        0x8863 => "PPPoE discovery",
        0x888e => "802.1X",
        0x8892 => "PROFINET",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x8914 => "FIP",
        0x8915 => "RoCE",
        0x894f => "NSH",
        0x9000 => "loop test",
        _ => return None,
    })
}

/// What usually listens on a UDP port. It is only a guess.
fn service(port: u16) -> Option<&'static str> {
    Some(match port {
        53 => "DNS",
        67 | 68 => "DHCP",
        69 => "TFTP",
        123 => "NTP",
        137 | 138 => "NetBIOS",
        161 | 162 => "SNMP",
        443 => "QUIC?",
        500 => "IKE",
        514 => "syslog",
        546 | 547 => "DHCPv6",
        1812 | 1813 => "RADIUS",
        1900 => "SSDP",
        2055 => "NetFlow",
        3478 => "STUN",
        4500 => "IPsec",
        4791 => "RoCE",
        5353 => "mDNS",
        5355 => "LLMNR",
        6343 => "sFlow",
        8125 => "StatsD",
        51820 => "WireGuard",
        port::L2TP => "L2TP",
        port::GTP_USER => "GTP-U",
        port::TEREDO => "Teredo",
        port::GRE => "GRE",
        port::VXLAN | port::VXLAN_LINUX => "VXLAN",
        port::VXLAN_GPE => "VXLAN-GPE",
        port::AYIYA => "AYIYA",
        port::GENEVE => "Geneve",
        port::TZSP => "TZSP",
        _ => return None,
    })
}

/// How often packets of each kind were skipped.
pub(super) struct Kinds {
    not_ip: Frequent<Kind>,
    not_tcp: Frequent<Kind>,
}

impl Kinds {
    pub(super) fn new() -> Self {
        Self { not_ip: Frequent::new(), not_tcp: Frequent::new() }
    }

    /// Counts a packet that was skipped as not IP or not TCP. Ignores the other reasons.
    pub(super) fn count(&mut self, why: Skip, kind: Kind) {
        match why {
            Skip::NotIp => self.not_ip.count(kind),
            Skip::NotTcp => self.not_tcp.count(kind),
            _ => {}
        }
    }

    /// The most frequent ones of both reasons, each count by its name.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        let note = |topic, kinds: &Frequent<Kind>| {
            let (most, others) = kinds.most();
            let most = most.into_iter().map(|(kind, n)| (kind.to_string(), n));
            Note::new(topic, most.chain([("other".to_owned(), others)]))
        };
        [note(Topic::NotIpByKind, &self.not_ip), note(Topic::NotTcpByKind, &self.not_tcp)]
            .into_iter()
            .flatten()
    }
}
