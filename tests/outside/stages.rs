//! From packets to exchanges: however a conversation is cut, reordered and repeated on the wire,
//! the three stages together read the same exchanges from it.

use bytes::Bytes;
use etherparse::PacketBuilder;
use mirror_user::decode::{Decoder, Limits};
use mirror_user::http::message::{Exchange, Kept, Message, Moment};
use mirror_user::http::{BodyKeep, HttpOptions, HttpTable, KeepLimits};
use mirror_user::packet::{InterfaceId, LinkType, Packet, Timestamp};
use mirror_user::tcp::{FlowTable, TcpLimits};
use proptest::collection::vec;
use proptest::prelude::*;

/// Segments come at most so many places late: well within the segments and the time that `tcp`
/// waits for an acknowledged hole.
const LATE: usize = 6;
const STEP_NANOS: u64 = 10_000;

#[derive(Clone, Debug)]
struct Content {
    bytes: Vec<u8>,
    /// The size of its chunks; without, it has a Content-Length.
    chunk: Option<usize>,
}

impl Content {
    fn message(&self, start: &str) -> Vec<u8> {
        let Some(chunk) = self.chunk else {
            let head =
                format!("{start}\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", self.bytes.len());
            return [head.as_bytes(), &self.bytes].concat();
        };
        let mut wire =
            format!("{start}\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in self.bytes.chunks(chunk) {
            wire.extend(format!("{:x}\r\n", piece.len()).into_bytes());
            wire.extend(piece);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\n");
        wire
    }
}

/// What must come out of an exchange.
#[derive(Debug, PartialEq, Eq)]
struct SeenExchange {
    target: Vec<u8>,
    status: Option<u16>,
    /// As on the wire.
    bodies: [Vec<u8>; 2],
}

fn content() -> impl Strategy<Value = Content> {
    (vec(any::<u8>(), 0..300), proptest::option::of(1..90_usize))
        .prop_map(|(bytes, chunk)| Content { bytes, chunk })
}

/// Rounds of one request or of several pipelined ones, each with its answer.
fn conversation() -> impl Strategy<Value = Vec<Vec<(Content, Content)>>> {
    vec(vec((content(), content()), 1..4), 1..4)
}

/// The packets of both ends, client 0 and server 1, in the order in which they were sent.
struct Wire {
    packets: Vec<Bytes>,
    next: [u32; 2],
    /// The client has the higher address.
    swapped: bool,
}

impl Wire {
    fn send(&mut self, from: usize, syn: bool, fin: bool, payload: &[u8]) {
        let (client, server) = if self.swapped {
            ([10, 0, 0, 1], [10, 0, 0, 2])
        } else {
            ([10, 0, 0, 2], [10, 0, 0, 1])
        };
        let (source, destination, ports) = match from {
            0 => (client, server, (40_000, 8080)),
            _ => (server, client, (8080, 40_000)),
        };
        let mut builder = PacketBuilder::ipv4(source, destination, 64).tcp(
            ports.0,
            ports.1,
            self.next[from],
            65_535,
        );
        if syn {
            builder = builder.syn();
        }
        if fin {
            builder = builder.fin();
        }
        if !syn || from == 1 {
            builder = builder.ack(self.next[1 - from]);
        }
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload).expect("a Vec takes what is written");
        self.packets.push(packet.into());
        let numbers = u32::try_from(payload.len()).expect("a short payload")
            + u32::from(syn)
            + u32::from(fin);
        self.next[from] = self.next[from].wrapping_add(numbers);
    }

    fn send_cut(&mut self, from: usize, bytes: &[u8], cuts: &mut impl Iterator<Item = usize>) {
        let mut left = bytes;
        while !left.is_empty() {
            let n = cuts.next().unwrap_or(usize::MAX).clamp(1, left.len());
            let (now, later) = left.split_at(n);
            self.send(from, false, false, now);
            left = later;
        }
    }
}

fn read(packets: &[Bytes]) -> Vec<SeenExchange> {
    let timed: Vec<_> = (1..).map(|n| n * STEP_NANOS).zip(packets.iter().cloned()).collect();
    let exchanges = ended(&timed, TcpLimits::default());
    exchanges.iter().map(seen).collect()
}

/// The exchanges in the order in which they ended, from packets with their times in nanoseconds.
fn ended(packets: &[(u64, Bytes)], limits: TcpLimits) -> Vec<Exchange> {
    let keep = BodyKeep::Keep(KeepLimits::default());
    let mut decoder = Decoder::new(Limits::default());
    let mut flows = FlowTable::new(limits);
    let mut http = HttpTable::new(HttpOptions {
        request_body: keep,
        response_body: keep,
        ..HttpOptions::default()
    });
    let (mut events, mut exchanges) = (Vec::new(), Vec::new());
    for (at, data) in packets {
        let packet = Packet {
            at: Timestamp::from_nanos(*at),
            link: LinkType::RawIp,
            interface: InterfaceId(0),
            wire_len: u32::try_from(data.len()).expect("a short packet"),
            data: data.clone(),
        };
        if let Ok(segment) = decoder.push(&packet) {
            flows.push(segment, &mut events);
        }
    }
    flows.finish(&mut events);
    for event in events {
        http.push(event, &mut exchanges);
    }
    let accounts =
        [vec![decoder.account(), flows.stats().bytes()], http.stats().accounts()].concat();
    for account in accounts {
        assert!(account.is_settled(), "{account:?}");
    }
    exchanges.retain(|exchange| exchange.moment == Moment::Ended);
    exchanges
}

fn seen(exchange: &Exchange) -> SeenExchange {
    let request = exchange.request.as_deref().expect("every request is emitted");
    let response = exchange.response.as_deref().expect("every request is answered");
    SeenExchange {
        target: request.head.target().to_vec(),
        status: response.head.status(),
        bodies: [request, response].map(whole_body),
    }
}

fn whole_body(message: &Message) -> Vec<u8> {
    assert_eq!(message.incomplete, None);
    match &message.body.wire {
        Kept::Nothing => Vec::new(),
        Kept::Memory(bytes) => bytes.to_vec(),
        other => panic!("a short body is kept in memory, not as {other:?}"),
    }
}

fn body_of(message: &[u8]) -> Vec<u8> {
    let head = memchr::memmem::find(message, b"\r\n\r\n").expect("a head ends") + 4;
    message[head..].to_vec()
}

proptest! {
    #[test]
    fn any_cutting_reordering_and_repeating_gives_the_same_exchanges(
        rounds in conversation(),
        isns in any::<[u32; 2]>(),
        cuts in vec(1..120_usize, 1..40),
        late in vec(0..=LATE, 1..60),
        again in vec(proptest::option::weighted(0.2, 0..=LATE), 1..60),
    ) {
        let mut wire = Wire { packets: Vec::new(), next: isns, swapped: false };
        let mut cuts = cuts.into_iter().cycle();
        let mut expected = Vec::new();
        wire.send(0, true, false, b"");
        wire.send(1, true, false, b"");
        wire.send(0, false, false, b"");
        for round in &rounds {
            let (mut requests, mut responses) = (Vec::new(), Vec::new());
            for (asked, answered) in round {
                let n = expected.len();
                let request = asked.message(&format!("POST /{n} HTTP/1.1"));
                let response = answered.message(&format!("HTTP/1.1 {} Fine", 220 + n));
                expected.push(SeenExchange {
                    target: format!("/{n}").into_bytes(),
                    status: u16::try_from(220 + n).ok(),
                    bodies: [body_of(&request), body_of(&response)],
                });
                requests.extend(request);
                responses.extend(response);
            }
            wire.send_cut(0, &requests, &mut cuts);
            wire.send_cut(1, &responses, &mut cuts);
        }
        wire.send(0, false, true, b"");
        wire.send(1, false, true, b"");

        // The handshake stays in front: without it, who is the client would have to be guessed.
        let (handshake, rest) = wire.packets.split_at(3);
        let mut late = late.into_iter().cycle();
        let mut again = again.into_iter().cycle();
        let mut arriving = Vec::new();
        for (n, packet) in rest.iter().enumerate() {
            arriving.push((n + late.next().unwrap_or(0), packet.clone()));
            if let Some(later) = again.next().flatten() {
                arriving.push((n + later, packet.clone()));
            }
        }
        arriving.sort_by_key(|(place, _)| *place);
        let packets: Vec<Bytes> =
            handshake.iter().cloned().chain(arriving.into_iter().map(|(_, packet)| packet)).collect();
        prop_assert_eq!(read(&packets), expected);
    }
}

/// A body that tells whose it is and cannot be taken for the start of a message.
fn numbered(n: usize, copies: usize, chunk: Option<usize>) -> Content {
    Content { bytes: format!("({n})").repeat(copies).into_bytes(), chunk }
}

proptest! {
    #[test]
    fn lost_packets_cost_at_most_the_messages_that_they_touched(
        sizes in vec([(0..60_usize, proptest::option::of(1..90_usize)),
                      (0..60_usize, proptest::option::of(1..90_usize))], 1..60),
        isns in any::<[u32; 2]>(),
        cuts in vec(1..200_usize, 1..40),
        lost in vec(proptest::bool::weighted(0.1), 1..400),
        pauses in vec(prop_oneof![
            20 => Just(STEP_NANOS), 1 => Just(30_000_000), 1 => Just(40_000_000_000_u64),
        ], 1..60),
        swapped in any::<bool>(),
        files in any::<bool>(),
    ) {
        let mut wire = Wire { packets: Vec::new(), next: isns, swapped };
        let mut cuts = cuts.into_iter().cycle();
        wire.send(0, true, false, b"");
        wire.send(1, true, false, b"");
        wire.send(0, false, false, b"");
        let mut lost = lost.into_iter().cycle();
        let mut pauses = pauses.into_iter().cycle();
        let mut expected = Vec::new();
        let mut losses = vec![false; 3];
        for (n, [asked, answered]) in sizes.iter().enumerate() {
            let request = numbered(n, asked.0, asked.1).message(&format!("POST /{n} HTTP/1.1"));
            let response =
                numbered(n, answered.0, answered.1).message(&format!("HTTP/1.1 {} Fine", 220 + n));
            let mut touched = false;
            for (from, message) in [(0, &request), (1, &response)] {
                wire.send_cut(from, message, &mut cuts);
                let before = losses.len();
                losses.extend(lost.by_ref().take(wire.packets.len() - before));
                touched |= losses[before..].contains(&true);
                wire.send(1 - from, false, false, b"");
                losses.extend(lost.next());
            }
            if !touched {
                expected.push(SeenExchange {
                    target: format!("/{n}").into_bytes(),
                    status: u16::try_from(220 + n).ok(),
                    bodies: [body_of(&request), body_of(&response)],
                });
            }
        }
        let mut at = 0;
        let mut packets = Vec::new();
        for (packet, lost) in wire.packets.into_iter().zip(losses) {
            at += pauses.next().unwrap_or(STEP_NANOS);
            if !lost {
                packets.push((at, packet));
            }
        }
        let limits = if files { TcpLimits::for_files() } else { TcpLimits::default() };
        let exchanges = ended(&packets, limits);
        let whole: Vec<SeenExchange> = exchanges
            .iter()
            .filter(|exchange| {
                [&exchange.request, &exchange.response]
                    .iter()
                    .all(|m| m.as_ref().is_some_and(|m| m.incomplete.is_none()))
            })
            .map(seen)
            .collect();
        for exchange in &expected {
            prop_assert!(whole.contains(exchange), "{exchange:?} is not in {whole:?}");
        }
    }
}
