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

/// What a reader sees of an exchange, without its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeenExchange {
    request: Option<SeenMessage>,
    response: Option<SeenMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeenMessage {
    started: u64,
    head: Vec<u8>,
    /// Only if the message is complete.
    body: Option<Vec<u8>>,
    why: Option<&'static str>,
    flaws: Vec<&'static str>,
}

fn seen(message: &Message) -> SeenMessage {
    let Body { wire, .. } = &message.body;
    let body = match wire {
        Kept::Memory(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    };
    // A body that was not kept appears as a gap.
    let left_out = matches!(wire, Kept::TooLarge).then_some(Incomplete::Gap);
    let incomplete = message.incomplete.or(left_out);
    SeenMessage {
        started: message.started.as_nanos(),
        head: message.head.raw.to_vec(),
        body: incomplete.is_none().then_some(body),
        why: incomplete.map(Into::into),
        flaws: message.flaws.iter().map(Into::into).collect(),
    }
}

/// The exchanges of a capture. Each is also given to `sink`, with or without its bodies.
fn exchanges(
    packets: Vec<Packet>,
    mut sink: Option<&mut Packets>,
    keeps: bool,
) -> Vec<SeenExchange> {
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
                all.push(SeenExchange {
                    request: exchange.request.as_deref().map(seen),
                    response: exchange.response.as_deref().map(seen),
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

/// The exchanges of a capture, and those of the file that is written from it.
fn written_and_read(packets: Vec<Packet>, keeps: bool) -> (Vec<SeenExchange>, Vec<SeenExchange>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.pcap");
    let mut sink = Packets::new(Recorder::create(&file, SNAPLEN_BYTES).unwrap());
    let seen = exchanges(packets, Some(&mut sink), keeps);
    sink.finish().unwrap();
    (seen, exchanges(packets_of(&file), None, keeps))
}

/// What one side sends at once.
#[derive(Clone, Debug)]
struct Write {
    from: Side,
    bytes: Vec<u8>,
}

/// How a packet is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capture {
    Seen,
    Lost,
    /// Cut after this many bytes of its payload.
    Cut(usize),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Reset,
    Open,
}

/// The capture of a conversation: packets of `size` bytes. `captures` says how those with payload
/// are captured.
fn captured(writes: &[Write], size: usize, captures: &[Capture], end: End) -> Vec<Packet> {
    let mut next = [1_000_u32, 900_000];
    let mut at = 1_000_000_000_u64;
    let mut packets = Vec::new();
    let mut captures = captures.iter().copied();
    let mut send = |from: Side, flags: &str, payload: &[u8], fate: Capture| {
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
            Capture::Seen => {}
            Capture::Lost => return,
            Capture::Cut(kept) => {
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
    send(Side::Client, "S", &[], Capture::Seen);
    send(Side::Server, "SA", &[], Capture::Seen);
    send(Side::Client, "A", &[], Capture::Seen);
    for say in writes {
        for piece in say.bytes.chunks(size) {
            send(say.from, "A", piece, captures.next().unwrap_or(Capture::Seen));
        }
        send(say.from.other(), "A", &[], Capture::Seen);
    }
    match end {
        End::Fin => {
            send(Side::Client, "FA", &[], Capture::Seen);
            send(Side::Server, "FA", &[], Capture::Seen);
            send(Side::Client, "A", &[], Capture::Seen);
        }
        End::Reset => send(Side::Client, "RA", &[], Capture::Seen),
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

/// One turn: a request and its response.
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

fn conversation(turns: &[Turn]) -> Vec<Write> {
    let (mut writes, mut owed) = (Vec::new(), Vec::new());
    for (n, turn) in turns.iter().enumerate() {
        let method = match (turn.is_head, turn.request) {
            (true, _) => "HEAD",
            (_, Content::None) => "GET",
            _ => "POST",
        };
        let request = turn.request.wire(&format!("{method} /{n} HTTP/1.1"));
        writes.push(Write { from: Side::Client, bytes: request });
        if turn.interim {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
            owed.push(Write { from: Side::Server, bytes: interim });
        }
        let mut response = match turn.response {
            Content::None => format!("HTTP/1.1 204 N{n}\r\n\r\n").into_bytes(),
            response => response.wire(&format!("HTTP/1.1 200 N{n}")),
        };
        if turn.is_head {
            let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            response.truncate(end + 4);
        }
        owed.push(Write { from: Side::Server, bytes: response });
        if !turn.pipelined || n + 1 == turns.len() {
            writes.append(&mut owed);
        }
    }
    writes
}

fn capture_of() -> impl Strategy<Value = Capture> {
    prop_oneof![12 => Just(Capture::Seen), 1 => Just(Capture::Lost), 1 => (0..300_usize).prop_map(Capture::Cut)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Fin), Just(End::Reset), Just(End::Open)]
}

/// True if an incomplete request without a response precedes one with a response: the file has the
/// former after the latter, because it is written only once it is given up.
fn has_late_request(seen: &[SeenExchange]) -> bool {
    let started =
        |exchange: &SeenExchange| exchange.request.as_ref().map(|request| request.started);
    let last_answered =
        seen.iter().filter(|exchange| exchange.response.is_some()).filter_map(started).max();
    seen.iter().any(|exchange| {
        let is_cut = exchange.request.as_ref().is_some_and(|request| request.why.is_some());
        is_cut && exchange.response.is_none() && started(exchange) < last_answered
    })
}

/// A turn whose messages are as short as possible.
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
            let mut captures = [Capture::Seen; 12];
            lost.iter().for_each(|&n: &usize| captures[n] = Capture::Lost);
            for keeps in [true, false] {
                let packets = captured(&conversation(&turns), 500, &captures, End::Fin);
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
        captures in prop::collection::vec(capture_of(), 0..40),
        end in end(),
        keeps: bool,
        until_close: bool,
    ) {
        let mut turns = turns;
        if let (true, Some(last)) = (until_close, turns.last_mut()) {
            last.response = Content::UntilClose(300);
        }
        let (seen, read) = written_and_read(captured(&conversation(&turns), size, &captures, end), keeps);
        let is_lossy = captures.iter().any(|fate| *fate != Capture::Seen);
        let is_guess = is_lossy && turns.iter().any(|turn| turn.pipelined);
        if !is_guess && !has_late_request(&seen) {
            prop_assert_eq!(seen, read);
            return Ok(());
        }
        // In such a capture readers guess which response belongs to which request, or it cannot be
        // written. No message is invented or lost.
        let heads = |all: &[SeenExchange]| {
            let both = |one: &SeenExchange| [one.request.clone(), one.response.clone()];
            let mut heads: Vec<_> =
                all.iter().flat_map(both).flatten().map(|message| message.head).collect();
            heads.sort();
            heads
        };
        let (expected, found) = (heads(&seen), heads(&read));
        prop_assert_eq!(expected, found);
        let heads_of_pair = |exchange: &SeenExchange| {
            Some((exchange.request.as_ref()?.head.clone(), exchange.response.as_ref()?.head.clone()))
        };
        let pairs: Vec<_> = seen.iter().filter_map(heads_of_pair).collect();
        let is_known = |exchange: &SeenExchange| heads_of_pair(exchange).is_none_or(|pair| pairs.contains(&pair));
        prop_assert!(is_guess || read.iter().all(is_known), "a response of another request");
    }
}
