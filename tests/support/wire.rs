//! Conversations as packets: `Talk::new().open().client("GET …").server("200 …").close()`.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, PacketBuilderStep,
    VlanId,
};

/// Time between two packets of a conversation: long enough to be seen, short enough for replay at
/// recorded speed in tests.
const STEP_NANOS: u64 = 1_000_000;

/// 2026-01-02T03:04:05Z, when every conversation starts.
const START_NANOS: u64 = 1_767_323_045_000_000_000;

/// A TCP conversation between one client and one server, packet by packet.
#[derive(Clone, Debug)]
pub struct Talk {
    client: SocketAddr,
    server: SocketAddr,
    vlan: Option<u16>,
    client_seq: u32,
    server_seq: u32,
    not_before: u64,
    packets: Vec<TimedPacket>,
}

/// A packet and its time in nanoseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct TimedPacket {
    pub nanos: u64,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum From {
    Client,
    Server,
}

impl Talk {
    /// Between 10.0.0.2:40000 and 10.0.0.1:8080, with sequence numbers that wrap soon.
    pub fn new() -> Self {
        Self::between("10.0.0.2:40000", "10.0.0.1:8080")
    }

    /// Between two addresses of one family.
    pub fn between(client: &str, server: &str) -> Self {
        Self {
            client: client.parse().expect("an address with a port"),
            server: server.parse().expect("an address with a port"),
            vlan: None,
            client_seq: u32::MAX - 20,
            server_seq: 7_000,
            not_before: START_NANOS,
            packets: Vec::new(),
        }
    }

    /// Every packet from here on bears this VLAN tag.
    pub fn in_vlan(mut self, id: u16) -> Self {
        self.vlan = Some(id);
        self
    }

    /// The handshake.
    pub fn open(self) -> Self {
        self.flags(From::Client, "S").flags(From::Server, "SA").flags(From::Client, "A")
    }

    /// The client sends.
    pub fn client(self, payload: impl AsRef<[u8]>) -> Self {
        self.data(From::Client, payload.as_ref())
    }

    /// The server sends.
    pub fn server(self, payload: impl AsRef<[u8]>) -> Self {
        self.data(From::Server, payload.as_ref())
    }

    /// The client acknowledges what it has got.
    pub fn acknowledged(self) -> Self {
        self.flags(From::Client, "A")
    }

    /// Both sides end.
    pub fn close(self) -> Self {
        self.flags(From::Client, "FA").flags(From::Server, "FA").flags(From::Client, "A")
    }

    /// The server resets.
    pub fn reset(self) -> Self {
        self.flags(From::Server, "RA")
    }

    /// The last packet was not captured.
    pub fn lost(mut self) -> Self {
        self.packets.pop().expect("a packet to lose");
        self
    }

    /// The last packet was sent twice.
    pub fn repeated(mut self) -> Self {
        let mut again = self.packets.last().expect("a packet to repeat").clone();
        again.nanos = self.next_time();
        self.packets.push(again);
        self
    }

    /// The last two packets arrived in the other order.
    pub fn swapped(mut self) -> Self {
        let n = self.packets.len();
        let (left, right) = (self.packets[n - 2].nanos, self.packets[n - 1].nanos);
        self.packets.swap(n - 2, n - 1);
        self.packets[n - 2].nanos = left;
        self.packets[n - 1].nanos = right;
        self
    }

    /// Nothing happens for a while.
    pub fn pause_millis(mut self, millis: u64) -> Self {
        let last = self.packets.last_mut().expect("a packet to pause after");
        last.nanos += millis * 1_000_000;
        self
    }

    /// What comes next comes so long after the start, or later.
    pub fn at_millis(mut self, millis: u64) -> Self {
        self.not_before = START_NANOS + millis * 1_000_000;
        self
    }

    /// Each packet replaced by those that `rewrite` makes of its bytes.
    pub fn rewritten(mut self, rewrite: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) -> Self {
        self.packets = self
            .packets
            .into_iter()
            .flat_map(|TimedPacket { nanos, bytes }| {
                rewrite(bytes).into_iter().map(move |bytes| TimedPacket { nanos, bytes })
            })
            .collect();
        self
    }

    /// The packets so far.
    pub fn packets(&self) -> &[TimedPacket] {
        &self.packets
    }

    /// The packets as a little-endian pcap file with nanoseconds.
    pub fn pcap(&self) -> Vec<u8> {
        pcap(&self.packets)
    }

    fn next_time(&self) -> u64 {
        let next = self.packets.last().map_or(START_NANOS, |packet| packet.nanos + STEP_NANOS);
        next.max(self.not_before)
    }

    /// Payload in segments of at most 1,400 bytes.
    fn data(mut self, from: From, payload: &[u8]) -> Self {
        for part in payload.chunks(1_400) {
            self.push(from, "PA", part);
        }
        self
    }

    fn flags(mut self, from: From, flags: &str) -> Self {
        self.push(from, flags, b"");
        self
    }

    fn push(&mut self, from: From, flags: &str, payload: &[u8]) {
        let (source, destination, seq, ack) = match from {
            From::Client => (self.client, self.server, self.client_seq, self.server_seq),
            From::Server => (self.server, self.client, self.server_seq, self.client_seq),
        };
        let ip = match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => IpHeaders::Ipv4(
                Ipv4Header {
                    dont_fragment: true,
                    time_to_live: 64,
                    protocol: IpNumber::TCP,
                    fragment_offset: IpFragOffset::ZERO,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv4Header::default()
                },
                Default::default(),
            ),
            (IpAddr::V6(source), IpAddr::V6(destination)) => IpHeaders::Ipv6(
                Ipv6Header {
                    hop_limit: 64,
                    next_header: IpNumber::TCP,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                },
                Default::default(),
            ),
            _ => panic!("both ends must be of one family"),
        };
        let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
        let with_ip: PacketBuilderStep<IpHeaders> = match self.vlan {
            Some(id) => link.single_vlan(VlanId::try_new(id).expect("12 bits")).ip(ip),
            None => link.ip(ip),
        };
        let mut tcp = with_ip.tcp(source.port(), destination.port(), seq, 65_000);
        for flag in flags.chars() {
            tcp = match flag {
                'S' => tcp.syn(),
                'A' => tcp.ack(ack),
                'F' => tcp.fin(),
                'P' => tcp.psh(),
                'R' => tcp.rst(),
                other => panic!("{other}: no such flag"),
            };
        }
        let mut bytes = Vec::with_capacity(tcp.size(payload.len()));
        tcp.write(&mut bytes, payload).expect("a Vec takes it");
        let nanos = self.next_time();
        self.packets.push(TimedPacket { nanos, bytes });
        let control = flags.contains('S') || flags.contains('F');
        let length = u32::try_from(payload.len()).expect("a segment") + u32::from(control);
        match from {
            From::Client => self.client_seq = self.client_seq.wrapping_add(length),
            From::Server => self.server_seq = self.server_seq.wrapping_add(length),
        }
    }
}

/// Several conversations at once, by time.
pub fn interleaved(talks: &[Talk]) -> Vec<u8> {
    let mut packets: Vec<TimedPacket> =
        talks.iter().flat_map(|talk| talk.packets.clone()).collect();
    packets.sort_by_key(|packet| packet.nanos);
    pcap(&packets)
}

fn pcap(packets: &[TimedPacket]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic for nanoseconds, version 2.4, time zone, accuracy, snaplen, Ethernet.
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for TimedPacket { nanos, bytes } in packets {
        let length = u32::try_from(bytes.len()).expect("a packet");
        let seconds = u32::try_from(nanos / 1_000_000_000).expect("before 2106");
        let rest = u32::try_from(nanos % 1_000_000_000).expect("below a second");
        for word in [seconds, rest, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(bytes);
    }
    file
}
