//! What the path of a packet allocates: decode, tcp and http nothing for a packet within a message
//! and a few times for a message; a rule that does not match nothing, however many there are; a request that is dropped
//! because queues are full nothing. What
//! connections take is what `docs/limits.md` says.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
#[allow(unreachable_pub, reason = "there is no outside of a test")]
mod wire;

use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use mirror_user::config::file::File;
use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::message::{Exchange, Moment};
use mirror_user::http::{BodyKeep, HttpOptions, HttpTable, ResponseProgress, ResponseReader};
use mirror_user::packet::{InterfaceId, LinkType, Packet, Timestamp};
use mirror_user::rules::redact::{Key, Preset, RedactOptions, Redactor};
use mirror_user::rules::tag::Marks;
use mirror_user::rules::{NotCleared, Rules};
use mirror_user::sink::Sink;
use mirror_user::sink::replay::{Pace, ReplayOptions, ReplaySink, Target, Victim, WhenFull};
use mirror_user::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};
use mirror_user::tcp::{FlowTable, TcpLimits};
use wire::Talk;

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
    let file = File::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("it")));
    let mut rules = Rules::default();
    rules.routes = Some(file.routes().unwrap());
    rules
}

#[test]
fn a_rule_that_does_not_match_allocates_nothing() {
    for count in [6, 48, 600] {
        let mut rules = rules(count);
        // Regular expressions make what they work with when they are first asked.
        assert_eq!(rules.clear(asked(0)).err(), Some(NotCleared::NotMatched));
        let mut exchange = Some(asked(1));
        let info = allocation_counter::measure(|| {
            assert!(rules.clear(exchange.take().unwrap()).is_err());
        });
        assert_eq!(info.count_total, 0, "{count} rules: {info:?}");
    }
}

#[test]
fn a_request_for_which_nobody_has_room_allocates_nothing() {
    // A target that accepts and never responds: the first request takes all the room there is.
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", target.local_addr().unwrap());
    let when_full = WhenFull::Drop(Victim::Newest);
    let mut options = ReplayOptions::new(Marks::default(), Pace::Live, when_full);
    options.limits.queue_requests = 1;
    let stop = Arc::default();
    let mut sink = ReplaySink::start(Target::parse(&url).unwrap(), options, stop).unwrap();
    let key = Some(Key::new([7; 32]).unwrap());
    let redact = RedactOptions { key, ..RedactOptions::preset(Preset::Credentials) };
    let mut rules = Rules::for_targets();
    rules.redactor = Redactor::new(redact).unwrap().map(Arc::new);
    assert!(!sink.is_full());
    sink.accept(&rules.clear(asked(0)).unwrap()).unwrap();
    let exchange = asked(1);
    let info = allocation_counter::measure(|| {
        assert!(sink.is_full());
        sink.refuse(&rules.judge(&exchange).unwrap());
    });
    assert_eq!(info.count_total, 0, "{info:?}");
    let account = sink.account();
    assert!(account.balances(), "{account}");
    assert_eq!((account.seen, account.dropped_for("queue_full")), (2, 1));
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

/// The stages from packets to exchanges, as the pipeline joins them.
struct Stages {
    decoder: Decoder,
    flows: FlowTable,
    events: Vec<StreamEvent>,
    http: HttpTable,
    exchanges: Vec<Exchange>,
}

impl Stages {
    fn new(keep: BodyKeep) -> Self {
        let options =
            HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
        Self {
            decoder: Decoder::new(Limits::default()),
            flows: FlowTable::new(TcpLimits::default()),
            events: Vec::new(),
            http: HttpTable::new(options),
            exchanges: Vec::new(),
        }
    }

    /// Takes these packets; how many exchanges came out whole.
    fn take(&mut self, packets: &[Packet]) -> usize {
        let mut ended = 0;
        for packet in packets {
            let segment = self.decoder.push(packet).unwrap();
            self.flows.push(segment, &mut self.events);
            self.flows.expire(packet.at, &mut self.events);
            for event in self.events.drain(..) {
                self.http.push(event, &mut self.exchanges);
            }
            ended += self.exchanges.iter().filter(|e| e.moment == Moment::Ended).count();
            self.exchanges.clear();
        }
        ended
    }
}

/// The packets of a conversation as a source gives them: slices of one chunk.
fn packets(talk: &Talk) -> Vec<Packet> {
    let all: Vec<u8> = talk.packets().iter().flat_map(|packet| packet.bytes.clone()).collect();
    let mut chunk = Bytes::from(all);
    let packet = |timed: &wire::TimedPacket| Packet {
        at: Timestamp::from_nanos(timed.nanos),
        link: LinkType::Ethernet,
        interface: InterfaceId(0),
        wire_len: timed.bytes.len() as u32,
        data: chunk.split_to(timed.bytes.len()),
    };
    talk.packets().iter().map(packet).collect()
}

/// Many pieces of a body, each with its acknowledgment.
fn body(mut talk: Talk, piece: &[u8]) -> Talk {
    for _ in 0..2_000 {
        talk = talk.server(piece).acknowledged();
    }
    talk
}

#[test]
fn a_packet_within_a_message_allocates_nothing() {
    let v4 = || Talk::new();
    let v6 = || Talk::between("[2001:db8::2]:40000", "[2001:db8::1]:8080");
    let chunk = [b"f00\r\n", [b'x'; 0xf00].as_slice(), b"\r\n"].concat();
    let text = [b'x'; 1_400];
    let cases = [
        ("a length", v4(), "Content-Length: 99999999", &text[..]),
        ("IPv6", v6(), "Content-Length: 99999999", &text[..]),
        ("a VLAN", v4().in_vlan(7), "Content-Length: 99999999", &text[..]),
        ("chunks", v4(), "Transfer-Encoding: chunked", &chunk[..]),
        ("until the end", v4(), "Connection: close", &text[..]),
    ];
    for (name, talk, framing, piece) in cases {
        let talk = talk.open().client(GET).server(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        let packets = packets(&body(talk, piece));
        let (first, within) = packets.split_at(20);
        for keep in [BodyKeep::Count, BodyKeep::Digest] {
            let mut stages = Stages::new(keep);
            stages.take(first);
            let info = allocation_counter::measure(|| assert_eq!(stages.take(within), 0));
            assert_eq!(info.count_total, 0, "{name}, {keep:?}, {} packets: {info:?}", within.len());
            assert!(stages.http.stats().responses.message_bytes > 2_000 * 1_400, "{name}");
        }
    }
}

/// For a request and its response: each a message, its field lines, and its head's bytes.
const PER_EXCHANGE: u64 = 8;

#[test]
fn an_exchange_allocates_a_few_times_however_many_packets_it_has() {
    const EXCHANGES: usize = 100;
    for length in [0, 10, 100_000] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let mut talk = Talk::new().open();
        for _ in 0..=EXCHANGES {
            talk = talk.client(GET).server([response.as_bytes(), &vec![b'x'; length]].concat());
        }
        let packets = packets(&talk);
        // The first exchange takes what the connection keeps.
        let (first, others) = packets.split_at(3 + (packets.len() - 3) / (EXCHANGES + 1));
        let mut stages = Stages::new(BodyKeep::Count);
        assert_eq!(stages.take(first), 1);
        let info = allocation_counter::measure(|| assert_eq!(stages.take(others), EXCHANGES));
        assert!(info.count_total <= PER_EXCHANGE * EXCHANGES as u64, "{length} bytes: {info:?}");
    }
}

#[test]
fn a_response_that_nobody_wants_allocates_nothing() {
    let mut reader = ResponseReader::default();
    let wire = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 3\r\n\r\nabc";
    let mut read = |max_body| {
        reader.expect(false, max_body);
        let whole = reader.push(wire).unwrap();
        assert_eq!(whole, ResponseProgress::Complete { status: 200, reusable: true });
        assert_eq!(
            reader.take(Timestamp::default(), Timestamp::default()).is_some(),
            max_body.is_some()
        );
    };
    // The field lines that are kept from one response to the next.
    read(None);
    assert_eq!(allocation_counter::measure(|| read(None)).count_total, 0);
    assert!(allocation_counter::measure(|| read(Some(100))).count_total > 0);
}
