//! A rule that does not match costs no allocation, however many there are; what connections take is
//! what `docs/limits.md` says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use mirror_user::config::file::File;
use mirror_user::http::message::{Exchange, Moment};
use mirror_user::http::{HttpOptions, HttpTable};
use mirror_user::packet::{InterfaceId, Timestamp};
use mirror_user::rules::{Dropped, Rules};
use mirror_user::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

const GET: &str = "GET /api/v2/orders/7?page=3&sort=created HTTP/1.1\r\nHost: shop.example.com\r\n\
    Authorization: Bearer 3f1c9a7be2d84c55a0f6\r\nCookie: session=9d4e1f0ab7c2\r\nX-Tenant: red\r\n\r\n";

/// A request as the http room hands it over.
fn asked(index: u64) -> Exchange {
    let mut http = HttpTable::new(HttpOptions::default());
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId(0),
    });
    let conn = ConnId { slot: 0, serial: index };
    let mut out = Vec::new();
    for change in [
        Change::Opened { peers, midstream: false },
        Change::Data(Side::Client, Bytes::copy_from_slice(GET.as_bytes())),
    ] {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
    }
    let exchange = out.pop().unwrap();
    assert_eq!(exchange.moment, Moment::Asked);
    exchange
}

/// So many rules of every kind; each is close to what the request says, and does not match.
fn rules(count: usize) -> Rules {
    let mut text = String::from(
        "version: 1\nsource: { from: day.pcap }\ntargets: { staging: { url: http://staging:8080 } }\nrules:\n",
    );
    for n in 0..count {
        let matched = match n % 6 {
            0 => format!("{{ path: {{ regex: \"/api/v[0-9]+/orders/[a-z]{{{}}}\" }} }}", n + 1),
            1 => format!("{{ path: {{ segments: /api/v2/orders/{n}7 }}, method: [GET, POST] }}"),
            2 => format!("{{ host: \"*.shop.example.com\", port: {} }}", 1000 + n),
            3 => format!("{{ headers: {{ x-tenant: {{ regex: \"red{n}|blue\" }} }} }}"),
            4 => format!("{{ query: {{ page: \"{n}3\" }} }}"),
            _ => {
                format!("{{ headers: {{ cookie: {{ prefix: theme{n}- }} }}, source: 10.0.0.0/8 }}")
            }
        };
        text.push_str(&format!("  - {{ name: rule{n}, match: {matched}, targets: staging }}\n"));
    }
    let file = File::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.told("it")));
    let mut rules = Rules::default();
    rules.routes = Some(file.routes().unwrap());
    rules
}

#[test]
fn a_rule_that_does_not_match_allocates_nothing() {
    for count in [6, 48, 600] {
        let mut rules = rules(count);
        // Regular expressions make what they work with when they are first asked.
        assert_eq!(rules.clear(asked(0)).err(), Some(Dropped::NotMatched));
        let mut exchange = Some(asked(1));
        let info = allocation_counter::measure(|| {
            assert!(rules.clear(exchange.take().unwrap()).is_err());
        });
        assert_eq!(info.count_total, 0, "{count} rules: {info:?}");
    }
}

/// As many as the tcp room keeps open.
const CONNECTIONS: u32 = 262_144;

/// Opens all of them and lets each send `bytes`; the most bytes that were allocated, and that were
/// counted.
fn open_all(bytes: &'static [u8]) -> (u64, u64) {
    let peers = Arc::new(Peers {
        client: ([10, 0, 0, 2], 40_000).into(),
        server: ([10, 0, 0, 1], 80).into(),
        interface: InterfaceId(0),
    });
    let mut counted = 0;
    let info = allocation_counter::measure(|| {
        let mut http = HttpTable::new(HttpOptions::default());
        let mut out = Vec::new();
        for slot in 0..CONNECTIONS {
            let conn = ConnId { slot, serial: slot.into() };
            let opened = Change::Opened { peers: Arc::clone(&peers), midstream: false };
            let said = Change::Data(Side::Client, Bytes::from_static(bytes));
            for change in [opened, said] {
                http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut out);
                out.clear();
            }
        }
        counted = http.held().1;
    });
    (info.bytes_max, counted)
}

#[test]
fn what_connections_take_is_counted_and_as_documented() {
    const MIB: u64 = 1 << 20;
    // Between messages, as on an idle connection.
    let (taken, counted) = open_all(b"\n");
    assert!(counted <= 110 * MIB && taken <= counted, "{taken} of {counted}");
    // With a request that waits for its response.
    let (taken, counted) = open_all(GET.as_bytes());
    let limit = HttpOptions::default().max_held;
    assert!(counted <= limit && counted > limit - MIB, "{counted}");
    assert!(taken <= limit, "{taken} of {counted}");
}
