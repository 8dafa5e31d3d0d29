//! A bounds-checked walk from the link header to TCP.

use mirror_common::Link;
use mirror_common::flow::{Address, End, Ends};

use crate::packet::Buffer;

/// VLAN tags in the bytes: 802.1Q within 802.1ad is two, and clouds stack a third.
const MAX_TAGS: usize = 3;

/// IPv6 extension headers; RFC 8200 §4.1 knows six that a host may send once each.
const MAX_EXTENSIONS: usize = 6;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

const PROTOCOL_TCP: u8 = 6;
const FIN_SYN_RST: u8 = 0x07;

/// What the walk found.
pub enum Found {
    /// A TCP segment.
    Tcp(Tcp),
    /// A piece of a fragmented TCP datagram, whose ports may be in another piece.
    Fragment,
    /// Something else.
    NotTcp,
    /// Headers that end too early or contradict themselves.
    Malformed,
}

/// What decides about a TCP segment.
pub struct Tcp {
    pub ends: Ends,
    /// Payload, or a flag that opens or ends a connection.
    pub speaks: bool,
}

/// Walks the headers of `packet`.
#[inline(always)]
pub fn walk<B: Buffer>(packet: &B, link: Link) -> Found {
    let walked = match link {
        Link::Ethernet => ethernet(packet),
        // Two bytes where one would do: the verifier draws nothing from `start < end` alone.
        Link::Ip => packet.read::<[u8; 2]>(0).map(|[first, _]| match first >> 4 {
            4 => (ETHERTYPE_IPV4, 0),
            6 => (ETHERTYPE_IPV6, 0),
            _ => (0, 0),
        }),
    };
    match walked {
        Some((ETHERTYPE_IPV4, at)) => ipv4(packet, at),
        Some((ETHERTYPE_IPV6, at)) => ipv6(packet, at),
        Some(_) => Some(Found::NotTcp),
        None => None,
    }
    .unwrap_or(Found::Malformed)
}

/// The EtherType behind Ethernet and VLAN headers, and where its header begins.
#[inline(always)]
fn ethernet<B: Buffer>(packet: &B) -> Option<(u16, u32)> {
    let mut at = 12;
    for _ in 0..=MAX_TAGS {
        let ethertype = u16::from_be_bytes(packet.read(at)?);
        at += 2;
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
            return Some((ethertype, at));
        }
        at += 2;
    }
    Some((0, at))
}

#[inline(always)]
fn ipv4<B: Buffer>(packet: &B, at: u32) -> Option<Found> {
    let header: [u8; 20] = packet.read(at)?;
    let header_len = u32::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return None;
    }
    if header[9] != PROTOCOL_TCP {
        return Some(Found::NotTcp);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if fragment & 0x3fff != 0 {
        return Some(Found::Fragment);
    }
    let total_len = u32::from(u16::from_be_bytes([header[2], header[3]]));
    // Linux writes 0 where the packet is longer than the field can say (BIG TCP).
    let end = if total_len == 0 { packet.len() } else { at + total_len };
    let [.., a, b, c, d, e, f, g, h] = header;
    let addresses = (Address::v4([a, b, c, d]), Address::v4([e, f, g, h]));
    tcp(packet, at + header_len, end, addresses)
}

#[inline(always)]
fn ipv6<B: Buffer>(packet: &B, at: u32) -> Option<Found> {
    let header: [u8; 40] = packet.read(at)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let payload_len = u32::from(u16::from_be_bytes([header[4], header[5]]));
    let end = if payload_len == 0 { packet.len() } else { at + 40 + payload_len };
    let addresses = (address_v6(&header, 8), address_v6(&header, 24));
    let mut next = header[6];
    let mut at = at + 40;
    for _ in 0..=MAX_EXTENSIONS {
        match next {
            PROTOCOL_TCP => return tcp(packet, at, end, addresses),
            // Hop-by-hop options, routing, destination options, mobility, HIP, Shim6.
            0 | 43 | 60 | 135 | 139 | 140 => {
                let [following, len]: [u8; 2] = packet.read(at)?;
                next = following;
                at += (u32::from(len) + 1) * 8;
            }
            // Authentication header: its length counts differently (RFC 4302 §2.2).
            51 => {
                let [following, len]: [u8; 2] = packet.read(at)?;
                next = following;
                at += (u32::from(len) + 2) * 4;
            }
            44 => {
                let [following, _, offset_high, offset_low]: [u8; 4] = packet.read(at)?;
                let is_whole = u16::from_be_bytes([offset_high, offset_low]) & 0xfff9 == 0;
                if !is_whole && following == PROTOCOL_TCP {
                    return Some(Found::Fragment);
                }
                // An atomic fragment (RFC 6946) is a whole packet.
                next = following;
                at += 8;
            }
            _ => return Some(Found::NotTcp),
        }
    }
    Some(Found::NotTcp)
}

#[inline(always)]
fn address_v6(header: &[u8; 40], at: usize) -> Address {
    let mut address = [0; 16];
    address.copy_from_slice(&header[at..at + 16]);
    Address::v6(address)
}

#[inline(always)]
fn tcp<B: Buffer>(
    packet: &B,
    at: u32,
    end: u32,
    (source, destination): (Address, Address),
) -> Option<Found> {
    let header: [u8; 14] = packet.read(at)?;
    let header_len = u32::from(header[12] >> 4) * 4;
    if header_len < 20 {
        return None;
    }
    let source = End { address: source, port: u16::from_be_bytes([header[0], header[1]]) };
    let port = u16::from_be_bytes([header[2], header[3]]);
    Some(Found::Tcp(Tcp {
        ends: Ends { source, destination: End { address: destination, port } },
        speaks: header[13] & FIN_SYN_RST != 0 || at + header_len < end,
    }))
}
