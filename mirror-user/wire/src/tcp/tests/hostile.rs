use proptest::prelude::*;

use super::talk::{Observer, Talk};
use crate::packet::{InterfaceId, Timestamp};
use crate::segment::{Endpoint, Flags, Segment, SeqNumber, Tag};
use crate::tcp::TcpLimits;
use crate::tcp::event::Side;

#[test]
fn a_million_half_open_connections_stay_within_the_table() {
    let limits = TcpLimits { connections: 10_000, ..TcpLimits::default() };
    let mut observer = Observer::new(limits);
    let mut living = Talk::new(1, 2);
    observer.push(living.handshake());
    observer.push([living.client(b"ask")]);
    for i in 0..1_000_000_u32 {
        let mut talk = Talk::new(i, 0);
        talk.client = (std::net::Ipv4Addr::from_bits(0x0b00_0000 + i), 1234).into();
        observer.push([talk.segment(Side::Client, Flags::SYN, b"")]);
    }
    assert_eq!(observer.table.len(), 10_000);
    assert_eq!(observer.table.stats().evicted_unopened, 1_000_000 - 9_999);
    observer.push([living.server(b"answer")]);
    assert_eq!(observer.end(), "open c:ask s:answer end_of_input");
}

/// Numbers near each other and near the wrap, so that they meet.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..40, (u32::MAX - 20)..=u32::MAX, any::<u32>()]
}

prop_compose! {
    fn segment()(
        ends in (0_u16..3, 0_u16..3), v6 in any::<bool>(), seq in number(), ack in number(),
        flags in any::<u8>(), length in 0_usize..30, cut in prop_oneof![8 => Just(0), 1 => 0_u32..9, 1 => any::<u32>()],
        tag in prop_oneof![Just(Tag::NONE), Just(Tag::vlan(1)), Just(Tag::vlan(2))],
        at in prop_oneof![4 => 0_u64..1_000_000_000, 1 => any::<u64>()],
    ) -> Segment {
        let address = |port| match v6 {
            true => Endpoint::new(std::net::Ipv6Addr::LOCALHOST.into(), port),
            false => Endpoint::new(std::net::Ipv4Addr::LOCALHOST.into(), port),
        };
        Segment {
            at: Timestamp::from_nanos(at), interface: InterfaceId(0),
            source: address(ends.0), destination: address(ends.1),
            seq: SeqNumber(seq), ack: SeqNumber(ack), window: 0, flags: Flags(flags),
            payload: vec![b'A'; length].into(), tag, cut,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_segments_panic_or_leave_anything_behind(
        segments in prop::collection::vec(segment(), 0..80), connections in 1_usize..6,
    ) {
        let limits = TcpLimits {
            connections, held_per_connection: 700, held_in_all: 900, held_segments: 5,
            ..TcpLimits::default()
        };
        let mut observer = Observer::new(limits);
        let n = segments.len() as u64;
        for segment in segments {
            let at = segment.at;
            observer.push([segment]);
            prop_assert!(observer.table.held() <= 900);
            prop_assert!(observer.table.len() <= connections);
            prop_assert!(observer.table.stats().bytes().balances());
            observer.table.expire(at, &mut observer.events);
        }
        observer.end();
        prop_assert_eq!(observer.table.stats().segments.total(), n);
    }
}
