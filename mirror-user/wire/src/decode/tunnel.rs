//! Packets within packets: tunnels below a transport other than TCP.

use super::Skip;
use super::ip::protocol;
use super::link::{Layer, ether_type};
use super::rest::Rest;
use crate::segment::TagKind;

/// UDP ports on which tunnels listen (IANA's list; 8472 is Linux's default for VXLAN).
pub(super) mod port {
    pub(in super::super) const L2TP: u16 = 1701;
    pub(in super::super) const GTP_USER: u16 = 2152;
    pub(in super::super) const TEREDO: u16 = 3544;
    pub(in super::super) const GRE: u16 = 4754;
    pub(in super::super) const VXLAN: u16 = 4789;
    pub(in super::super) const VXLAN_GPE: u16 = 4790;
    pub(in super::super) const AYIYA: u16 = 5072;
    pub(in super::super) const GENEVE: u16 = 6081;
    pub(in super::super) const MPLS: u16 = 6635;
    pub(in super::super) const VXLAN_LINUX: u16 = 8472;
    /// TaZmen Sniffer Protocol, of MikroTik's and other sensors.
    pub(in super::super) const TZSP: u16 = 37008;
}

/// Reads the tunnel header of an IP payload that is neither TCP nor an extension header.
pub(super) fn read(protocol: u8, rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    match protocol {
        protocol::IPV4 | protocol::IPV6 => Ok((Layer::Ip, rest)),
        protocol::UDP => udp(rest),
        protocol::GRE => gre(rest),
        protocol::MPLS => Ok((Layer::Mpls, rest)),
        // RFC 3378: version 3 and zeros, then a frame.
        protocol::ETHER_IP => Ok((Layer::Ethernet, rest.skip(2)?)),
        _ => Err(Skip::NotTcp),
    }
}

/// A tunnel is recognized by its port alone, so bytes that do not look like its header are other
/// traffic that happens to use the port: not TCP, rather than malformed.
fn udp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let source = rest.u16(0)?;
    let destination = rest.u16(2)?;
    let len = usize::from(rest.u16(4)?);
    // A length of 0 is a jumbogram's (RFC 2675), or of a packet before segmentation.
    let rest = if len >= 8 { rest.limit(len) } else { rest }.skip(8)?;
    match destination {
        port::VXLAN | port::VXLAN_LINUX => vxlan(rest),
        port::VXLAN_GPE => vxlan_gpe(rest),
        port::GENEVE => geneve(rest),
        port::MPLS => Ok((Layer::Mpls, rest)),
        // RFC 8086.
        port::GRE => gre(rest),
        port::TZSP => tzsp(rest),
        port::GTP_USER => gtp(rest),
        port::L2TP => l2tp(rest),
        port::TEREDO => teredo(rest),
        port::AYIYA => ayiya(rest),
        // These reply from their well-known port to the port of the request.
        _ if source == port::GTP_USER => gtp(rest),
        _ if source == port::L2TP => l2tp(rest),
        _ if source == port::TEREDO => teredo(rest),
        _ if source == port::AYIYA => ayiya(rest),
        _ => Err(Skip::NotTcp),
    }
}

/// RFC 7348.
fn vxlan(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let (header, rest) = rest.header::<8>()?;
    // The network identifier must be valid; group policy and others use further flags.
    if header[0] & 0x08 == 0 {
        return Err(Skip::NotTcp);
    }
    Ok((Layer::Ethernet, rest.tagged(TagKind::Network, network(header))))
}

/// draft-ietf-nvo3-vxlan-gpe.
fn vxlan_gpe(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let (header, rest) = rest.header::<8>()?;
    let rest = rest.tagged(TagKind::Network, network(header));
    match header[3] {
        1 | 2 => Ok((Layer::Ip, rest)),
        3 => Ok((Layer::Ethernet, rest)),
        5 => Ok((Layer::Mpls, rest)),
        _ => Err(Skip::NotTcp),
    }
}

/// RFC 8926.
fn geneve(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let (header, rest) = rest.header::<8>()?;
    if header[0] >> 6 != 0 {
        return Err(Skip::NotTcp);
    }
    let options = usize::from(header[0] & 0x3f).saturating_mul(4);
    let rest = rest.tagged(TagKind::Network, network(header)).skip(options)?;
    Ok((Layer::EtherType(u16::from_be_bytes([header[2], header[3]])), rest))
}

/// The 24-bit identifier of a virtual network in VXLAN and Geneve.
fn network(&[_, _, _, _, a, b, c, _]: &[u8; 8]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

/// A frame that a sensor received or sends: tagged fields, then the frame. The format has no
/// standard; this is the common part of Wireshark and the sensors.
fn tzsp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    const ETHERNET: u16 = 1;
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let (&[version, kind, high, low], mut rest) = rest.header::<4>()?;
    let has_frame = version == 1 && kind <= 1;
    if !has_frame || u16::from_be_bytes([high, low]) != ETHERNET {
        return Err(Skip::NotTcp);
    }
    // There are about twenty kinds of fields.
    for _ in 0..64 {
        let field = rest.u8(0)?;
        rest = rest.skip(1)?;
        match field {
            END => return Ok((Layer::Ethernet, rest)),
            PADDING => {}
            _ => {
                let len = usize::from(rest.u8(0)?);
                rest = rest.skip(len.saturating_add(1))?;
            }
        }
    }
    Err(Skip::Malformed)
}

/// GTPv1-U (3GPP TS 29.281 §5): user packets of mobile networks.
fn gtp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    const USER_PACKET: u8 = 255;
    let (header, mut rest) = rest.header::<8>()?;
    if header[0] & 0xf0 != 0x30 || header[1] != USER_PACKET {
        return Err(Skip::NotTcp);
    }
    // Sequence number, N-PDU number, next extension header: present if any of them is flagged.
    if header[0] & 0x07 != 0 {
        let mut next = rest.u8(3)?;
        rest = rest.skip(4)?;
        let flagged = header[0] & 0x04 != 0;
        // Each extension names the next one in its last byte; a packet has one or two.
        for _ in 0..8 {
            if !flagged || next == 0 {
                break;
            }
            let len = usize::from(rest.u8(0)?).saturating_mul(4);
            next = rest.u8(len.checked_sub(1).ok_or(Skip::Malformed)?)?;
            rest = rest.skip(len)?;
        }
    }
    Ok((Layer::Ip, rest))
}

/// IPv6 through address translators (RFC 4380 §5.1.1), after at most two indications.
fn teredo(mut rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    if let [0, 1, id_len, auth_len, ..] = *rest.bytes {
        // Identifier and authentication value, then a nonce of eight bytes and a confirmation.
        rest = rest.skip(usize::from(id_len).saturating_add(usize::from(auth_len) + 13))?;
    }
    if let [0, 0, ..] = rest.bytes {
        rest = rest.skip(8)?;
    }
    if rest.u8(0)? >> 4 == 6 { Ok((Layer::Ip, rest)) } else { Err(Skip::NotTcp) }
}

/// IPv6 of tunnel brokers (draft-massar-v6ops-ayiya): identity and signature, then the packet.
fn ayiya(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    const FORWARD: u8 = 1;
    let (&[id, signature, operation, next, ..], rest) = rest.header::<8>()?;
    if operation & 0x0f != FORWARD || next != protocol::IPV6 {
        return Err(Skip::NotTcp);
    }
    let id_len = 1_usize << (id >> 4);
    let signature_len = usize::from(signature >> 4).saturating_mul(4);
    Ok((Layer::Ip, rest.skip(id_len)?.skip(signature_len)?))
}

/// L2TPv2 data messages (RFC 2661 §3.1).
fn l2tp(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let (&[flags, version], rest) = rest.header::<2>()?;
    let is_control = flags & 0x80 != 0;
    if version & 0x0f != 2 || is_control {
        return Err(Skip::NotTcp);
    }
    let optional = |bit: u8, len: usize| if flags & bit != 0 { len } else { 0 };
    // Length, tunnel and session, then sequence numbers and the offset to the payload.
    let mut rest = rest.skip(optional(0x40, 2).saturating_add(4))?.skip(optional(0x08, 4))?;
    if flags & 0x02 != 0 {
        let offset = usize::from(rest.u16(0)?);
        rest = rest.skip(offset.saturating_add(2))?;
    }
    Ok((Layer::FramedPpp, rest))
}

/// RFC 2784 with RFC 2890's key and sequence number; version 1 is PPTP's (RFC 2637).
fn gre(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACKNOWLEDGMENT: u8 = 0x80;
    let (&[flags, version, high, low], rest) = rest.header::<4>()?;
    if flags & ROUTING != 0 {
        return Err(Skip::NotTcp);
    }
    let word = |is_there: bool| if is_there { 4 } else { 0 };
    let rest = rest.skip(word(flags & CHECKSUM != 0))?;
    // PPTP's key is a length and a number that differs by direction.
    let rest = match rest.bytes.first_chunk() {
        Some(key) if flags & KEY != 0 && version & 0x07 == 0 => {
            rest.tagged(TagKind::GreKey, u32::from_be_bytes(*key))
        }
        _ => rest,
    };
    let rest = rest.skip(word(flags & KEY != 0))?.skip(word(flags & SEQUENCE != 0))?;
    match (version & 0x07, u16::from_be_bytes([high, low])) {
        (0, ether_type::ERSPAN) => {
            // Type I has no header of its own and, unlike type II, no sequence number.
            let header = if flags & SEQUENCE != 0 { 8 } else { 0 };
            Ok((Layer::Ethernet, rest.skip(header)?))
        }
        (0, ether_type::ERSPAN_III) => {
            let has_subheader = rest.u8(11)? & 1 != 0;
            Ok((Layer::Ethernet, rest.skip(if has_subheader { 20 } else { 12 })?))
        }
        // Aruba's access points number their 802.11 frames by queue.
        (0, 0x8200..=0x83ff | 0x9000) => Ok((Layer::Wlan, rest)),
        (0, kind) => Ok((Layer::EtherType(kind), rest)),
        (1, ether_type::PPP_IN_GRE) => {
            Ok((Layer::FramedPpp, rest.skip(word(version & ACKNOWLEDGMENT != 0))?))
        }
        _ => Err(Skip::NotTcp),
    }
}
