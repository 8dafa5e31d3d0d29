//! Any bytes on any link: a segment or a reason, never a panic; fragments and tunnels included,
//! because packets of one input share a decoder.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_wire::decode::{Decoder, Limits};
use mirror_wire::packet::{InterfaceId, LinkType, Packet, Timestamp};

const LINKS: [LinkType; 8] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Null,
    LinkType::Ppp,
    LinkType::Nflog,
    LinkType::Pktap,
];

fuzz_target!(|packets: Vec<(u8, u8, Vec<u8>)>| {
    let mut decoder = Decoder::new(Limits::default());
    for (n, (link, cut, data)) in packets.into_iter().enumerate() {
        let packet = Packet {
            at: Timestamp::from_nanos(n as u64 * 1_000_000),
            link: LINKS[usize::from(link) % LINKS.len()],
            interface: InterfaceId(u32::from(link & 1)),
            wire_len: data.len() as u32 + u32::from(cut),
            data: Bytes::from(data),
        };
        let _ = decoder.push(&packet);
    }
    assert!(decoder.account().is_settled());
});
