//! What is kept, and how much at most.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::talk::{CONN, Talk, everything, peers};
use crate::http::message::{Kept, Moment};
use crate::http::slots::{CONN_BYTES, ENTRY_BYTES};
use crate::http::{
    BodyKeep, DigestOf, HttpOptions, HttpTable, KeepLimits, NotHttp, NotKept, Refusal, Unpaired,
    Unread,
};
use crate::packet::Timestamp;
use crate::tcp::event::{Change, CloseReason, ConnId, Side, StreamEvent};

fn keeping(memory: u64, total: u64) -> HttpOptions {
    let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::All, memory, total });
    HttpOptions { request_body: keep, ..everything() }
}

fn post(talk: &mut Talk, length: usize) {
    talk.client(format!("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n"));
    let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    for piece in body.chunks(1448) {
        talk.client(piece);
    }
}

#[test]
fn a_long_body_goes_to_a_file_and_comes_back() {
    let mut talk = Talk::with(keeping(10_000, 1 << 20), false);
    post(&mut talk, 300_000);
    assert!(talk.table.held().1 < 200_000);
    let request = talk.out[0].request.clone().unwrap();
    assert!(matches!(request.body.wire, Kept::File(_)));
    for _ in 0..2 {
        let mut bytes = Vec::new();
        request.body.content().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes.iter().enumerate().all(|(i, &byte)| byte == (i % 251) as u8));
        assert_eq!(bytes.len(), 300_000);
    }
    talk.closed(CloseReason::Fin);
}

#[test]
fn the_content_of_a_chunked_body_comes_back_from_memory_and_file() {
    for memory in [10, 1 << 20] {
        let mut talk = Talk::with(keeping(memory, 1 << 20), false);
        talk.client("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..5_000 {
            talk.client("7;x=y\r\n0123456\r\n");
        }
        talk.client("0\r\nX-Sum: 9\r\n\r\n").closed(CloseReason::Fin);
        let request = talk.out[0].request.clone().unwrap();
        let mut text = String::new();
        request.body.content().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123456".repeat(5_000));
        assert_eq!(request.body.length, 35_000);
        assert_eq!(&request.body.trailer_bytes[..], b"X-Sum: 9\r\n");
    }
}

#[test]
fn a_body_beyond_its_limit_is_read_and_not_kept() {
    let mut talk = Talk::with(keeping(1_000, 5_000), false);
    post(&mut talk, 20_000);
    let request = talk.out[0].request.clone().unwrap();
    assert!(matches!(request.body.wire, Kept::TooLarge));
    assert!(request.body.content().is_none());
    assert!(request.incomplete.is_none());
    assert_eq!(request.body.length, 20_000);
    assert_eq!(talk.table.stats().requests.not_kept.get(NotKept::TooLarge), 1);
    talk.closed(CloseReason::Fin);
}

#[test]
fn only_a_body_that_is_too_long_is_digested_where_that_is_enough() {
    let content = "0123456".repeat(5_000);
    let sha256: [u8; 32] = Sha256::digest(content.as_bytes()).into();
    let chunks = "7;x=y\r\n0123456\r\n".repeat(5_000) + "0\r\n\r\n";
    let messages = [
        format!("POST /a HTTP/1.1\r\nContent-Length: 35000\r\n\r\n{content}"),
        format!("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
    ];
    for (memory, total) in [(1_000, 1_000), (100, 1_000), (1 << 20, 1 << 20)] {
        let keep = BodyKeep::Keep(KeepLimits { digest: DigestOf::TooLarge, memory, total });
        for (message, piece) in messages.iter().flat_map(|one| [(one, 13), (one, 1_460)]) {
            let options = HttpOptions { request_body: keep, ..everything() };
            let mut talk = Talk::with(options, false);
            for part in message.as_bytes().chunks(piece) {
                talk.client(part);
            }
            talk.closed(CloseReason::Fin);
            let body = talk.out[0].request.clone().unwrap().body.clone();
            assert_eq!(body.length, 35_000);
            assert_eq!(body.sha256, (total == 1_000).then_some(sha256), "{memory} {total} {piece}");
        }
    }
}

#[test]
fn all_that_waits_on_disk_stays_within_the_limit_until_it_is_dropped() {
    let options = HttpOptions { max_spooled: 50_000, ..keeping(1_000, 1 << 20) };
    let mut talk = Talk::with(options, false);
    for _ in 0..3 {
        post(&mut talk, 20_000);
    }
    let kept = |talk: &Talk| -> Vec<bool> {
        let wires = talk.out.iter().map(|exchange| &exchange.request.as_ref().unwrap().body.wire);
        wires.map(|wire| matches!(wire, Kept::File(_))).collect()
    };
    assert_eq!(kept(&talk), [true, true, false]);
    assert_eq!(talk.table.stats().requests.not_kept.get(NotKept::SpoolFull), 1);
    assert_eq!(talk.table.spooled(), 40_000);
    // The table itself remembers the requests that wait for responses.
    for _ in 0..3 {
        talk.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    talk.out.clear();
    assert_eq!(talk.table.spooled(), 0);
    post(&mut talk, 20_000);
    assert_eq!(kept(&talk), [true]);
    talk.closed(CloseReason::Fin);
}

#[test]
fn all_that_is_held_stays_within_the_limit() {
    let max_held = 100_000 + 100 * (CONN_BYTES + 2 * ENTRY_BYTES);
    let options = HttpOptions { max_held, ..keeping(1 << 20, 1 << 20) };
    let mut table = HttpTable::new(options);
    let mut out = Vec::new();
    let mut push = |table: &mut HttpTable, slot: u32, change: Change| {
        let conn = ConnId { slot, serial: u64::from(slot) };
        let at = Timestamp::from_nanos(0);
        table.push(StreamEvent { conn, at, change }, &mut out);
        out.clear();
    };
    for slot in 0..100 {
        push(&mut table, slot, Change::Opened { peers: peers(), midstream: false });
        push(&mut table, slot, Change::Data(Side::Client, b"\n".as_slice().into()));
    }
    for slot in 0..100 {
        let head = b"POST /a HTTP/1.1\r\nContent-Length: 9000\r\n\r\n".as_slice();
        push(&mut table, slot, Change::Data(Side::Client, head.into()));
        push(&mut table, slot, Change::Data(Side::Client, vec![0; 8000].into()));
    }
    assert!(table.held().1 <= max_held);
    let refused = table.stats().requests.refused.get(Refusal::NoRoom);
    for slot in 0..100 {
        push(&mut table, slot, Change::Data(Side::Client, vec![0; 1000].into()));
        push(&mut table, slot, Change::Closed(CloseReason::Fin));
    }
    let requests = &table.stats().requests;
    assert_eq!(requests.whole + refused, 100);
    assert!(requests.not_kept.get(NotKept::NoRoom) > 20, "{requests:?}");
    assert_eq!(table.held().0, 0);
}

#[test]
fn a_head_of_ten_megabytes_is_refused_at_the_limit() {
    let mut talk = Talk::new();
    talk.client("GET /a HTTP/1.1\r\nX: ");
    for _ in 0..10_000 {
        talk.client([b'x'; 1000]);
    }
    assert!(talk.table.held().1 <= 2 * 64 * 1024 + CONN_BYTES + 16 * ENTRY_BYTES);
    assert_eq!(talk.table.stats().requests.refused.get(Refusal::HeadTooLarge), 1);
    talk.closed(CloseReason::Fin);
    assert!(talk.out.is_empty());
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let mut talk = Talk::new();
    let head = format!("GET /a HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x\r\n y".repeat(3_000));
    for byte in head.as_bytes() {
        talk.client([*byte]);
    }
    assert_eq!(talk.out.len(), 1);
    assert_eq!(&talk.out[0].request.as_ref().unwrap().head.raw[..], head.as_bytes());
    talk.closed(CloseReason::Fin);
}

#[test]
fn a_hundred_thousand_requests_in_one_segment_are_all_emitted() {
    let mut talk = Talk::new();
    talk.client("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(100_000));
    talk.server("HTTP/1.1 204 Fine\r\n\r\n".repeat(100_000)).closed(CloseReason::Fin);
    let stats = talk.table.stats();
    assert_eq!((stats.requests.whole, stats.responses.whole), (100_000, 100_000));
    assert_eq!(stats.paired, 1_000);
    assert_eq!(stats.unpaired.get(Unpaired::TooManyWaiting), 99_000);
    assert_eq!(talk.moment(Moment::Asked).len(), 100_000);
}

#[test]
fn without_heads_the_same_is_counted_and_nothing_is_held_but_the_message() {
    let mut talk = Talk::with(HttpOptions { heads: false, ..HttpOptions::default() }, false);
    post(&mut talk, 5_000);
    talk.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").closed(CloseReason::Fin);
    let exchange = talk.out.last().unwrap();
    let request = exchange.request.as_ref().unwrap();
    assert_eq!((request.body.length, request.head.raw.len()), (5_000, 0));
    assert_eq!(exchange.response.as_ref().unwrap().head.status(), Some(200));
    assert_eq!(talk.table.stats().paired, 1);
}

#[test]
fn events_of_a_slot_that_was_given_to_another_connection_are_ignored() {
    let mut talk = Talk::new();
    let stale = ConnId { serial: CONN.serial - 1, ..CONN };
    let change = Change::Data(Side::Client, "GET / HTTP/1.1\r\n\r\n".into());
    let event = StreamEvent { conn: stale, at: Timestamp::from_nanos(0), change };
    talk.table.push(event, &mut talk.out);
    assert!(talk.out.is_empty());
}

#[test]
fn an_idle_connection_costs_little() {
    // docs/limits.md says how much.
    assert_eq!(CONN_BYTES, 392);
    assert_eq!(ENTRY_BYTES, 24);
}

fn event(slot: u32, change: Change) -> StreamEvent {
    let conn = ConnId { slot, serial: u64::from(slot) };
    StreamEvent { conn, at: Timestamp::from_nanos(0), change }
}

#[test]
fn the_table_is_counted_and_shrinks() {
    const MANY: u32 = 262_144;
    let mut table = HttpTable::new(HttpOptions::default());
    let mut out = Vec::new();
    let peers = peers();
    for slot in 0..MANY {
        let peers = peers.clone();
        table.push(event(slot, Change::Opened { peers, midstream: false }), &mut out);
    }
    assert_eq!(table.held().0, u64::from(MANY) * ENTRY_BYTES);
    for slot in 0..MANY {
        table.push(event(slot, Change::Finished(Side::Client)), &mut out);
    }
    let all = u64::from(MANY) * (ENTRY_BYTES + CONN_BYTES);
    assert_eq!(table.held().0, all);
    assert!(all < HttpOptions::default().max_held * 2 / 3, "{all}");
    for slot in (1000..MANY).rev() {
        table.push(event(slot, Change::Closed(CloseReason::Fin)), &mut out);
    }
    assert!(table.held().0 <= 1000 * (4 * ENTRY_BYTES + CONN_BYTES), "{}", table.held().0);
    for slot in 0..1000 {
        table.push(event(slot, Change::Closed(CloseReason::Fin)), &mut out);
    }
    assert_eq!(table.held().0, 0);
}

#[test]
fn a_connection_beyond_the_limit_is_counted_and_not_read() {
    let get = || Change::Data(Side::Client, "GET / HTTP/1.1\r\n\r\n".into());
    let options = HttpOptions { max_held: 10 * (CONN_BYTES + 2 * ENTRY_BYTES), ..everything() };
    let mut table = HttpTable::new(options);
    let mut out = Vec::new();
    for slot in 0..20 {
        let opened = Change::Opened { peers: peers(), midstream: false };
        table.push(event(slot, opened), &mut out);
        table.push(event(slot, Change::Finished(Side::Server)), &mut out);
    }
    let unread = table.stats().not_http.get(NotHttp::NoRoom);
    assert!((9..=11).contains(&unread), "{unread}");
    table.push(event(19, get()), &mut out);
    assert_eq!(table.stats().requests.unread.get(Unread::NoRoom), 18);
    // What ends makes space for the next.
    for slot in 0..10 {
        table.push(event(slot, Change::Closed(CloseReason::Fin)), &mut out);
    }
    table.push(event(0, Change::Opened { peers: peers(), midstream: false }), &mut out);
    table.push(event(0, get()), &mut out);
    assert_eq!(out.len(), 1);
    for slot in 0..20 {
        table.push(event(slot, Change::Closed(CloseReason::Fin)), &mut out);
    }
    assert_eq!(table.held().0, 0);
    assert!(table.stats().accounts().iter().all(crate::stats::Account::balances));
}
