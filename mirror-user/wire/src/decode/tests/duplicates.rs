//! Packets that are seen twice.

use super::*;

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
