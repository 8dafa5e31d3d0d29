//! Arbitrary and damaged packets.

use super::fragments::{fragments, fragments6};
use super::*;

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
