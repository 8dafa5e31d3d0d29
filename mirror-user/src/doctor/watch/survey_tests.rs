use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::evidence::Inside;
use super::survey::{Counts, MAX_HTTP_PORTS};
use crate::decode::Tunnel;
use crate::filter::Ports;
use crate::packet::{InterfaceId, LinkType, Packet, Timestamp};

fn packet(interface: u32, data: Vec<u8>) -> Packet {
    Packet {
        at: Timestamp::from_nanos(1),
        link: LinkType::Ethernet,
        interface: InterfaceId(interface),
        wire_len: u32::try_from(data.len()).unwrap(),
        data: data.into(),
    }
}

fn tcp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64);
    let mut bytes = Vec::new();
    builder.tcp(from, to, 1, 500).ack(1).write(&mut bytes, payload).unwrap();
    bytes
}

fn vxlan(inside: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let mut bytes = Vec::new();
    let payload = [&[8, 0, 0, 0, 0, 0, 7, 0][..], inside].concat();
    builder.udp(50000, 4789).write(&mut bytes, &payload).unwrap();
    bytes
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn each_interface_has_its_own_counts() {
    let mut counts = Counts::new(Ports::new(vec![8080]));
    counts.take(&packet(0, tcp(40000, 8080, GET)));
    // The same again: seen elsewhere, it counts there.
    counts.take(&packet(2, tcp(40000, 8080, GET)));
    counts.take(&packet(2, tcp(8080, 40000, b"")));
    counts.take(&packet(2, tcp(40000, 80, GET)));
    counts.take(&packet(2, vxlan(&tcp(40000, 8080, GET))));
    let [first, second, third] = counts.places() else { panic!("three interfaces") };
    assert_eq!((first.packets, second.packets, third.packets), (1, 0, 4));
    assert_eq!((first.port.to_port, first.port.to_here), (1, 1));
    assert_eq!((third.port.segments, third.port.bare_acks), (2, 1));
    assert_eq!(third.requests.iter().collect::<Vec<_>>(), [(&80, &1), (&8080, &1)]);
    assert_eq!(third.tunnels[Tunnel::Vxlan], Inside { packets: 1, on_port: 1 });
}

#[test]
fn ports_with_http_are_bounded() {
    let mut counts = Counts::new(Ports::new(vec![8080]));
    for port in 1..1000 {
        counts.take(&packet(0, tcp(40000, port, GET)));
    }
    counts.take(&packet(0, tcp(40000, 1, GET)));
    let requests = &counts.places()[0].requests;
    assert_eq!((requests.len(), requests[&1]), (MAX_HTTP_PORTS, 2));
}

proptest! {
    #[test]
    fn any_bytes_are_one_packet(
        bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0..40_usize, byte in any::<u8>()
    ) {
        let mut counts = Counts::new(Ports::new(vec![8080]));
        let mut bent = tcp(40000, 8080, GET);
        bent[place] = byte;
        counts.take(&packet(0, bent));
        counts.take(&packet(0, bytes));
        prop_assert_eq!(counts.places()[0].packets, 2);
    }
}
