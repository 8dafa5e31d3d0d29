//! What the packets were that are not IP or not TCP.

use super::*;

/// The notes of a decoder that was given these packets.
fn notes(packets: impl IntoIterator<Item = (LinkType, Vec<u8>)>) -> Vec<String> {
    let mut decoder = Decoder::new(Limits::default());
    for (link, bytes) in packets {
        let _ = decoder.push(&packet(link, bytes));
    }
    decoder.notes().map(|note| format!("{}: {:?}", note.topic.name(), note.counts)).collect()
}

#[test]
fn what_is_not_ip_is_counted_by_its_kind() {
    let snap = |rest: &[u8]| ethernet(60, &[&[0xaa, 0xaa, 3][..], rest].concat());
    let cases = [
        (LinkType::Ethernet, ethernet(0x0806, &[0; 28]), "EtherType 0x0806 (ARP)"),
        (LinkType::Ethernet, ethernet(0x88b5, &[0; 28]), "EtherType 0x88b5"),
        (LinkType::Ethernet, ethernet(0x8100, &[0, 5, 0x88, 0xcc]), "EtherType 0x88cc (LLDP)"),
        (LinkType::Ethernet, ethernet(38, &[0x42; 38]), "LLC 0x42 (STP)"),
        (LinkType::Ethernet, snap(&[0, 0, 0x0c, 0x20, 0]), "SNAP 00000c:2000 (CDP)"),
        (LinkType::Ethernet, snap(&[0, 8, 1, 0x20, 0]), "SNAP 000801:2000"),
        (LinkType::Ethernet, ethernet(0x0800, &[0x50; 20]), "IP version 5"),
        (LinkType::RawIp, vec![0; 20], "IP version 0"),
        (LinkType::Null, vec![0, 0, 0, 7, 1], "address family 7"),
        (LinkType::Null, vec![7, 0, 0, 0, 1], "address family 7"),
        (LinkType::Pktap, pktap(127, &[0; 40]), "link type 127"),
        (LinkType::Pktap, pktap(0, &[7, 0, 0, 0, 1]), "address family 7"),
        (LinkType::Ppp, vec![0xff, 0x03, 0xc0, 0x21, 1], "PPP 0xc021 (LCP)"),
        (LinkType::Ppp, vec![0xfd, 1], "PPP 0x00fd (compressed)"),
        (LinkType::RawIp, carried_by(47, &[0, 0, 0x82, 0], &[0x80, 0, 0, 0]), "802.11"),
        (
            LinkType::RawIp,
            over_udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0806, &[0; 28])),
            "EtherType 0x0806 (ARP)",
        ),
    ];
    for (link, bytes, name) in cases {
        assert_eq!(notes([(link, bytes)]), [format!("not_ip by kind: [({name:?}, 1)]")]);
    }
}

#[test]
fn what_is_not_tcp_is_counted_by_its_kind() {
    let udp = |source, destination| {
        let mut bytes = Vec::new();
        let builder = PacketBuilder::ipv4(CLIENT, SERVER, 64).udp(source, destination);
        builder.write(&mut bytes, b"payload").unwrap();
        bytes
    };
    let cases = [
        (udp(40000, 443), "UDP port 443 (QUIC?)"),
        (udp(443, 40000), "UDP port 443 (QUIC?)"),
        (udp(51820, 40000), "UDP port 51820 (WireGuard)"),
        (udp(7001, 7000), "UDP port 7000"),
        (udp(68, 67), "UDP port 67 (DHCP)"),
        (udp(67, 68), "UDP port 67 (DHCP)"),
        (over_udp(4789, &[0; 8], b""), "UDP port 4789 (VXLAN)"),
        (carried_by(1, &[8, 0, 0, 0], b""), "IP protocol 1 (ICMP)"),
        (carried_by(50, &[1; 8], b""), "IP protocol 50 (ESP)"),
        (carried_by(47, &[0x40, 0, 8, 0], b""), "IP protocol 47 (GRE)"),
        (carried_by(200, b"", b""), "IP protocol 200"),
    ];
    for (bytes, name) in cases {
        assert_eq!(
            notes([(LinkType::RawIp, bytes)]),
            [format!("not_tcp by kind: [({name:?}, 1)]")]
        );
    }
}

#[test]
fn the_most_frequent_kinds_are_named_and_the_others_summed_up() {
    let arp = std::iter::repeat_n((LinkType::Ethernet, ethernet(0x0806, &[0; 28])), 3);
    let ports = (0..10).map(|n| (LinkType::RawIp, over_udp(30_000 - n, &[], b"payload")));
    let dns = std::iter::repeat_n((LinkType::RawIp, over_udp(53, &[], b"query")), 2);
    let notes = notes(arp.chain(ports).chain(dns));
    assert_eq!(notes[0], r#"not_ip by kind: [("EtherType 0x0806 (ARP)", 3)]"#);
    assert!(notes[1].starts_with(r#"not_tcp by kind: [("UDP port 53 (DNS)", 2), "#), "{notes:?}");
    assert!(notes[1].ends_with(r#"("other", 3)]"#), "{notes:?}");
}

#[test]
fn other_reasons_have_no_kinds() {
    let cut = ethernet(0x0800, &ipv4(b"GET")[..30]);
    let cases = [(LinkType::Ethernet, cut), (LinkType::Ethernet, vec![0; 5])];
    assert!(notes(cases).is_empty());
    assert!(notes([(LinkType::RawIp, ipv4(b"GET"))]).is_empty());
}

proptest! {
    /// Packets of random bytes below headers that lead far enough for every reason.
    #[test]
    fn the_kinds_add_up_to_what_was_skipped(
        packets in prop::collection::vec(
            (0..8_usize, 0..6_usize, prop::collection::vec(any::<u8>(), 0..60)), 1..100
        )
    ) {
        let mut decoder = Decoder::new(Limits::default());
        for (link, header, bytes) in packets {
            let link = [
                LinkType::Ethernet, LinkType::RawIp, LinkType::LinuxSll, LinkType::LinuxSll2,
                LinkType::Null, LinkType::Ppp, LinkType::Nflog, LinkType::Pktap,
            ][link];
            let bytes = match header {
                0 => bytes,
                1 => ethernet(0x0800, &carried_by(bytes.first().copied().unwrap_or(17), &bytes, &[])),
                2 => ethernet(0x8864, &[&[0x11, 0, 0, 0, 0, 40][..], &bytes].concat()),
                3 => ethernet(bytes.len() as u16, &bytes),
                4 => over_udp(4790, &bytes, &[]),
                _ => pktap(bytes.len() as u32, &bytes),
            };
            let _ = decoder.push(&packet(link, bytes));
        }
        let dropped = decoder.account().losses();
        for reason in ["not_ip", "not_tcp"] {
            let skipped = dropped.iter().find(|(name, _)| *name == reason).map_or(0, |(_, n)| *n);
            let note = decoder.notes().find(|note| note.topic.name().split(' ').next() == Some(reason));
            let counted = note.map_or(0, |note| note.counts.iter().map(|(_, n)| n).sum());
            prop_assert_eq!(skipped, counted, "{}", reason);
        }
    }
}
