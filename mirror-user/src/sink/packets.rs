//! Cleared exchanges as packets: what `capture --to day.pcap` writes when it is not told to write
//! the packets as they were seen.
//!
//! Redaction changes lengths and works on whole messages, so the captured packets cannot be kept
//! and merely masked: a value that lies in two of them, or inside gzip, has no place to be masked
//! at. Each connection is told anew instead: a handshake, each message at its own time from and to
//! its own addresses, sequence numbers that fit, as raw IP. Bytes that were withheld or not kept
//! are a hole in the sequence numbers, as in any capture that lost packets. What is not HTTP, such
//! as what went through a tunnel, is not there.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use etherparse::PacketBuilder;
use etherparse::err::packet::BuildWriteError;
use hashbrown::HashMap;

use crate::http::message::{Kept, Message, Moment};
use crate::packet::{LinkType, Packet, Timestamp};
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::source::recorder::Recorder;
use crate::stats::Account;
use crate::summary::Note;
use crate::tcp::event::{Peers, Side};

/// Payload of one packet: fits every link with IPv6 and options.
const SEGMENT_BYTES: usize = 1_400;
/// Connections that are open in the file. When one more comes, all are closed; those that go on
/// begin anew with a handshake.
pub const MAX_STREAMS: usize = 65_536;
const WINDOW: u16 = u16::MAX;
const TTL: u8 = 64;

/// Writes cleared exchanges to a packet file.
pub struct Packets {
    recorder: Recorder,
    /// By [`ExchangeId::connection`](crate::http::message::ExchangeId::connection).
    streams: HashMap<u64, Stream>,
    interfaces: Vec<String>,
    opened: u32,
    latest: Timestamp,
    buffer: Vec<u8>,
    seen: u64,
    written: u64,
}

/// One connection in the file.
struct Stream {
    peers: Arc<Peers>,
    /// The next sequence number of each side.
    client: u32,
    server: u32,
}

/// A segment to be written.
struct Segment<'a> {
    from: Side,
    flags: Flags,
    payload: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
}

impl Packets {
    /// Packets to this file.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            streams: HashMap::new(),
            interfaces: Vec::new(),
            opened: 0,
            latest: Timestamp::default(),
            buffer: Vec::new(),
            seen: 0,
            written: 0,
        }
    }

    fn message(&mut self, cleared: &Cleared, side: Side, message: &Message) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let connection = exchange.id.connection;
        let mut stream = match self.streams.remove(&connection) {
            Some(stream) => stream,
            None => self.open(&exchange.peers, message.started)?,
        };
        let outcome = self.say(&mut stream, side, message);
        self.streams.insert(connection, stream);
        outcome
    }

    /// Writes a handshake.
    fn open(&mut self, peers: &Arc<Peers>, at: Timestamp) -> anyhow::Result<Stream> {
        if self.streams.len() >= MAX_STREAMS {
            self.close_all()?;
        }
        self.opened = self.opened.wrapping_add(1);
        // Far apart, so that a connection on the ports of another is not taken for it.
        let first = self.opened.wrapping_mul(0x9e37_79b1);
        let mut stream = Stream { peers: Arc::clone(peers), client: first, server: !first };
        for (from, flags) in
            [(Side::Client, Flags::Syn), (Side::Server, Flags::SynAck), (Side::Client, Flags::Ack)]
        {
            self.segment(&mut stream, at, &Segment { from, flags, payload: &[] })?;
        }
        Ok(stream)
    }

    /// Writes a message: its last packet at the time of its last byte, those before at that of its
    /// first.
    fn say(&mut self, stream: &mut Stream, from: Side, message: &Message) -> anyhow::Result<()> {
        let (body, missing) = body(message)?;
        let bytes = [&message.head.raw[..], &body].concat();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let is_slow = message.started != message.finished && rest.len() == bytes.len();
            let most = if is_slow { (rest.len() - 1).max(1) } else { rest.len() };
            let (payload, behind) =
                rest.split_at_checked(most.min(SEGMENT_BYTES)).unwrap_or((rest, &[]));
            rest = behind;
            let at = if rest.is_empty() { message.finished } else { message.started };
            self.segment(stream, at, &Segment { from, flags: Flags::Data, payload })?;
        }
        // Sequence numbers wrap at 32 bits.
        stream.advance(from, missing as u32);
        Ok(())
    }

    fn close_all(&mut self) -> anyhow::Result<()> {
        for (_, mut stream) in std::mem::take(&mut self.streams) {
            for (from, flags) in
                [(Side::Client, Flags::Fin), (Side::Server, Flags::Fin), (Side::Client, Flags::Ack)]
            {
                self.segment(&mut stream, self.latest, &Segment { from, flags, payload: &[] })?;
            }
        }
        Ok(())
    }

    fn segment(
        &mut self,
        stream: &mut Stream,
        at: Timestamp,
        segment: &Segment<'_>,
    ) -> anyhow::Result<()> {
        self.latest = self.latest.max(at);
        self.buffer.clear();
        build(stream, segment, &mut self.buffer)?;
        let takes = match segment.flags {
            Flags::Syn | Flags::SynAck | Flags::Fin => 1,
            Flags::Ack => 0,
            Flags::Data => segment.payload.len() as u32,
        };
        stream.advance(segment.from, takes);
        let packet = Packet {
            at,
            link: LinkType::RawIp,
            interface: stream.peers.interface,
            wire_len: self.buffer.len() as u32,
            data: bytes::Bytes::copy_from_slice(&self.buffer),
        };
        self.recorder.write(&packet, &self.interfaces)
    }
}

impl Stream {
    fn advance(&mut self, side: Side, n: u32) {
        let next = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        *next = next.wrapping_add(n);
    }
}

/// The wire bytes of a body, and how many more there were.
fn body(message: &Message) -> io::Result<(Cow<'_, [u8]>, u64)> {
    Ok(match &message.body.wire {
        Kept::Memory(bytes) => (Cow::Borrowed(&bytes[..]), 0),
        Kept::File(file) => {
            let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or_default()];
            file.read_exact_at(&mut bytes, 0)?;
            (Cow::Owned(bytes), 0)
        }
        Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => (Cow::default(), message.body.length),
    })
}

/// Builds one packet from its IP header on.
fn build(stream: &Stream, segment: &Segment<'_>, out: &mut Vec<u8>) -> Result<(), BuildWriteError> {
    let Stream { peers, client, server } = stream;
    let (from, to, sequence, acknowledged) = match segment.from {
        Side::Client => (peers.client, peers.server, *client, *server),
        Side::Server => (peers.server, peers.client, *server, *client),
    };
    let ip = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), TTL),
        (from, to) => PacketBuilder::ipv6(octets(from), octets(to), TTL),
    };
    let tcp = ip.tcp(from.port(), to.port(), sequence, WINDOW);
    let tcp = match segment.flags {
        Flags::Syn => tcp.syn(),
        Flags::SynAck => tcp.syn().ack(acknowledged),
        Flags::Ack => tcp.ack(acknowledged),
        Flags::Data => tcp.ack(acknowledged).psh(),
        Flags::Fin => tcp.ack(acknowledged).fin(),
    };
    tcp.write(out, segment.payload)
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

impl Sink for Packets {
    fn interfaces(&mut self, names: &[String]) {
        self.interfaces = names.to_vec();
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let ended = exchange.moment == Moment::Ended;
        self.seen += u64::from(ended);
        if let Some(request) = &exchange.request
            // A whole one was written when it was asked.
            && (!ended || request.incomplete.is_some())
        {
            self.message(cleared, Side::Client, request)?;
        }
        if let Some(response) = &exchange.response {
            self.message(cleared, Side::Server, response)?;
        }
        self.written += u64::from(ended);
        Ok(())
    }

    fn idle(&mut self) -> anyhow::Result<()> {
        self.recorder.flush()
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let closed = self.close_all();
        closed.and(self.recorder.finish())
    }

    fn notes(&self) -> Vec<Note> {
        let Account { delivered, dropped, .. } = self.recorder.account();
        let counts = std::iter::once(("written", delivered)).chain(dropped);
        Note::new("packets", counts).into_iter().collect()
    }

    fn account(&self) -> Account {
        let failed = self.seen - self.written;
        let dropped = if failed > 0 { vec![("write_failed", failed)] } else { vec![] };
        Account { name: "exchanges", seen: self.seen, delivered: self.written, dropped }
    }
}
