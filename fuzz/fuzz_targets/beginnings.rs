//! Any events of a few connections: each tells once what it began with, or nothing, and nothing is remembered of those that ended.
#![no_main]

use std::collections::HashMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mirror_user::beginnings::Beginnings;
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

#[derive(Arbitrary, Debug)]
struct Step {
    /// The connection.
    slot: u8,
    what: What,
}

#[derive(Arbitrary, Debug)]
enum What {
    Said(Vec<u8>),
    /// The beginning of a ClientHello, and what is behind its length.
    Hello(u16, Vec<u8>),
    Answered,
    Missing,
    Ended,
}

fuzz_target!(|steps: Vec<Step>| {
    let (mut beginnings, mut out) = (Beginnings::default(), Vec::new());
    let mut open: HashMap<u32, (u64, u32)> = HashMap::new();
    let mut serial = 0;
    let conn = |slot, serial| ConnId { slot, serial };
    for Step { slot, what } in steps {
        let slot = u32::from(slot % 4);
        let mut push = |conn, change| {
            let before = out.len();
            beginnings.push(&StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
            u32::try_from(out.len() - before).expect("few")
        };
        let (serial, told) = open.entry(slot).or_insert_with(|| {
            serial += 1;
            let [client, server] =
                ["10.0.0.2:1", "10.0.0.1:2"].map(|end| end.parse().expect("an end"));
            let peers = Peers { client, server, interface: InterfaceId::default() };
            let opened = Change::Opened { peers: peers.into(), midstream: false };
            assert_eq!(push(conn(slot, serial), opened), 0);
            (serial, 0)
        });
        let is_end = matches!(what, What::Ended);
        let change = match what {
            What::Said(bytes) => Change::Data(Side::Client, bytes.into()),
            What::Hello(length, rest) => {
                let [high, low] = length.to_be_bytes();
                let head = [22, 3, 1, high, low, 1, 0];
                Change::Data(Side::Client, [&head[..], &rest].concat().into())
            }
            What::Answered => Change::Data(Side::Server, b"x".as_slice().into()),
            What::Missing => Change::Gap(Side::Client, 7),
            What::Ended => Change::Closed(CloseReason::Fin),
        };
        *told += push(conn(slot, *serial), change);
        assert!(*told <= 1, "told twice");
        if is_end {
            assert_eq!(*told, 1, "nothing was told");
            open.remove(&slot);
        }
    }
});
