//! Reads the headers and first bytes of all packets on all interfaces.
//!
//! Beside the capture itself, which sees only what its filters select, a second kernel program
//! copies the beginning of every packet. That costs production about as much as capturing all
//! traffic would, for a limited time. Keeps counts and no state per connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use hashbrown::HashMap;
use mirror_common::Outcome;

use super::evidence::{Place, PortTraffic};
use crate::beginnings::first_bytes::{self, Beginning};
use crate::decode::{self, Decoder, Outline, outline};
use crate::filter::{Choice, Ports, Snaplen, Watch};
use crate::packet::Packet;
use crate::segment::{Flags, Segment};
use crate::shutdown::Stop;
use crate::source::live::{Hook, KernelLog, LiveOptions, LiveSource, Namespace, Order};
use crate::source::{Next, PacketSource};

/// Bytes copied of each packet: the headers of a tunnel and of the packet inside (170 bytes with IPv6
/// and all TCP options), and enough of the first line to recognize a protocol.
const SNAPLEN: u32 = 320;

/// Holds 0.1 s of 200,000 such packets per second. Packets that do not fit are counted.
const RING_BYTES: u32 = 8 << 20;

/// Most ports with HTTP per interface; further ones are not reported.
pub(super) const MAX_HTTP_PORTS: usize = 256;

/// Most servers whose addresses are looked up; segments of further ones are counted neither as local
/// nor as remote.
pub(super) const MAX_SERVERS: usize = 1024;

/// The longest time until a stop is noticed.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// The second capture, attached.
pub(super) struct Survey {
    source: LiveSource,
    counts: Counts,
}

/// Counts packets, whatever their source.
pub(super) struct Counts {
    ports: Ports,
    decoder: Decoder,
    /// Indexed by the source's interface numbers.
    places: Vec<Place>,
    /// Whether a server's address belongs to this host.
    servers: HashMap<IpAddr, bool>,
}

/// The counts of each interface, and how many packets were missed.
pub(super) struct Surveyed {
    pub(super) places: BTreeMap<String, Place>,
    pub(super) overlooked: u64,
}

impl Survey {
    /// Attaches to every interface that is up.
    pub(super) fn attach(ports: Ports) -> anyhow::Result<Self> {
        let choice = Choice {
            ports: Ports::of_ranges([0..=u16::MAX]),
            snaplen: Snaplen { to_server: SNAPLEN, to_client: SNAPLEN },
            every_kind: true,
            ..Choice::default()
        };
        let source = LiveSource::attach(&LiveOptions {
            interfaces: vec!["any".to_owned()],
            cgroup: None,
            pods: None,
            watch: Watch::new(choice),
            namespace: Namespace::default(),
            hook: Hook::Tc,
            order: Order::Front,
            ring_bytes: RING_BYTES,
            log: KernelLog::Off,
            persists: false,
            own: None,
        })?;
        Ok(Self { source, counts: Counts::new(ports) })
    }

    /// Counts packets until `stop` is requested.
    pub(super) fn run(mut self, stop: &Stop) -> anyhow::Result<Surveyed> {
        loop {
            if stop.requested() {
                self.source.stop();
            }
            match self.source.next(IDLE_WAIT)? {
                Next::Packet(packet) => self.counts.take(&packet),
                Next::Idle | Next::Again(_) => {}
                Next::End => break,
            }
        }
        let mut places = self.counts.places;
        places.resize_with(self.source.interfaces().len(), Place::default);
        Ok(Surveyed {
            overlooked: self.source.account().dropped_for(Outcome::RingFull.name()),
            places: self.source.interfaces().iter().cloned().zip(places).collect(),
        })
    }
}

impl Counts {
    pub(super) fn new(ports: Ports) -> Self {
        // A packet that passes two interfaces counts on both.
        let limits = decode::Limits { duplicate_slots: 0, ..decode::Limits::default() };
        Self { ports, decoder: Decoder::new(limits), places: Vec::new(), servers: HashMap::new() }
    }

    /// Counts a packet for its interface.
    pub(super) fn take(&mut self, packet: &Packet) {
        /// Most interfaces of one host; interface indexes stay far below.
        const MAX_PLACES: usize = 65_536;
        let number = packet.interface.0 as usize;
        if number >= self.places.len() && number < MAX_PLACES {
            self.places.resize_with(number.saturating_add(1), Place::default);
        }
        let Some(place) = self.places.get_mut(number) else { return };
        place.packets = place.packets.saturating_add(1);
        let on_port = |segment: &Segment| {
            self.ports.contains(segment.source.port())
                || self.ports.contains(segment.destination.port())
        };
        match outline(packet) {
            Ok(Outline::Tcp | Outline::Fragment) => {
                let Ok(segment) = self.decoder.push(packet) else { return };
                let beginning = first_bytes::read(&segment.payload);
                if matches!(beginning, Beginning::Request | Beginning::H2c) {
                    count_request(&mut place.requests, segment.destination.port());
                }
                if on_port(&segment) {
                    let to_port = self.ports.contains(segment.destination.port());
                    count_segment(&mut place.port, &segment, to_port, beginning);
                    count_server(&mut place.port, &segment, to_port, &mut self.servers);
                }
            }
            Ok(Outline::Tunnel(kind)) => {
                let inside = &mut place.tunnels[kind];
                inside.packets = inside.packets.saturating_add(1);
                if self.decoder.push(packet).is_ok_and(|segment| on_port(&segment)) {
                    inside.on_port = inside.on_port.saturating_add(1);
                }
            }
            Ok(Outline::Udp { source, destination, quic }) => {
                if self.ports.contains(source) || self.ports.contains(destination) {
                    place.udp = place.udp.saturating_add(1);
                    place.quic = place.quic.saturating_add(u64::from(quic));
                }
            }
            Ok(Outline::Other) | Err(_) => {}
        }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }
}

fn count_request(requests: &mut BTreeMap<u16, u64>, port: u16) {
    if requests.len() < MAX_HTTP_PORTS || requests.contains_key(&port) {
        let count = requests.entry(port).or_default();
        *count = count.saturating_add(1);
    }
}

fn count_segment(port: &mut PortTraffic, segment: &Segment, to_port: bool, beginning: Beginning) {
    let has = |flag| segment.flags.contains(flag);
    let one = |counter: &mut u64| *counter = counter.saturating_add(1);
    one(&mut port.segments);
    if has(Flags::SYN) && !has(Flags::ACK) {
        one(if to_port { &mut port.opened } else { &mut port.dialled });
    }
    if has(Flags::RST) && !to_port {
        one(&mut port.refused);
    }
    if segment.payload.is_empty() && segment.cut == 0 {
        if !has(Flags::SYN) && !has(Flags::FIN) && !has(Flags::RST) {
            one(&mut port.bare_acks);
        }
        return;
    }
    one(if to_port { &mut port.to_port } else { &mut port.from_port });
    match beginning {
        Beginning::ClientHello => one(&mut port.client_hellos),
        Beginning::TlsRecord => one(&mut port.tls_records),
        Beginning::Http2 => one(&mut port.http2),
        Beginning::H2c => one(&mut port.h2c),
        Beginning::Request | Beginning::Other => {}
    }
}

/// Counts a segment by whether its server is this host: only a local address can be bound.
fn count_server(
    port: &mut PortTraffic,
    segment: &Segment,
    to_port: bool,
    servers: &mut HashMap<IpAddr, bool>,
) {
    let server = if to_port { segment.destination.ip() } else { segment.source.ip() };
    let is_here = match servers.get(&server) {
        Some(is_here) => *is_here,
        None if servers.len() >= MAX_SERVERS => return,
        None => *servers.entry(server).or_insert(UdpSocket::bind((server, 0)).is_ok()),
    };
    let counter = if is_here { &mut port.to_here } else { &mut port.to_elsewhere };
    *counter = counter.saturating_add(1);
}
