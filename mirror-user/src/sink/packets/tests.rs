#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::decode::{Decoder, Limits};
use crate::http::message::{Body, Kept};
use crate::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use crate::packet::{InterfaceId, LinkType, Packet};
use crate::recorder::SNAPLEN_BYTES;
use crate::rules::Rules;
use crate::source::pcap::FileSource;
use crate::source::{Next, PacketSource};
use crate::tcp::{FlowTable, TcpLimits};

/// What is known of an exchange, but for its name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    request: Option<ToldMessage>,
    response: Option<ToldMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ToldMessage {
    started: u64,
    head: Vec<u8>,
    /// Of those that are whole.
    body: Option<Vec<u8>>,
    why: Option<&'static str>,
    flaws: Vec<&'static str>,
}

fn told(message: &Message) -> ToldMessage {
    let Body { wire, .. } = &message.body;
    let body = match wire {
        Kept::Memory(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    };
    // What was left out is a hole.
    let left_out = matches!(wire, Kept::TooLarge).then_some(Incomplete::Gap);
    let incomplete = message.incomplete.or(left_out);
    ToldMessage {
        started: message.started.as_nanos(),
        head: message.head.raw.to_vec(),
        body: incomplete.is_none().then_some(body),
        why: incomplete.map(Into::into),
        flaws: message.flaws.iter().map(Into::into).collect(),
    }
}

/// The exchanges of a capture; each goes to `sink`, too, with its bodies or without.
fn exchanges(packets: Vec<Packet>, mut sink: Option<&mut Packets>, keeps: bool) -> Vec<Told> {
    let keep = BodyKeep::Keep(KeepLimits {
        total: if keeps { 1 << 20 } else { 0 },
        ..KeepLimits::default()
    });
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = FlowTable::new(TcpLimits::for_files());
    let options = HttpOptions { request_body: keep, response_body: keep, ..HttpOptions::default() };
    let mut http = HttpTable::new(options);
    let mut rules = Rules::for_reports();
    let (mut events, mut found, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let ends = std::iter::once(None);
    for packet in packets.into_iter().map(Some).chain(ends) {
        match packet {
            Some(packet) => {
                if let Ok(segment) = decoder.push(&packet) {
                    flows.push(segment, &mut events);
                    flows.expire(packet.at, &mut events);
                }
            }
            None => flows.finish(&mut events),
        }
        events.drain(..).for_each(|event| http.push(event, &mut found));
        for exchange in found.drain(..) {
            if exchange.moment == Moment::Ended {
                all.push(Told {
                    request: exchange.request.as_deref().map(told),
                    response: exchange.response.as_deref().map(told),
                });
            }
            if let Some(sink) = &mut sink {
                sink.accept(&rules.clear(exchange).unwrap()).unwrap();
            }
        }
    }
    all.sort();
    all
}

fn packets_of(file: &Path) -> Vec<Packet> {
    let mut source = FileSource::open(file).unwrap();
    let mut packets = Vec::new();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        packets.push(packet);
    }
    assert_eq!(source.warnings(), Vec::<String>::new());
    packets
}

/// The exchanges of a capture, and those of the file that is written of it.
fn written_and_read(packets: Vec<Packet>, keeps: bool) -> (Vec<Told>, Vec<Told>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.pcap");
    let mut sink = Packets::new(Recorder::create(&file, SNAPLEN_BYTES).unwrap());
    let seen = exchanges(packets, Some(&mut sink), keeps);
    sink.finish().unwrap();
    (seen, exchanges(packets_of(&file), None, keeps))
}

/// What one end sends at once.
#[derive(Clone, Debug)]
struct Say {
    from: Side,
    bytes: Vec<u8>,
}

/// What becomes of a packet on its way into the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Seen,
    Lost,
    /// Cut after so many bytes of its payload.
    Cut(usize),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Reset,
    Open,
}

/// The capture of a conversation: one packet for `size` bytes, with the fates of those with payload.
fn capture(says: &[Say], size: usize, fates: &[Fate], end: End) -> Vec<Packet> {
    let mut next = [1_000_u32, 900_000];
    let mut at = 1_000_000_000_u64;
    let mut packets = Vec::new();
    let mut fates = fates.iter().copied();
    let mut send = |from: Side, flags: &str, payload: &[u8], fate: Fate| {
        let (me, peer) = if from == Side::Client { (0, 1) } else { (1, 0) };
        let (source, target) = ([10, 0, 0, 2 - me as u8], [10, 0, 0, 1 + me as u8]);
        let ports = [40_000_u16, 8080];
        let mut builder =
            PacketBuilder::ipv4(source, target, 64).tcp(ports[me], ports[peer], next[me], 65_535);
        if flags.contains('S') {
            builder = builder.syn();
        }
        if flags.contains('F') {
            builder = builder.fin();
        }
        if flags.contains('R') {
            builder = builder.rst();
        }
        if flags.contains('A') {
            builder = builder.ack(next[peer]);
        }
        let mut data = Vec::new();
        builder.write(&mut data, payload).unwrap();
        next[me] = next[me].wrapping_add(payload.len() as u32);
        if flags.contains('S') || flags.contains('F') {
            next[me] = next[me].wrapping_add(1);
        }
        at += 1_000_000;
        let wire_len = data.len() as u32;
        match fate {
            Fate::Seen => {}
            Fate::Lost => return,
            Fate::Cut(kept) => {
                let beyond = payload.len().saturating_sub(kept);
                data.truncate(data.len() - beyond);
            }
        }
        packets.push(Packet {
            at: Timestamp::from_nanos(at),
            link: LinkType::RawIp,
            interface: InterfaceId(0),
            wire_len,
            data: Bytes::from(data),
        });
    };
    send(Side::Client, "S", &[], Fate::Seen);
    send(Side::Server, "SA", &[], Fate::Seen);
    send(Side::Client, "A", &[], Fate::Seen);
    for say in says {
        for piece in say.bytes.chunks(size) {
            send(say.from, "A", piece, fates.next().unwrap_or(Fate::Seen));
        }
        send(say.from.other(), "A", &[], Fate::Seen);
    }
    match end {
        End::Fin => {
            send(Side::Client, "FA", &[], Fate::Seen);
            send(Side::Server, "FA", &[], Fate::Seen);
            send(Side::Client, "A", &[], Fate::Seen);
        }
        End::Reset => send(Side::Client, "RA", &[], Fate::Seen),
        End::Open => {}
    }
    packets
}

#[derive(Clone, Copy, Debug)]
enum Content {
    None,
    Length(usize),
    Chunked(usize, bool),
    /// A response that ends with its connection.
    UntilClose(usize),
}

impl Content {
    fn wire(self, start: &str) -> Vec<u8> {
        let text =
            |n: usize| "0123456789abcdefghijklmnopqrstuvwxyz".repeat(n / 36 + 1)[..n].to_owned();
        match self {
            Self::None => format!("{start}\r\nHost: a.test\r\n\r\n"),
            Self::Length(n) => {
                format!("{start}\r\nHost: a.test\r\nContent-Length: {n}\r\n\r\n{}", text(n))
            }
            Self::UntilClose(n) => format!("{start}\r\nHost: a.test\r\n\r\n{}", text(n)),
            Self::Chunked(n, trailer) => {
                let chunks: String = text(n)
                    .as_bytes()
                    .chunks(100)
                    .map(|chunk| {
                        format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk))
                    })
                    .collect();
                let trailer = if trailer { "Expires: 0\r\n" } else { "" };
                format!(
                    "{start}\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n{trailer}\r\n"
                )
            }
        }
        .into_bytes()
    }
}

/// One turn: a request and what comes back.
#[derive(Clone, Debug)]
struct Turn {
    request: Content,
    response: Content,
    interim: bool,
    is_head: bool,
    /// The next request does not wait for the response.
    pipelined: bool,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::None),
        (0..400_usize).prop_map(Content::Length),
        (0..400_usize, any::<bool>()).prop_map(|(n, trailer)| Content::Chunked(n, trailer)),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let rarely = || prop::bool::weighted(0.1);
    (content(), content(), rarely(), rarely(), rarely()).prop_map(
        |(request, response, interim, is_head, pipelined)| Turn {
            request,
            response,
            interim,
            is_head,
            pipelined,
        },
    )
}

fn talk(turns: &[Turn]) -> Vec<Say> {
    let (mut says, mut owed) = (Vec::new(), Vec::new());
    for (n, turn) in turns.iter().enumerate() {
        let method = match (turn.is_head, turn.request) {
            (true, _) => "HEAD",
            (_, Content::None) => "GET",
            _ => "POST",
        };
        let request = turn.request.wire(&format!("{method} /{n} HTTP/1.1"));
        says.push(Say { from: Side::Client, bytes: request });
        if turn.interim {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
            owed.push(Say { from: Side::Server, bytes: interim });
        }
        let mut response = match turn.response {
            Content::None => format!("HTTP/1.1 204 N{n}\r\n\r\n").into_bytes(),
            response => response.wire(&format!("HTTP/1.1 200 N{n}")),
        };
        if turn.is_head {
            let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            response.truncate(end + 4);
        }
        owed.push(Say { from: Side::Server, bytes: response });
        if !turn.pipelined || n + 1 == turns.len() {
            says.append(&mut owed);
        }
    }
    says
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![12 => Just(Fate::Seen), 1 => Just(Fate::Lost), 1 => (0..300_usize).prop_map(Fate::Cut)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Fin), Just(End::Reset), Just(End::Open)]
}

/// True when a request that was cut and got no response comes before one that got it: the file has
/// the former only once it was given up, behind the latter.
fn has_late_request(seen: &[Told]) -> bool {
    let started = |told: &Told| told.request.as_ref().map(|request| request.started);
    let last_answered =
        seen.iter().filter(|told| told.response.is_some()).filter_map(started).max();
    seen.iter().any(|told| {
        let is_cut = told.request.as_ref().is_some_and(|request| request.why.is_some());
        is_cut && told.response.is_none() && started(told) < last_answered
    })
}

/// A turn whose messages are as short as can be.
fn short(response: Content, is_head: bool, pipelined: bool) -> Turn {
    Turn { request: Content::None, response, interim: false, is_head, pipelined }
}

#[test]
fn a_response_to_a_head_that_was_not_seen_takes_no_bytes_of_what_follows() {
    let get = || short(Content::None, false, false);
    let head = |content| short(content, true, false);
    let pipelined = short(Content::None, false, true);
    for content in [Content::Length(2), Content::Chunked(100, false), Content::UntilClose(1)] {
        let turns_and_lost = [
            (vec![get(), head(content), get()], vec![2]),
            (vec![get(), head(content), pipelined.clone(), get()], vec![2]),
            (vec![head(content), head(content), get(), get()], vec![0, 2]),
            (vec![head(content), head(content), pipelined.clone(), get(), get()], vec![0, 2]),
        ];
        for (turns, lost) in turns_and_lost {
            let mut fates = [Fate::Seen; 12];
            lost.iter().for_each(|&n: &usize| fates[n] = Fate::Lost);
            for keeps in [true, false] {
                let packets = capture(&talk(&turns), 500, &fates, End::Fin);
                let (seen, read) = written_and_read(packets, keeps);
                assert_eq!(seen, read, "{turns:?}, lost: {lost:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_file_reads_as_what_was_captured(
        turns in prop::collection::vec(turn(), 1..6),
        size in 40..500_usize,
        fates in prop::collection::vec(fate(), 0..40),
        end in end(),
        keeps: bool,
        until_close: bool,
    ) {
        let mut turns = turns;
        if let (true, Some(last)) = (until_close, turns.last_mut()) {
            last.response = Content::UntilClose(300);
        }
        let (seen, read) = written_and_read(capture(&talk(&turns), size, &fates, end), keeps);
        let is_lossy = fates.iter().any(|fate| *fate != Fate::Seen);
        let is_guess = is_lossy && turns.iter().any(|turn| turn.pipelined);
        if !is_guess && !has_late_request(&seen) {
            prop_assert_eq!(seen, read);
            return Ok(());
        }
        // Which response is whose is guessed by readers of such a capture, or cannot be written; no
        // message is invented, and no request lost.
        let heads = |all: &[Told]| {
            let both = |one: &Told| [one.request.clone(), one.response.clone()];
            let mut heads: Vec<_> =
                all.iter().flat_map(both).flatten().map(|message| message.head).collect();
            heads.sort();
            heads
        };
        let (mut seen_heads, read_heads) = (heads(&seen), heads(&read));
        // A response whose own request was not captured may be lost (docs/guide.md).
        seen_heads.retain(|head| read_heads.contains(head) || !head.starts_with(b"HTTP/"));
        prop_assert_eq!(seen_heads, read_heads);
        let heads_of_pair = |told: &Told| {
            Some((told.request.as_ref()?.head.clone(), told.response.as_ref()?.head.clone()))
        };
        let pairs: Vec<_> = seen.iter().filter_map(heads_of_pair).collect();
        let is_known = |told: &Told| heads_of_pair(told).is_none_or(|pair| pairs.contains(&pair));
        prop_assert!(is_guess || read.iter().all(is_known), "a response of another request");
    }
}
