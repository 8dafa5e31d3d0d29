use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use self::said::hello;
use super::*;
use crate::packet::InterfaceId;
use crate::tcp::event::CloseReason;

#[path = "../../../tests/support/hello.rs"]
mod said;

const CONN: ConnId = ConnId { slot: 3, serial: 9 };

fn peers() -> Arc<Peers> {
    let [client, server] = ["10.0.0.2:40000", "10.0.0.1:443"].map(|end| end.parse().unwrap());
    Arc::new(Peers { client, server, interface: InterfaceId(0) })
}

fn event(change: Change) -> StreamEvent {
    StreamEvent { conn: CONN, at: Timestamp::from_nanos(7), change }
}

/// What a connection tells whose client sends these parts, and then ends.
fn told(parts: &[&[u8]]) -> Vec<Protocol> {
    let (mut beginnings, mut out) = (Beginnings::default(), Vec::new());
    beginnings.push(&event(Change::Opened { peers: peers(), midstream: false }), &mut out);
    for part in parts {
        let data = Change::Data(Side::Client, Bytes::copy_from_slice(part));
        beginnings.push(&event(data), &mut out);
    }
    beginnings.push(&event(Change::Closed(CloseReason::Fin)), &mut out);
    assert!(beginnings.silent.is_empty());
    assert_eq!(beginnings.hellos, 0);
    out.into_iter().map(|spoken| spoken.protocol).collect()
}

#[test]
fn a_handshake_names_its_server_or_none() {
    let named = Protocol::Tls(Some("api.payments.example".to_owned()));
    assert_eq!(told(&[&hello("API.payments.example")]), [named]);
    // An address is no name (RFC 6066 §3).
    assert_eq!(told(&[&hello("192.0.2.1")]), [Protocol::Tls(None)]);
    let whole = hello("a.example");
    assert_eq!(told(&[&whole[..100]]), [Protocol::Tls(None)]);
    // A session id that would be longer than one may be, behind headers, version and random bytes.
    let mut broken = whole;
    broken[5 + 4 + 2 + 32] = 0xff;
    assert_eq!(told(&[&broken]), [Protocol::Tls(None)]);
    // A later record, on a connection that was joined in its middle.
    assert_eq!(told(&[b"\x17\x03\x03\x00\x05hello"]), [Protocol::Tls(None)]);
}

#[test]
fn other_protocols_are_told_once() {
    let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(told(&[http, http]), [Protocol::Http1]);
    assert_eq!(told(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]), [Protocol::Http2]);
    assert_eq!(told(&[b"\x00\x00\x00\x08\x04\xd2\x16\x2f"]), [Protocol::Unknown]);
    assert_eq!(told(&[]), [Protocol::Unknown]);
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    // A record that says it has 16 KiB, with a ClientHello of 16 MiB.
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(16_384 + 5, 0);
    let (mut beginnings, mut out) = (Beginnings::default(), Vec::new());
    beginnings.push(&event(Change::Opened { peers: peers(), midstream: false }), &mut out);
    for part in record.repeat(2).chunks(1_000) {
        let data = Change::Data(Side::Client, Bytes::copy_from_slice(part));
        beginnings.push(&event(data), &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].protocol, Protocol::Tls(None));
    assert!(beginnings.silent.is_empty());
}

#[test]
fn handshakes_beyond_the_limit_are_told_without_a_name() {
    let (mut beginnings, mut out) = (Beginnings::default(), Vec::new());
    let bytes = hello("a.example");
    for slot in 0..=u32::try_from(MAX_HELLOS).unwrap() {
        let conn = ConnId { slot, serial: slot.into() };
        let at = Timestamp::default();
        let opened = Change::Opened { peers: peers(), midstream: false };
        beginnings.push(&StreamEvent { conn, at, change: opened }, &mut out);
        let data = Change::Data(Side::Client, Bytes::copy_from_slice(&bytes[..50]));
        beginnings.push(&StreamEvent { conn, at, change: data }, &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(beginnings.hellos, MAX_HELLOS);
}

proptest! {
    #[test]
    fn a_name_is_the_same_however_the_handshake_is_cut(cuts in prop::collection::vec(6_usize..240, 0..6)) {
        let bytes = hello("api.payments.example");
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        let mut start = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            parts.push(&bytes[start..cut]);
            start = cut;
        }
        prop_assert_eq!(told(&parts), [Protocol::Tls(Some("api.payments.example".to_owned()))]);
    }

    #[test]
    fn any_bytes_tell_one_thing(
        start in prop_oneof![Just(vec![]), Just(vec![22, 3, 1, 2, 0, 1]), Just(hello("a.example"))],
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
    ) {
        let parts: Vec<&[u8]> = [start.as_slice()].into_iter().chain(parts.iter().map(Vec::as_slice)).collect();
        prop_assert_eq!(told(&parts).len(), 1);
    }
}
