//! Any bytes from both sides in any cutting, with gaps: exchanges or reasons, never a panic, and
//! the sums hold when the connection has ended.
#![no_main]

use std::sync::Arc;

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mirror_wire::http::{BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits};
use mirror_wire::packet::{InterfaceId, Timestamp};
use mirror_wire::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

#[derive(Arbitrary, Debug)]
enum Step {
    Data { from_client: bool, bytes: Vec<u8> },
    Gap { from_client: bool, missing: u16 },
    Omitted { from_client: bool, n: u16 },
    Finished { from_client: bool },
}

fuzz_target!(|input: (bool, bool, Vec<Step>)| {
    let (midstream, keeps, steps) = input;
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, memory: 4096, total: 8192 });
    let response_body = if keeps { keep } else { BodyKeep::Count };
    let options = HttpOptions { request_body: keep, response_body, ..HttpOptions::default() };
    let mut http = HttpTable::new(options);
    let conn = ConnId { slot: 0, serial: 0 };
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId::default(),
    });
    let mut exchanges = Vec::new();
    let mut push = |change| {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut exchanges);
        exchanges.clear();
    };
    let side = |from_client| if from_client { Side::Client } else { Side::Server };
    push(Change::Opened { peers, midstream });
    for step in steps {
        push(match step {
            Step::Data { from_client, bytes } => {
                Change::Data(side(from_client), Bytes::from(bytes))
            }
            Step::Gap { from_client, missing } => {
                Change::Gap(side(from_client), u64::from(missing))
            }
            Step::Omitted { from_client, n } => Change::Omitted(side(from_client), u64::from(n)),
            Step::Finished { from_client } => Change::Finished(side(from_client)),
        });
    }
    push(Change::Closed(CloseReason::EndOfInput));
    assert!(
        http.stats().accounts().iter().all(|account| account.is_settled()),
        "{:?}",
        http.stats()
    );
    assert_eq!(http.held().0, 0, "bytes are held for a connection that has ended");
});
