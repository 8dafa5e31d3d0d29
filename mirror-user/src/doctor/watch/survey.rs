//! Everything that passes every interface, looked at by its headers and first bytes alone.
//!
//! Beside the capture itself, which sees only what is wanted, runs a second kernel program that
//! copies the beginning of all packets. That costs production about as much as capturing all
//! traffic would, and for the bounded time only. Remembers counts, and no connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use hashbrown::HashMap;
use mirror_common::Outcome;

use super::evidence::{Place, PortTraffic};
use super::first_bytes::{self, Beginning};
use crate::decode::{self, Decoder, Outline, outline};
use crate::filter::{Choice, Ports, Snaplen, Watch};
use crate::packet::Packet;
use crate::segment::{Flags, Segment};
use crate::shutdown::Stop;
use crate::source::live::{Hook, KernelLog, LiveOptions, LiveSource, Namespace, Order};
use crate::source::{Next, PacketSource};

/// So much of each packet: headers of a tunnel and of what it carries (170 bytes with IPv6 and all
/// options of TCP), and enough of the first line to know a protocol.
const SNAPLEN: u32 = 320;

/// Holds a tenth of a second of 200,000 such packets a second; what does not fit is counted.
const RING_BYTES: u32 = 8 << 20;

/// Ports with HTTP of one interface; further ones are not told.
pub(super) const MAX_HTTP_PORTS: usize = 256;

/// Servers whose addresses are looked up; the segments of further ones count for neither place.
pub(super) const MAX_SERVERS: usize = 1024;

/// How late a stop is heard.
const IDLE_WAIT: Duration = Duration::from_millis(20);

/// The second capture, attached.
pub(super) struct Survey {
    source: LiveSource,
    counts: Counts,
}

/// What is counted of packets, wherever they come from.
pub(super) struct Counts {
    ports: Ports,
    decoder: Decoder,
    /// By the source's numbers of interfaces.
    places: Vec<Place>,
    /// Whether a server's address is this host's.
    servers: HashMap<IpAddr, bool>,
}

/// What was seen on each interface, and how many packets were not looked at.
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

    /// Looks at packets until `stop` is requested.
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
        // The same packet on two interfaces is to be seen on both.
        let limits = decode::Limits { duplicate_slots: 0, ..decode::Limits::default() };
        Self { ports, decoder: Decoder::new(limits), places: Vec::new(), servers: HashMap::new() }
    }

    /// Counts a packet where it was seen.
    pub(super) fn take(&mut self, packet: &Packet) {
        /// Interfaces of one host; the kernel's numbers of veth pairs do not come near.
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

/// Only an address of this host can be bound.
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
