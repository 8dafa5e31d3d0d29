//! A bounds-checked walk from the link header to TCP.

use mirror_common::Link;
use mirror_common::flow::{Address, End, Ends};

use crate::packet::{Buffer, Spare};

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
    let mut spare = Spare::uninit();
    let walked = match link {
        Link::Ethernet => ethernet(packet, &mut spare),
        // Two bytes where one would do: the verifier draws nothing from `start < end` alone.
        Link::Ip => packet.view::<2>(0, &mut spare).map(|bytes| match bytes.u8::<0>() >> 4 {
            4 => (ETHERTYPE_IPV4, 0),
            6 => (ETHERTYPE_IPV6, 0),
            _ => (0, 0),
        }),
    };
    match walked {
        Some((ETHERTYPE_IPV4, at)) => ipv4(packet, at, &mut spare),
        Some((ETHERTYPE_IPV6, at)) => ipv6(packet, at, &mut spare),
        Some(_) => Some(Found::NotTcp),
        None => None,
    }
    .unwrap_or(Found::Malformed)
}

/// The EtherType behind Ethernet and VLAN headers, and where its header begins.
#[inline(always)]
fn ethernet<B: Buffer>(packet: &B, spare: &mut Spare) -> Option<(u16, u32)> {
    let mut at = 12;
    for _ in 0..=MAX_TAGS {
        let ethertype = packet.view::<2>(at, spare)?.be16::<0>();
        at += 2;
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_QINQ {
            return Some((ethertype, at));
        }
        at += 2;
    }
    Some((0, at))
}

#[inline(always)]
fn ipv4<B: Buffer>(packet: &B, at: u32, spare: &mut Spare) -> Option<Found> {
    let header = packet.view::<20>(at, spare)?;
    let first = header.u8::<0>();
    let header_len = u32::from(first & 0x0f) * 4;
    if first >> 4 != 4 || header_len < 20 {
        return None;
    }
    if header.u8::<9>() != PROTOCOL_TCP {
        return Some(Found::NotTcp);
    }
    if header.be16::<6>() & 0x3fff != 0 {
        return Some(Found::Fragment);
    }
    let total_len = u32::from(header.be16::<2>());
    // Linux writes 0 where the packet is longer than the field can say (BIG TCP).
    let end = if total_len == 0 { packet.len() } else { at + total_len };
    let addresses = (Address::v4(header.be32::<12>()), Address::v4(header.be32::<16>()));
    tcp(packet, at + header_len, end, addresses, spare)
}

#[inline(always)]
fn ipv6<B: Buffer>(packet: &B, at: u32, spare: &mut Spare) -> Option<Found> {
    let header = packet.view::<40>(at, spare)?;
    if header.u8::<0>() >> 4 != 6 {
        return None;
    }
    let payload_len = u32::from(header.be16::<4>());
    let end = if payload_len == 0 { packet.len() } else { at + 40 + payload_len };
    let addresses = (
        Address::v6(header.be64::<8>(), header.be64::<16>()),
        Address::v6(header.be64::<24>(), header.be64::<32>()),
    );
    let mut next = header.u8::<6>();
    let mut at = at + 40;
    for _ in 0..=MAX_EXTENSIONS {
        if next == PROTOCOL_TCP {
            return tcp(packet, at, end, addresses, spare);
        }
        let extension = match next {
            // Hop-by-hop options, routing, destination options, mobility, HIP, Shim6; the
            // authentication header; a fragment.
            0 | 43 | 60 | 135 | 139 | 140 | 51 | 44 => packet.view::<4>(at, spare)?,
            _ => return Some(Found::NotTcp),
        };
        let (following, len) = (extension.u8::<0>(), u32::from(extension.u8::<1>()));
        at += match next {
            // Its length counts differently (RFC 4302 §2.2).
            51 => (len + 2) * 4,
            44 => {
                let is_whole = extension.be16::<2>() & 0xfff9 == 0;
                if !is_whole && following == PROTOCOL_TCP {
                    return Some(Found::Fragment);
                }
                // An atomic fragment (RFC 6946) is a whole packet.
                8
            }
            _ => (len + 1) * 8,
        };
        next = following;
    }
    Some(Found::NotTcp)
}

#[inline(always)]
fn tcp<B: Buffer>(
    packet: &B,
    at: u32,
    end: u32,
    (source, destination): (Address, Address),
    spare: &mut Spare,
) -> Option<Found> {
    let header = packet.view::<14>(at, spare)?;
    let header_len = u32::from(header.u8::<12>() >> 4) * 4;
    if header_len < 20 {
        return None;
    }
    Some(Found::Tcp(Tcp {
        ends: Ends {
            source: End { address: source, port: header.be16::<0>() },
            destination: End { address: destination, port: header.be16::<2>() },
        },
        speaks: header.u8::<13>() & FIN_SYN_RST != 0 || at + header_len < end,
    }))
}
