use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{IpFragOffset, Ipv4Header, PacketBuilder, VlanId};
use proptest::prelude::*;

use super::*;
use crate::packet::{InterfaceId, LinkType, Timestamp};
use crate::segment::{Flags, SeqNumber, Tag};

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

/// `whole`, an IPv4 packet without options, in fragments of at most `size` bytes (in eights).
fn fragments(whole: &[u8], size: usize, id: u16) -> Vec<Packet> {
    let payload = &whole[20..];
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(n, part)| {
            let mut header = Ipv4Header::from_slice(whole).unwrap().0;
            header.identification = id;
            header.dont_fragment = false;
            header.more_fragments = n + 1 < count;
            header.fragment_offset = IpFragOffset::try_new((n * size / 8) as u16).unwrap();
            header.set_payload_len(part.len()).unwrap();
            packet(LinkType::RawIp, [&header.to_bytes()[..], part].concat())
        })
        .collect()
}

/// The same for IPv6.
fn fragments6(whole: &[u8], size: usize, id: u32) -> Vec<Packet> {
    let payload = &whole[40..];
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(n, part)| {
            let more = u16::from(n + 1 < count);
            let field = (n * size) as u16 | more;
            let extension = [&[6, 0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat();
            let mut bytes = [&whole[..40], &extension, part].concat();
            bytes[6] = 44;
            bytes[4..6].copy_from_slice(&((part.len() + 8) as u16).to_be_bytes());
            packet(LinkType::RawIp, bytes)
        })
        .collect()
}

#[test]
fn fragments_are_reassembled_and_counted() {
    let body = vec![b'x'; 3000];
    for parts in [fragments(&ipv4(&body), 1480, 5), fragments6(&ipv6(&body), 1448, 5)] {
        let mut decoder = Decoder::new(Limits::default());
        let outcomes: Vec<_> = parts.iter().map(|part| decoder.push(part)).collect();
        let (last, first) = outcomes.split_last().unwrap();
        assert!(first.iter().all(|outcome| matches!(outcome, Err(Skip::Fragment))));
        assert_eq!(last.as_ref().unwrap().payload, body);
        assert_eq!(decoder.datagrams().get(DatagramEnd::Whole), 1);
        assert!(decoder.account().is_settled());
    }
}

#[test]
fn fragments_of_a_tunnel_are_reassembled() {
    let inner = ethernet(0x0800, &ipv4(&[b'x'; 1400]));
    let outer = over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &inner);
    let mut decoder = Decoder::new(Limits::default());
    let last = fragments(&outer, 1400, 9).iter().map(|part| decoder.push(part)).last().unwrap();
    assert_eq!(last.unwrap().payload, vec![b'x'; 1400]);
}

#[test]
fn a_repeated_fragment_is_ignored_and_an_overlapping_one_ends_the_datagram() {
    let parts = fragments(&ipv4(&[b'x'; 3000]), 1480, 5);
    let mut decoder = Decoder::new(Limits::default());
    let again = [&parts[0], &parts[0], &parts[1], &parts[1], &parts[2]];
    let last = again.map(|part| decoder.push(part)).into_iter().next_back().unwrap();
    assert_eq!(last.unwrap().payload.len(), 3000);

    let other = fragments(&ipv4(&[b'y'; 3000]), 1600, 5);
    let mut decoder = Decoder::new(Limits::default());
    for part in [&parts[0], &other[1], &parts[1], &parts[2]] {
        assert_eq!(decoder.push(part).unwrap_err(), Skip::Fragment);
    }
    assert_eq!(decoder.datagrams().get(DatagramEnd::Overlapping), 1);
}

#[test]
fn unfinished_datagrams_expire_and_are_evicted() {
    let mut decoder = Decoder::new(Limits { fragment_bytes: 64 * 1024, ..Limits::default() });
    let first = |id| fragments(&ipv4(&[b'x'; 8000]), 4000, id).swap_remove(0);
    for id in 0..100 {
        assert_eq!(decoder.push(&first(id)).unwrap_err(), Skip::Fragment);
    }
    let evicted = decoder.datagrams().get(DatagramEnd::Evicted);
    assert_eq!(evicted, 84);
    let late = Packet { at: Timestamp::from_nanos(40_000_000_000), ..first(200) };
    assert_eq!(decoder.push(&late).unwrap_err(), Skip::Fragment);
    assert_eq!(decoder.datagrams().get(DatagramEnd::Expired), 16);
}

#[test]
fn a_copy_on_another_interface_is_a_duplicate_and_a_retransmission_is_not() {
    let mut decoder = Decoder::new(Limits::default());
    let first = packet(LinkType::Ethernet, ethernet(0x0800, &ipv4(b"GET")));
    let at = |micros: u64| Timestamp::from_nanos(1 + micros * 1000);
    let on = |interface, micros| Packet {
        interface: InterfaceId(interface),
        at: at(micros),
        ..first.clone()
    };
    assert!(decoder.push(&first).is_ok());
    assert_eq!(decoder.push(&on(1, 3000)).unwrap_err(), Skip::Duplicate);
    assert_eq!(decoder.push(&on(0, 20)).unwrap_err(), Skip::Duplicate);
    // Linux retransmits after 200 ms at the earliest.
    assert!(decoder.push(&on(0, 200_000)).is_ok());
    // The same bytes with another IPv4 identification are a retransmission.
    let mut again = ipv4(b"GET");
    again[5] = 77;
    let again = packet(LinkType::Ethernet, ethernet(0x0800, &again));
    assert!(decoder.push(&Packet { at: at(200_010), ..again }).is_ok());
    assert_eq!(decoder.account().losses(), [("duplicate", 2)]);
}

#[test]
fn a_copy_within_a_tunnel_is_a_duplicate() {
    let mut decoder = Decoder::new(Limits::default());
    let inner = ipv4(b"GET");
    assert!(decoder.push(&packet(LinkType::RawIp, inner.clone())).is_ok());
    let outer = over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &ethernet(0x0800, &inner));
    assert_eq!(decoder.push(&packet(LinkType::RawIp, outer)).unwrap_err(), Skip::Duplicate);
}

#[test]
fn duplicate_acknowledgments_are_not_duplicates() {
    let mut decoder = Decoder::new(Limits::default());
    let ack = packet(LinkType::RawIp, ipv6(b""));
    assert!(decoder.push(&ack).is_ok());
    assert!(decoder.push(&ack).is_ok());
}

const LINKS: [LinkType; 7] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Null,
    LinkType::Ppp,
    LinkType::Nflog,
];

/// Packets with many headers, to be damaged.
fn deep() -> Vec<Vec<u8>> {
    let frame = ethernet(0x0800, &ipv4(b"GET / HTTP/1.1\r\n\r\n"));
    let vxlan = over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &frame);
    let gtp = [0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0];
    let mut deep = vec![
        ethernet(0x0800, &vxlan),
        ethernet(0x8100, &[&[0, 5, 0x86, 0xdd][..], &ipv6(b"GET")].concat()),
        ethernet(0x8847, &[&[0, 2, 1, 9, 0, 0, 0, 0][..], &frame].concat()),
        ethernet(0x0800, &over_udp(2152, &gtp, &ipv6(b"GET"))),
        ethernet(0x0800, &over_udp(1701, &[0x4a, 2, 0, 0, 0, 1, 0, 1, 0, 0], &ipv4(b"GET"))),
        ethernet(0x0800, &carried_by(47, &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &frame)),
    ];
    let parts = fragments(&vxlan, 64, 3).into_iter();
    deep.extend(parts.map(|part| ethernet(0x0800, &part.data)));
    let parts = fragments6(&ipv6(&[b'x'; 100]), 64, 3).into_iter();
    deep.extend(parts.map(|part| ethernet(0x86dd, &part.data)));
    deep
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), extra in 0u32..100) {
        let mut decoder = Decoder::new(Limits::default());
        for link in LINKS {
            let mut packet = packet(link, bytes.clone());
            packet.wire_len += extra;
            if let Ok(segment) = decoder.push(&packet) {
                prop_assert!(segment.payload.len() <= bytes.len());
            }
        }
        prop_assert!(decoder.account().is_settled());
    }

    #[test]
    fn no_damage_panics(damage in prop::collection::vec((any::<u16>(), any::<u8>()), 0..6),
                        cut in any::<u16>()) {
        let mut decoder = Decoder::new(Limits::default());
        for mut bytes in deep() {
            for (at, value) in &damage {
                let at = usize::from(*at) % bytes.len();
                bytes[at] = *value;
            }
            let wire = packet(LinkType::Ethernet, bytes);
            let kept = usize::from(cut) % (wire.data.len() * 4);
            let kept = kept.min(wire.data.len());
            let _ = decoder.push(&Packet { data: wire.data.slice(..kept), ..wire.clone() });
            let _ = decoder.push(&wire);
        }
        prop_assert!(decoder.account().is_settled());
    }

    #[test]
    fn what_a_builder_wrote_is_what_is_read(
        (source, destination) in any::<([u8; 4], [u8; 4])>(),
        (from, to, seq, ack, window) in any::<(u16, u16, u32, u32, u16)>(),
        (vlan, nop_count) in (prop::option::of(0u16..4096), 0usize..10),
        payload in prop::collection::vec(any::<u8>(), 0..100),
        fin in any::<bool>(),
    ) {
        let options = vec![etherparse::TcpOptionElement::Noop; nop_count];
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let ip = match vlan {
            Some(id) => builder.single_vlan(VlanId::try_new(id).unwrap()).ipv4(source, destination, 9),
            None => builder.ipv4(source, destination, 9),
        };
        let tcp = ip.tcp(from, to, seq, window).ack(ack).options(&options).unwrap();
        let tcp = if fin { tcp.fin() } else { tcp };
        let mut bytes = Vec::new();
        tcp.write(&mut bytes, &payload).unwrap();
        let segment = decode(&packet(LinkType::Ethernet, bytes)).unwrap();
        prop_assert_eq!(segment.source, SocketAddr::from((source, from)).into());
        prop_assert_eq!(segment.destination, SocketAddr::from((destination, to)).into());
        prop_assert_eq!((segment.seq.0, segment.ack.0, segment.window), (seq, ack, window));
        prop_assert_eq!(segment.flags.contains(Flags::FIN), fin);
        prop_assert!(segment.flags.contains(Flags::ACK));
        prop_assert_eq!(segment.payload, payload);
    }

    #[test]
    fn fragments_in_any_order_give_the_same_datagram(
        len in 1usize..4000,
        size in 8usize..1500,
        order in any::<u64>(),
    ) {
        let body: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
        let size = size / 8 * 8;
        for mut parts in [fragments(&ipv4(&body), size.max(32), 1), fragments6(&ipv6(&body), size.max(32), 1)] {
            // Any permutation, by the order of hashes; each part twice.
            parts.extend(parts.clone());
            let key = |n: usize| (n as u64 + 1).wrapping_mul(order | 1).rotate_left(29);
            let mut shuffled: Vec<_> = parts.into_iter().enumerate().collect();
            shuffled.sort_by_key(|(n, _)| key(*n));
            let mut decoder = Decoder::new(Limits { duplicate_slots: 0, ..Limits::default() });
            let given: Vec<_> =
                shuffled.iter().filter_map(|(_, part)| decoder.push(part).ok()).collect();
            prop_assert!(!given.is_empty());
            for segment in given {
                prop_assert_eq!(&segment.payload, &body);
            }
        }
    }

    #[test]
    fn the_fast_and_the_slow_path_agree(payload in prop::collection::vec(any::<u8>(), 0..50),
                                        damage in prop::option::of((0usize..80, any::<u8>())),
                                        beyond in 0u32..20) {
        for mut bytes in [ethernet(0x0800, &ipv4(&payload)), ethernet(0x86dd, &ipv6(&payload))] {
            if let Some((at, value)) = damage && let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let mut packet = packet(LinkType::Ethernet, bytes);
            packet.wire_len += beyond;
            if Plain::read(&packet).is_some() {
                let one = decode(&packet);
                let other = Decoder::new(Limits::default()).walk_from_link(&packet);
                prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
            }
        }
    }
}

#[test]
fn addresses_are_those_of_the_innermost_header() {
    let bytes = carried_by(4, &[], &ipv4(b"GET"));
    let segment = decode(&packet(LinkType::RawIp, bytes)).unwrap();
    assert_eq!(segment.source.ip(), IpAddr::from(Ipv4Addr::from(CLIENT)));
    assert_eq!(segment.destination.ip(), IpAddr::from(Ipv4Addr::from(SERVER)));
}
