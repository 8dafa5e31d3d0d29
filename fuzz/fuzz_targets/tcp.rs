//! Any segments on a few connections: streams or reasons, never a panic; the sums hold at every
//! step, and nothing is held when the input has ended.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_wire::packet::{InterfaceId, Timestamp};
use mirror_wire::segment::{Endpoint, Flags, Segment, SeqNumber, Tag};
use mirror_wire::tcp::{FlowTable, TcpLimits};

#[derive(Arbitrary, Debug)]
struct Step {
    /// The connection and the direction.
    flow: u8,
    /// Sequence numbers near each other make segments that meet.
    seq: u16,
    ack: u16,
    far: bool,
    flags: u8,
    later_millis: u16,
    cut: u8,
    payload: Vec<u8>,
}

fuzz_target!(|steps: Vec<Step>| {
    let limits = TcpLimits {
        connections: 4,
        held_per_connection: 4096,
        held_in_all: 8192,
        ..TcpLimits::default()
    };
    let mut flows = FlowTable::new(limits);
    let mut events = Vec::new();
    let mut millis = 0_u64;
    for step in steps {
        millis += u64::from(step.later_millis);
        let at = Timestamp::from_nanos(millis * 1_000_000);
        let client = Endpoint::new([10, 0, 0, step.flow >> 1 & 7].into(), 40_000);
        let server = Endpoint::new([10, 0, 1, 1].into(), 80);
        let (source, destination) =
            if step.flow & 1 == 0 { (client, server) } else { (server, client) };
        let base = if step.far { 0x8000_0000 } else { u32::MAX - 0x7fff };
        let segment = Segment {
            at,
            interface: InterfaceId::default(),
            source,
            destination,
            seq: SeqNumber(base.wrapping_add(u32::from(step.seq))),
            ack: SeqNumber(base.wrapping_add(u32::from(step.ack))),
            window: 65_535,
            flags: Flags(step.flags),
            payload: Bytes::from(step.payload),
            tag: Tag::NONE,
            cut: u32::from(step.cut),
        };
        flows.push(segment, &mut events);
        flows.expire(at, &mut events);
        events.clear();
        assert!(flows.stats().bytes().balances(), "{:?}", flows.stats());
    }
    flows.finish(&mut events);
    assert_eq!(flows.held(), 0, "bytes are held after the end");
    assert!(flows.stats().bytes().is_settled(), "{:?}", flows.stats());
});
