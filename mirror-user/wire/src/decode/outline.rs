//! The outermost transport of a packet, while the decoder continues to the innermost one. For
//! diagnosis: why are there no segments?

use enum_map::Enum;
use serde::Serialize;
use strum::IntoStaticStr;

use super::ip::{self, Payload, protocol};
use super::link::{self, Layer};
use super::rest::Rest;
use super::tunnel::port;
use super::{MAX_HEADERS, Skip};
use crate::packet::Packet;

/// The outermost transport of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outline {
    /// TCP.
    Tcp,
    /// A tunnel, recognized by the protocol or the port.
    Tunnel(Tunnel),
    /// UDP of no known tunnel.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The payload's first byte has the two bits that a QUIC packet with a long header has set
        /// (RFC 9000 §17.2): how its connections begin.
        quic: bool,
    },
    /// A piece of a fragmented datagram.
    Fragment,
    /// Another protocol.
    Other,
}

/// What carries packets within packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enum, IntoStaticStr, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tunnel {
    /// RFC 7348, VXLAN-GPE included.
    #[strum(serialize = "VXLAN")]
    Vxlan,
    /// RFC 8926.
    #[strum(serialize = "Geneve")]
    Geneve,
    /// RFC 2784, ERSPAN and PPTP included, and in UDP (RFC 8086).
    #[strum(serialize = "GRE")]
    Gre,
    /// IPv4 or IPv6 directly in either (RFC 2003, 2473, 4213).
    #[strum(serialize = "IP in IP")]
    IpInIp,
    /// WireGuard, which is encrypted.
    #[strum(serialize = "WireGuard")]
    WireGuard,
    /// IPsec's ESP (RFC 4303), in UDP too (RFC 3948); encrypted as a rule.
    #[strum(serialize = "IPsec")]
    Ipsec,
    /// L2TP, GTP-U, Teredo, AYIYA, MPLS, EtherIP, TZSP.
    #[strum(serialize = "another kind of tunnel")]
    Another,
}

impl Tunnel {
    /// True if its content is encrypted.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::WireGuard | Self::Ipsec)
    }
}

/// The default of Linux and of most installations; IANA has assigned none.
const WIREGUARD: u16 = 51820;
const IPSEC_NAT: u16 = 4500;
const ESP: u8 = 50;

/// The outermost transport of `packet`.
///
/// # Errors
/// Why it has none, as the decoder's reason.
pub fn outline(packet: &Packet) -> Result<Outline, Skip> {
    let beyond = (packet.wire_len as usize).saturating_sub(packet.data.len());
    let (mut layer, mut rest) = link::open(packet.link, Rest::new(&packet.data, beyond))?;
    let mut headers = 0..MAX_HEADERS;
    while layer != Layer::Ip {
        headers.next().ok_or(Skip::TooDeep)?;
        (layer, rest) = link::read(layer, rest)?;
    }
    let mut payload = ip::read(rest)?;
    loop {
        headers.next().ok_or(Skip::TooDeep)?;
        match payload {
            Payload::Part(_) => return Ok(Outline::Fragment),
            Payload::Whole(carrier, rest) if ip::is_extension(&carrier) => {
                payload = ip::extension(carrier, rest)?;
            }
            Payload::Whole(carrier, rest) => return transport(carrier.protocol, rest),
        }
    }
}

fn transport(protocol: u8, rest: Rest<'_>) -> Result<Outline, Skip> {
    Ok(match protocol {
        protocol::TCP => Outline::Tcp,
        protocol::UDP => udp(rest.u16(0)?, rest.u16(2)?, rest),
        protocol::GRE => Outline::Tunnel(Tunnel::Gre),
        protocol::IPV4 | protocol::IPV6 => Outline::Tunnel(Tunnel::IpInIp),
        protocol::ETHER_IP | protocol::MPLS => Outline::Tunnel(Tunnel::Another),
        ESP => Outline::Tunnel(Tunnel::Ipsec),
        _ => Outline::Other,
    })
}

fn udp(source: u16, destination: u16, rest: Rest<'_>) -> Outline {
    const QUIC_LONG_HEADER: u8 = 0xc0;
    let either = |port: u16| source == port || destination == port;
    Outline::Tunnel(match destination {
        port::VXLAN | port::VXLAN_LINUX | port::VXLAN_GPE => Tunnel::Vxlan,
        port::GENEVE => Tunnel::Geneve,
        port::GRE => Tunnel::Gre,
        port::MPLS | port::TZSP => Tunnel::Another,
        _ if either(WIREGUARD) => Tunnel::WireGuard,
        _ if either(IPSEC_NAT) => Tunnel::Ipsec,
        _ if [port::L2TP, port::GTP_USER, port::TEREDO, port::AYIYA].into_iter().any(either) => {
            Tunnel::Another
        }
        _ => {
            let first = rest.u8(8).unwrap_or(0);
            let quic = first & QUIC_LONG_HEADER == QUIC_LONG_HEADER;
            return Outline::Udp { source, destination, quic };
        }
    })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::packet::{InterfaceId, LinkType, Timestamp};

    fn packet(link: LinkType, data: Vec<u8>) -> Packet {
        let wire_len = u32::try_from(data.len()).unwrap();
        let at = Timestamp::from_nanos(1);
        Packet { at, link, interface: InterfaceId(0), wire_len, data: data.into() }
    }

    fn udp_to(port: u16, payload: &[u8]) -> Outline {
        let mut bytes = Vec::new();
        let builder =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder.udp(40000, port).write(&mut bytes, payload).unwrap();
        outline(&packet(LinkType::Ethernet, bytes)).unwrap()
    }

    #[test]
    fn the_outermost_transport_is_reported() {
        let mut tcp = Vec::new();
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64).tcp(1, 2, 3, 4);
        builder.write(&mut tcp, b"x").unwrap();
        assert_eq!(outline(&packet(LinkType::RawIp, tcp.clone())), Ok(Outline::Tcp));
        assert_eq!(udp_to(4789, &[8, 0, 0, 0]), Outline::Tunnel(Tunnel::Vxlan));
        assert_eq!(udp_to(6081, &[]), Outline::Tunnel(Tunnel::Geneve));
        assert_eq!(udp_to(51820, &[4, 0, 0, 0]), Outline::Tunnel(Tunnel::WireGuard));
        let quic = Outline::Udp { source: 40000, destination: 443, quic: true };
        assert_eq!(udp_to(443, &[0xc3, 0, 0, 0, 1]), quic);
        let dns = Outline::Udp { source: 40000, destination: 53, quic: false };
        assert_eq!(udp_to(53, &[]), dns);
        for (number, expected) in [(47, Tunnel::Gre), (4, Tunnel::IpInIp), (50, Tunnel::Ipsec)] {
            let mut bytes = Vec::new();
            let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
            builder.write(&mut bytes, number.into(), &tcp).unwrap();
            let told = outline(&packet(LinkType::RawIp, bytes));
            assert_eq!(told, Ok(Outline::Tunnel(expected)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_ordinary(
            bytes in prop::collection::vec(any::<u8>(), 0..200), ethernet in any::<bool>()
        ) {
            let link = if ethernet { LinkType::Ethernet } else { LinkType::RawIp };
            let _ = outline(&packet(link, bytes));
        }
    }
}
