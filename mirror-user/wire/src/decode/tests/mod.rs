use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{IpFragOffset, Ipv4Header, PacketBuilder, VlanId};
use proptest::prelude::*;

use super::*;
use crate::packet::{InterfaceId, LinkType, Timestamp};
use crate::segment::{Flags, SeqNumber, Tag};

mod duplicates;
mod fragments;
mod hostile;
mod kinds;

const CLIENT: [u8; 4] = [10, 0, 0, 2];
const SERVER: [u8; 4] = [10, 0, 0, 1];

fn packet(link: LinkType, data: impl Into<Bytes>) -> Packet {
    let data = data.into();
    let wire_len = u32::try_from(data.len()).unwrap();
    Packet { at: Timestamp::from_nanos(1), link, interface: InterfaceId(0), wire_len, data }
}

fn decode(packet: &Packet) -> Result<Segment, Skip> {
    Decoder::new(Limits::default()).push(packet)
}

/// An IPv4 packet with a TCP segment from port 40000 to 8080.
fn ipv4(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(CLIENT, SERVER, 64).tcp(40000, 8080, 7, 500).ack(9).psh();
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (Ipv6Addr::LOCALHOST.octets(), [0xfd; 16]);
    let builder = PacketBuilder::ipv6(source, destination, 64).tcp(40000, 8080, 7, 500).ack(9);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn ethernet(ether_type: u16, rest: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ether_type.to_be_bytes(), rest].concat()
}

/// A packet as macOS writes it, with its link type: 108 bytes of header.
fn pktap(link: u32, rest: &[u8]) -> Vec<u8> {
    let words = [108, 1, link].map(u32::to_le_bytes);
    [words.as_flattened(), b"en0", &[0; 93], rest].concat()
}

/// The packet must give the segment of `ipv4` or `ipv6` with this payload.
fn assert_payload(packet: &Packet, payload: &[u8]) {
    let segment = decode(packet).unwrap();
    assert_eq!(segment.payload, payload);
    assert_eq!((segment.source.port(), segment.destination.port()), (40000, 8080));
    assert_eq!((segment.seq, segment.ack, segment.window), (SeqNumber(7), SeqNumber(9), 500));
    assert_eq!(segment.cut, 0);
}

#[test]
fn each_link_type_leads_to_the_same_segment() {
    let (v4, v6) = (ipv4(b"GET"), ipv6(b"GET"));
    let sll = |kind: u16| [&[0; 14][..], &kind.to_be_bytes()].concat();
    let sll2 = |kind: u16| [&kind.to_be_bytes()[..], &[0; 18]].concat();
    let nflog = [&[2, 0, 0, 0, 5, 0, 10, 0, 0, 0, 0, 0][..], &[47, 0, 9, 0], &v4].concat();
    let mut pktap_v2 = [0; 52];
    (pktap_v2[0], pktap_v2[6], pktap_v2[38]) = (52, 1, 0x08);
    let cases = [
        (LinkType::Ethernet, ethernet(0x0800, &v4)),
        (LinkType::Ethernet, ethernet(0x86dd, &v6)),
        (LinkType::RawIp, v4.clone()),
        (LinkType::RawIp, v6.clone()),
        (LinkType::LinuxSll, [sll(0x0800), v4.clone()].concat()),
        (LinkType::LinuxSll2, [sll2(0x86dd), v6.clone()].concat()),
        (LinkType::Null, [&[2, 0, 0, 0][..], &v4].concat()),
        (LinkType::Null, [&[0, 0, 0, 30][..], &v6].concat()),
        (LinkType::Ppp, [&[0xff, 0x03, 0x00, 0x21][..], &v4].concat()),
        (LinkType::Ppp, [&[0x57][..], &v6].concat()),
        (LinkType::Nflog, nflog),
        (LinkType::Pktap, pktap(1, &ethernet(0x0800, &v4))),
        (LinkType::Pktap, pktap(0, &[&[2, 0, 0, 0][..], &v4].concat())),
        (LinkType::Pktap, pktap(12, &v6)),
        (LinkType::Pktap, [&pktap_v2[..], &ethernet(0x0800, &v4)].concat()),
    ];
    for (link, bytes) in cases {
        assert_payload(&packet(link, bytes), b"GET");
    }
}

#[test]
fn tags_labels_and_sessions_are_read_through() {
    let v4 = ipv4(b"GET");
    let session_len = u16::try_from(v4.len() + 2).unwrap().to_be_bytes();
    let pppoe = [&[0x11, 0, 0, 1][..], &session_len, &[0x00, 0x21], &v4].concat();
    let frame = ethernet(0x0800, &v4);
    let cases = [
        ethernet(0x8100, &[&[0, 5, 0x08, 0x00][..], &v4].concat()),
        ethernet(0x88a8, &[&[0, 5, 0x81, 0, 0, 6, 0x08, 0][..], &v4].concat()),
        ethernet(0x9100, &[&[0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 0x08, 0][..], &v4].concat()),
        ethernet(0x8847, &[&[0, 1, 0, 9, 0, 2, 1, 9][..], &v4].concat()),
        ethernet(0x8926, &[&[0, 0, 0, 0x14, 0x08, 0][..], &v4].concat()),
        ethernet(0x893f, &[&[0, 1, 0, 2, 0, 0, 0x08, 0][..], &v4].concat()),
        ethernet(0x8909, &[&[1, 1, 0, 1, 0, 9, 0x08, 0][..], &v4].concat()),
        ethernet(0x8988, &[&[0, 0, 0, 1, 2, 3, 0x81, 0, 0, 5, 0x08, 0][..], &v4].concat()),
        ethernet(0x8847, &[&[0, 2, 1, 9, 0, 0, 0, 0][..], &frame].concat()),
        ethernet(0x8864, &pppoe),
        ethernet(0x8100, &[&[0, 5, 0x88, 0x64][..], &pppoe].concat()),
        ethernet(60, &[&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0][..], &v4].concat()),
    ];
    for bytes in cases {
        assert_payload(&packet(LinkType::Ethernet, bytes), b"GET");
    }
}

#[test]
fn what_keeps_tenants_apart_is_part_of_a_segment() {
    let v4 = ipv4(b"GET");
    let frame = ethernet(0x0800, &v4);
    let vlan = |id: u8| [&[0xe0, id, 0x08, 0x00][..], &v4].concat();
    let qinq = |outer: u8| [&[0, outer, 0x81, 0, 0, 6, 0x08, 0][..], &v4].concat();
    let tag = |bytes: Vec<u8>| decode(&packet(LinkType::Ethernet, bytes)).unwrap().tag;
    let within = |bytes: Vec<u8>| tag(ethernet(0x0800, &bytes));
    let network = |port, id: u8| within(over_udp(port, &[8, 0, 0, 0, 0, 0, id, 0], &frame));
    let geneve = |id: u8| within(over_udp(6081, &[0, 0, 0x65, 0x58, 0, 0, id, 0], &frame));
    let key = |id: u8| within(carried_by(47, &[0x20, 0, 0x08, 0, 0, 0, 0, id], &v4));
    let tags = [
        Tag::NONE,
        tag(ethernet(0x8100, &vlan(10))),
        tag(ethernet(0x8100, &vlan(20))),
        tag(ethernet(0x88a8, &qinq(1))),
        tag(ethernet(0x88a8, &qinq(2))),
        network(4789, 1),
        network(4789, 2),
        geneve(3),
        geneve(4),
        key(1),
        key(2),
    ];
    for (i, tag) in tags.iter().enumerate() {
        assert!(tags.iter().skip(i + 1).all(|other| tag != other), "{i}");
    }
    // A priority without an identifier is no network.
    assert_eq!(tag(ethernet(0x8100, &vlan(0))), Tag::NONE);
    // The slow path and the fast path agree: a third tag is left to the slow path.
    let inner = tag(ethernet(0x9100, &[&[0, 0, 0x81, 0, 0, 0, 0x81, 0][..], &vlan(10)].concat()));
    assert_eq!(inner, tag(ethernet(0x8100, &vlan(10))));
    let outer_lost = tag(ethernet(0x8100, &vlan(6)));
    assert!(outer_lost.may_be(tag(ethernet(0x88a8, &qinq(1)))));
    assert!(!tag(ethernet(0x88a8, &qinq(1))).may_be(tag(ethernet(0x88a8, &qinq(2)))));
}

#[test]
fn a_copy_without_its_tag_is_a_copy_and_another_tenants_packet_is_not() {
    let mut decoder = Decoder::new(Limits::default());
    let v4 = ipv4(b"GET");
    let mut push = |interface, tag: Option<u8>| {
        let bytes = match tag {
            Some(id) => ethernet(0x8100, &[&[0, id, 0x08, 0x00][..], &v4].concat()),
            None => ethernet(0x0800, &v4),
        };
        let packet =
            Packet { interface: InterfaceId(interface), ..packet(LinkType::Ethernet, bytes) };
        decoder.push(&packet).map(drop)
    };
    assert_eq!(push(0, Some(10)), Ok(()));
    assert_eq!(push(0, Some(20)), Ok(()));
    assert_eq!(push(1, None), Err(Skip::Duplicate));
    assert_eq!(push(2, Some(10)), Err(Skip::Duplicate));
}

fn carried_by(protocol: u8, header: &[u8], inner: &[u8]) -> Vec<u8> {
    let payload = [header, inner].concat();
    let len = u16::try_from(payload.len()).unwrap();
    let outer = Ipv4Header::new(len, 64, protocol.into(), [192, 0, 2, 1], [192, 0, 2, 2]).unwrap();
    [&outer.to_bytes()[..], &payload].concat()
}

fn over_udp(port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + header.len() + inner.len()).unwrap().to_be_bytes();
    let udp = [&[0x99, 0x99][..], &port.to_be_bytes(), &len, &[0, 0], header].concat();
    carried_by(17, &udp, inner)
}

#[test]
fn tunnels_are_looked_into() {
    let (v4, v6) = (ipv4(b"GET"), ipv6(b"GET"));
    let frame = ethernet(0x0800, &v4);
    let cases = [
        carried_by(4, &[], &v4),
        carried_by(41, &[], &v6),
        carried_by(137, &[0, 1, 1, 9], &v4),
        carried_by(97, &[0x30, 0], &frame),
        carried_by(47, &[0, 0, 0x08, 0], &v4),
        carried_by(47, &[0xb0, 0, 0x86, 0xdd, 1, 1, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3], &v6),
        carried_by(47, &[0x20, 0, 0x65, 0x58, 0, 0, 5, 1], &frame),
        carried_by(47, &[0, 0, 0x88, 0xbe], &frame),
        carried_by(47, &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0], &frame),
        carried_by(47, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20][..], &[0; 11]].concat(), &frame),
        carried_by(
            47,
            &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20][..], &[0; 10], &[1], &[0; 8]].concat(),
            &frame,
        ),
        over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &frame),
        over_udp(4754, &[0x20, 0, 0x08, 0, 0, 0, 0, 7], &v4),
        over_udp(37008, &[1, 0, 0, 1, 0, 0x0a, 1, 0xff, 1], &frame),
        over_udp(8472, &[8, 0, 0, 0, 0, 0, 5, 0], &frame),
        over_udp(4790, &[0x0c, 0, 0, 3, 0, 0, 5, 0], &frame),
        over_udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 4], &frame),
        over_udp(6081, &[0, 0, 0x08, 0, 0, 0, 5, 0], &v4),
        over_udp(2152, &[0x30, 255, 0, 0, 0, 0, 0, 1], &v4),
        over_udp(2152, &[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &v6),
        over_udp(1701, &[0x40, 2, 0, 0, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &v4),
        over_udp(3544, &[], &v6),
        over_udp(3544, &[&[0, 1, 2, 3][..], &[7; 14], &[0, 0, 1, 1, 2, 2, 2, 2]].concat(), &v6),
        over_udp(5072, &[&[0x42, 0x52, 0x11, 41][..], &[7; 40]].concat(), &v6),
        carried_by(
            47,
            &[&[0, 0, 0x82, 0x00, 0x88, 0x01][..], &[7; 24], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]]
                .concat(),
            &v4,
        ),
        carried_by(4, &[], &over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &frame)),
    ];
    for (number, bytes) in cases.into_iter().enumerate() {
        let segment = decode(&packet(LinkType::RawIp, bytes.clone()));
        assert!(segment.is_ok(), "case {number} gave {segment:?}");
        assert_payload(&packet(LinkType::RawIp, bytes), b"GET");
    }
}

#[test]
fn tunnels_in_tunnels_end_at_the_bound() {
    let mut bytes = ipv4(b"GET");
    for _ in 0..8 {
        bytes = carried_by(4, &[], &bytes);
    }
    assert_payload(&packet(LinkType::RawIp, bytes.clone()), b"GET");
    for _ in 0..64 {
        bytes = carried_by(4, &[], &bytes);
    }
    assert_eq!(decode(&packet(LinkType::RawIp, bytes)).unwrap_err(), Skip::TooDeep);
}

#[test]
fn padding_is_no_payload() {
    let bytes = [ethernet(0x0800, &ipv4(b"")), vec![0; 6]].concat();
    assert_payload(&packet(LinkType::Ethernet, bytes), b"");
    let bytes = [ethernet(0x86dd, &ipv6(b"a")), vec![0; 6]].concat();
    assert_payload(&packet(LinkType::Ethernet, bytes), b"a");
}

#[test]
fn a_packet_before_segmentation_has_no_total_length() {
    let mut bytes = ipv4(b"GET");
    bytes[2..4].fill(0);
    assert_payload(&packet(LinkType::RawIp, bytes), b"GET");
    let mut bytes = ipv6(b"GET");
    bytes[4..6].fill(0);
    assert_payload(&packet(LinkType::RawIp, bytes), b"GET");
}

#[test]
fn what_the_snaplen_cut_off_is_reported() {
    let whole = packet(LinkType::RawIp, ipv4(b"0123456789"));
    for kept in 0..whole.data.len() {
        let cut = Packet { data: whole.data.slice(..kept), ..whole.clone() };
        match decode(&cut) {
            Ok(segment) => {
                let payload = kept.saturating_sub(40);
                assert_eq!(segment.payload, &b"0123456789"[..payload]);
                assert_eq!(segment.cut as usize, 10 - payload);
                assert!(kept >= 40);
            }
            Err(reason) => assert_eq!((reason, kept < 40), (Skip::Truncated, true)),
        }
    }
}

#[test]
fn a_header_that_promises_more_than_the_packet_had_is_not_believed() {
    let mut bytes = ipv4(b"GET");
    bytes[2..4].copy_from_slice(&30_000_u16.to_be_bytes());
    assert_payload(&packet(LinkType::RawIp, bytes), b"GET");
}

#[test]
fn a_pktap_header_that_contradicts_itself_is_malformed() {
    let skipped = |bytes: Vec<u8>| decode(&packet(LinkType::Pktap, bytes)).unwrap_err();
    let whole = pktap(12, &ipv4(b"GET"));
    for (at, byte) in [(0, 11), (4, 0), (10, 1)] {
        let mut broken = whole.clone();
        broken[at] = byte;
        assert_eq!(skipped(broken), Skip::Malformed, "byte {at}");
    }
    assert_eq!(skipped(whole[..100].to_vec()), Skip::Truncated);
    assert_eq!(skipped(pktap(127, &[0; 40])), Skip::NotIp);
    assert_eq!(skipped(pktap(258, &whole)), Skip::NotIp);
}

#[test]
fn what_is_not_tcp_is_named() {
    let arp = packet(LinkType::Ethernet, ethernet(0x0806, &[0; 28]));
    assert_eq!(decode(&arp).unwrap_err(), Skip::NotIp);
    let dns = packet(LinkType::RawIp, over_udp(53, &[], b"query"));
    assert_eq!(decode(&dns).unwrap_err(), Skip::NotTcp);
    let mut short = ipv4(b"GET");
    short[32] = 0x40;
    assert_eq!(decode(&packet(LinkType::RawIp, short)).unwrap_err(), Skip::Malformed);
    let mut contradiction = ipv4(b"GET");
    contradiction[3] = 19;
    assert_eq!(decode(&packet(LinkType::RawIp, contradiction)).unwrap_err(), Skip::Malformed);
}

#[test]
fn extension_headers_are_walked() {
    let plain = ipv6(b"GET");
    // Hop-by-hop and destination options, then an authentication header.
    let extensions = [
        &[60, 0, 1, 4, 0, 0, 0, 0][..],
        &[51, 0, 1, 4, 0, 0, 0, 0],
        &[6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    ]
    .concat();
    let mut bytes = [&plain[..40], &extensions, &plain[40..]].concat();
    bytes[6] = 0;
    let len = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&len.to_be_bytes());
    assert_payload(&packet(LinkType::RawIp, bytes), b"GET");
}

#[test]
fn addresses_are_those_of_the_innermost_header() {
    let bytes = carried_by(4, &[], &ipv4(b"GET"));
    let segment = decode(&packet(LinkType::RawIp, bytes)).unwrap();
    assert_eq!(segment.source.ip(), IpAddr::from(Ipv4Addr::from(CLIENT)));
    assert_eq!(segment.destination.ip(), IpAddr::from(Ipv4Addr::from(SERVER)));
}
