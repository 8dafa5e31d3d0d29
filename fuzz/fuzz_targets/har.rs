//! Any bytes as a HAR, in two pieces: the same entries wherever it is cut, each of them at most one request and one
//! response, and no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mirror_user::har::{Dialogue, Ends, Entry, Scanner};
use mirror_user::http::message::Moment;
use mirror_user::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::tcp::event::{Change, CloseReason, ConnId, Peers, Side, StreamEvent};

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let scan = |blocks: &[&[u8]]| {
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        let end = blocks.iter().try_for_each(|block| scanner.push(block, &mut found));
        (found, end.and_then(|()| scanner.finish()))
    };
    let (found, end) = scan(&[bytes]);
    // The encoding is told by the first two bytes, which a reader gets at once.
    if let Some((head, tail)) = bytes.split_at_checked(usize::from(cut).max(3)) {
        assert_eq!(scan(&[head, tail]), (found.clone(), end));
    }
    for one in found {
        let part = &bytes[one.offset as usize..(one.offset + one.length) as usize];
        let Ok(entry) = serde_json::from_slice::<Entry>(part) else { continue };
        if let Ok(dialogue) = Dialogue::of(&entry, 0) {
            read(dialogue);
        }
    }
});

fn read(dialogue: Dialogue) {
    let keep = BodyKeep::Keep(KeepLimits::default());
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let (mut http, mut out) = (HttpTable::new(options), Vec::new());
    let conn = ConnId { slot: 0, serial: 0 };
    let Ends { client, server } = dialogue.ends;
    let peers = Peers { client, server, interface: InterfaceId::default() };
    let mut push = |change| {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    };
    push(Change::Opened { peers: peers.into(), midstream: false });
    let sides = [(Side::Client, Some(dialogue.request)), (Side::Server, dialogue.response)];
    for (side, part) in sides {
        let Some(part) = part else { continue };
        push(Change::Data(side, part.bytes.into()));
        if let Some(missing) = part.missing {
            push(Change::Gap(side, missing));
        }
    }
    push(Change::Closed(CloseReason::Fin));
    let ended = out.iter().filter(|exchange| exchange.moment == Moment::Ended);
    let (requests, responses) = ended.fold((0, 0), |(requests, responses), exchange| {
        (
            requests + u32::from(exchange.request.is_some()),
            responses + u32::from(exchange.response.is_some()),
        )
    });
    assert!(requests <= 1 && responses <= 1, "{out:?}");
    assert!(http.stats().accounts().iter().all(|account| account.is_settled()));
}
