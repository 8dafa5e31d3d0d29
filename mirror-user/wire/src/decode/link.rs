//! The headers between the link and IP: MAC headers, VLAN tags, MPLS, PPP.

use super::Skip;
use super::rest::Rest;
use crate::packet::LinkType;
use crate::segment::TagKind;

/// What a header is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// An Ethernet II or IEEE 802.3 frame.
    Ethernet,
    /// The protocol with this EtherType.
    EtherType(u16),
    /// IEEE 802.2 logical link control.
    Llc,
    /// An IEEE 802.11 frame.
    Wlan,
    /// MPLS label stack entries (RFC 3032).
    Mpls,
    /// A PPP frame, from the protocol field on.
    Ppp,
    /// A PPP frame that may begin with address and control fields (RFC 1662 §3.1).
    FramedPpp,
    /// IPv4 or IPv6, according to the version field.
    Ip,
}

/// Values of the EtherType field (IEEE 802 numbers), and those of GRE's protocol type.
pub(super) mod ether_type {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(in super::super) const VLAN: u16 = 0x8100;
    pub(in super::super) const PROVIDER_VLAN: u16 = 0x88a8;
    /// Tags of double tagging before 802.1ad, still in use.
    pub(in super::super) const OLD_VLANS: [u16; 2] = [0x9100, 0x9200];
    /// 802.1BR.
    pub(in super::super) const E_TAG: u16 = 0x893f;
    /// Of Cisco's fabric extenders, before 802.1BR.
    pub(in super::super) const VN_TAG: u16 = 0x8926;
    /// Cisco's security group.
    pub(in super::super) const METADATA: u16 = 0x8909;
    /// Cisco's and Arista's time stamp.
    pub(in super::super) const TIME_TAG: u16 = 0x8988;
    pub(in super::super) const MPLS: u16 = 0x8847;
    pub(in super::super) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(in super::super) const PPPOE_SESSION: u16 = 0x8864;
    /// Transparent Ethernet bridging, in GRE (NVGRE) and Geneve.
    pub(in super::super) const ETHERNET: u16 = 0x6558;
    pub(in super::super) const FABRIC_PATH: u16 = 0x8903;
    pub(in super::super) const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub(in super::super) const PPP_IN_GRE: u16 = 0x880b;
    pub(in super::super) const ERSPAN: u16 = 0x88be;
    pub(in super::super) const ERSPAN_III: u16 = 0x22eb;
    /// Values below are lengths of 802.3 frames.
    pub(in super::super) const FIRST: u16 = 0x0600;
}

/// Reads the header that the source prepends to the frame.
pub(super) fn open(link: LinkType, rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    match link {
        LinkType::Ethernet => Ok((Layer::Ethernet, rest)),
        LinkType::RawIp => Ok((Layer::Ip, rest)),
        LinkType::Null => {
            let (family, rest) = rest.header::<4>()?;
            match address_family(*family) {
                // AF_INET; AF_INET6 of Linux, NetBSD, FreeBSD and Darwin.
                2 | 10 | 24 | 28 | 30 => Ok((Layer::Ip, rest)),
                _ => Err(Skip::NotIp),
            }
        }
        LinkType::LinuxSll => {
            let (header, rest) = rest.header::<16>()?;
            let [.., high, low] = *header;
            Ok((cooked(u16::from_be_bytes([high, low])), rest))
        }
        LinkType::LinuxSll2 => {
            let (header, rest) = rest.header::<20>()?;
            let [high, low, ..] = *header;
            Ok((cooked(u16::from_be_bytes([high, low])), rest))
        }
        LinkType::Ppp => Ok((Layer::FramedPpp, rest)),
        LinkType::Nflog => nflog(rest),
        LinkType::Pktap => {
            let (number, rest) = pktap(rest)?;
            match LinkType::from_number(number) {
                Some(LinkType::Pktap) | None => Err(Skip::NotIp),
                Some(link) => open(link, rest),
            }
        }
    }
}

/// The address family of a loopback header, whichever byte order it has.
pub(super) fn address_family(header: [u8; 4]) -> u32 {
    u32::from_le_bytes(header).min(u32::from_be_bytes(header))
}

/// Protocol of a cooked header: an EtherType, or Linux's own number for 802.3 and 802.2.
fn cooked(protocol: u16) -> Layer {
    match protocol {
        0x0001 => Layer::Ethernet,
        0x0004 => Layer::Llc,
        other => Layer::EtherType(other),
    }
}

/// Attributes in the byte order of the capturing host, which is not recorded; the payload is one
/// of them (`NFULA_PAYLOAD`, 9).
fn nflog(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let mut rest = rest.skip(4)?;
    // The attributes of one packet: about twenty kinds.
    for _ in 0..32 {
        let (header, _) = rest.header::<4>()?;
        let &[a, b, c, d] = header;
        let (mut len, mut kind) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if kind > 255 {
            (len, kind) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        }
        if len < 4 {
            return Err(Skip::Malformed);
        }
        if kind == 9 {
            let len = usize::from(len).saturating_sub(4);
            return Ok((Layer::Ip, rest.skip(4)?.limit(len)));
        }
        rest = rest.skip(usize::from(len).next_multiple_of(4))?;
    }
    Err(Skip::Malformed)
}

/// Apple's header (`pktap_header` and `pktap_v2_hdr` of XNU): its length, the link type of the
/// packet, names and process numbers. Little-endian, as every Mac is that writes it.
pub(super) fn pktap(rest: Rest<'_>) -> Result<(u16, Rest<'_>), Skip> {
    /// The bit of version 2 in the third byte of the flags, which are in the same place in both
    /// versions.
    const VERSION_2: u8 = 0x08;
    const PACKET: u32 = 1;
    let (header, _) = rest.header::<40>()?;
    let &[a, b, c, d, e, f, g, h, i, j, k, l, .., flags, _] = header;
    let word = u32::from_le_bytes;
    let (len, next, link) = if flags & VERSION_2 != 0 {
        (u32::from(a), PACKET, u32::from(u16::from_le_bytes([g, h])))
    } else {
        (word([a, b, c, d]), word([e, f, g, h]), word([i, j, k, l]))
    };
    let link = u16::try_from(link).map_err(|_| Skip::Malformed)?;
    if (len as usize) < header.len() || next != PACKET {
        return Err(Skip::Malformed);
    }
    Ok((link, rest.skip(len as usize)?))
}

/// Reads one header.
pub(super) fn read(layer: Layer, rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    match layer {
        Layer::Ethernet => {
            let kind = rest.u16(12)?;
            Ok((typed(kind), rest.skip(14)?))
        }
        Layer::EtherType(kind) => after(kind, rest),
        Layer::Llc => {
            let (header, rest) = rest.header::<8>()?;
            match *header {
                // SNAP with an EtherType: OUI zero, or that of bridged 802.3.
                [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low] => {
                    Ok((Layer::EtherType(u16::from_be_bytes([high, low])), rest))
                }
                _ => Err(Skip::NotIp),
            }
        }
        Layer::Wlan => wlan(rest),
        Layer::Mpls => mpls(rest),
        Layer::Ppp | Layer::FramedPpp => match ppp_protocol(layer, rest)? {
            (0x0021 | 0x0057, rest) => Ok((Layer::Ip, rest)),
            (0x0281 | 0x0283, rest) => Ok((Layer::Mpls, rest)),
            _ => Err(Skip::NotIp),
        },
        Layer::Ip => Ok((Layer::Ip, rest)),
    }
}

fn typed(kind: u16) -> Layer {
    if kind < ether_type::FIRST { Layer::Llc } else { Layer::EtherType(kind) }
}

fn after(kind: u16, rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    use ether_type as is;
    match kind {
        // Some exporters announce the wrong IP version; the version in the IP header decides.
        is::IPV4 | is::IPV6 => Ok((Layer::Ip, rest)),
        is::VLAN | is::PROVIDER_VLAN => tagged(rest),
        kind if is::OLD_VLANS.contains(&kind) => tagged(rest),
        // The frame's port in the switch differs by direction, and does not identify a tenant.
        is::VN_TAG => passed_over(rest, 4),
        is::E_TAG | is::METADATA | is::TIME_TAG => passed_over(rest, 6),
        is::MPLS | is::MPLS_UPSTREAM => Ok((Layer::Mpls, rest)),
        is::PPPOE_SESSION => {
            let (&[version, code, _, _, high, low], rest) = rest.header::<6>()?;
            if version != 0x11 || code != 0 {
                return Err(Skip::Malformed);
            }
            Ok((Layer::Ppp, rest.limit(usize::from(u16::from_be_bytes([high, low])))))
        }
        is::ETHERNET => Ok((Layer::Ethernet, rest)),
        // The remaining two bytes of the tag; a complete inner frame follows.
        is::FABRIC_PATH => Ok((Layer::Ethernet, rest.skip(2)?)),
        // 802.1ah: the four bytes of the I-TAG.
        is::PROVIDER_BACKBONE => Ok((Layer::Ethernet, rest.skip(4)?)),
        _ => Err(Skip::NotIp),
    }
}

/// The identifier in a VLAN tag; the other bits are the priority's.
pub(super) const VLAN_ID: u16 = 0x0fff;

fn tagged(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let id = u32::from(rest.u16(0)? & VLAN_ID);
    let (layer, rest) = passed_over(rest, 2)?;
    Ok((layer, rest.tagged(TagKind::Vlan, id)))
}

/// A tag of `len` bytes, then the type of what follows.
fn passed_over(rest: Rest<'_>, len: usize) -> Result<(Layer, Rest<'_>), Skip> {
    let rest = rest.skip(len)?;
    Ok((typed(rest.u16(0)?), rest.skip(2)?))
}

/// A data frame as an access point sends it through a tunnel to its controller.
fn wlan(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    const DATA: u8 = 0x08;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;
    let (&[kind, flags], _) = rest.header::<2>()?;
    let is_plain_data = kind & 0x0c == DATA && kind & NO_DATA == 0;
    if !is_plain_data || flags & (PROTECTED | MORE_FRAGMENTS) != 0 {
        return Err(Skip::NotIp);
    }
    // A fourth address where the frame goes from one access point to another.
    let mut len: usize = if flags & 0x03 == 0x03 { 30 } else { 24 };
    if kind & QOS != 0 {
        len = len.saturating_add(if flags & HT_CONTROL != 0 { 6 } else { 2 });
    }
    Ok((Layer::Llc, rest.skip(len)?))
}

/// Reads one label. The protocol after the last one is not announced: it is IP if the version
/// matches, else a pseudowire, with a control word (RFC 4385: first nibble 0) or without.
fn mpls(rest: Rest<'_>) -> Result<(Layer, Rest<'_>), Skip> {
    let (&[_, _, bottom, _], rest) = rest.header::<4>()?;
    if bottom & 1 == 0 {
        return Ok((Layer::Mpls, rest));
    }
    match rest.u8(0)? >> 4 {
        4 | 6 => Ok((Layer::Ip, rest)),
        0 => Ok((Layer::Ethernet, rest.skip(4)?)),
        _ => Ok((Layer::Ethernet, rest)),
    }
}

/// The protocol of a PPP frame and what follows it.
pub(super) fn ppp_protocol(layer: Layer, rest: Rest<'_>) -> Result<(u16, Rest<'_>), Skip> {
    let rest = match rest.bytes {
        [0xff, 0x03, ..] if layer == Layer::FramedPpp => rest.skip(2)?,
        _ => rest,
    };
    // RFC 1661 §6.5: an odd first byte is a compressed protocol field.
    let first = rest.u8(0)?;
    if first & 1 == 1 {
        Ok((u16::from(first), rest.skip(1)?))
    } else {
        Ok((rest.u16(0)?, rest.skip(2)?))
    }
}
