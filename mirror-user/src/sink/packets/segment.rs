//! One TCP segment as a packet of the file, and how a message is divided into segments.

use std::net::IpAddr;

use bytes::Bytes;
use enum_map::EnumMap;
use etherparse::PacketBuilder;
use etherparse::err::packet::BuildWriteError;

use super::content::Stretch;
use crate::packet::{LinkType, Packet, Timestamp};
use crate::recorder::Recorder;
use crate::tcp::event::{Peers, Side};

/// Payload of one packet in bytes: fits every link with IPv6 and options.
const SEGMENT_BYTES: usize = 1_400;
/// Payload of one truncated packet in bytes: the limit of the IPv4 and IPv6 length fields, minus
/// headers.
const CUT_SEGMENT_BYTES: usize = 65_000;
const WINDOW: u16 = u16::MAX;
const TTL: u8 = 64;

/// A segment to be written.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) from: Side,
    pub(super) flags: Flags,
    pub(super) payload: &'a [u8],
    /// Number of further bytes that were sent and are not in the file.
    pub(super) cut: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flags {
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Reset,
}

/// Writes the packets of all connections.
pub(super) struct PacketWriter {
    pub(super) recorder: Recorder,
    pub(super) interfaces: Vec<String>,
    pub(super) latest: Timestamp,
    pub(super) buffer: Vec<u8>,
}

impl PacketWriter {
    /// Writes a segment between these peers, whose next sequence numbers are `next`.
    pub(super) fn write(
        &mut self,
        segment: &Segment<'_>,
        peers: &Peers,
        next: &EnumMap<Side, u32>,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        self.latest = self.latest.max(at);
        self.buffer.clear();
        segment.build(peers, next, &mut self.buffer)?;
        let wire_len = self.buffer.len();
        self.buffer.truncate(wire_len.saturating_sub(segment.cut));
        let packet = Packet {
            at,
            link: LinkType::RawIp,
            interface: peers.interface,
            wire_len: wire_len as u32,
            data: Bytes::copy_from_slice(&self.buffer),
        };
        self.recorder.write(&packet, &self.interfaces)
    }
}

impl<'a> Segment<'a> {
    /// Splits off the last byte.
    pub(super) fn before_last(self) -> (Self, Self) {
        if let Some(cut) = self.cut.checked_sub(1) {
            return (Self { cut, ..self }, Self { payload: &[], cut: 1, ..self });
        }
        let (most, last): (&'a [u8], &'a [u8]) =
            self.payload.split_at(self.payload.len().saturating_sub(1));
        (Self { payload: most, ..self }, Self { payload: last, ..self })
    }

    /// Sequence numbers that it takes.
    pub(super) fn consumed(&self) -> u32 {
        match self.flags {
            Flags::Syn | Flags::SynAck | Flags::Fin => 1,
            Flags::Ack | Flags::Reset => 0,
            Flags::Data => self.payload.len().saturating_add(self.cut) as u32,
        }
    }

    /// Builds one packet, starting at its IP header. Bytes to be cut off are zeros.
    fn build(
        &self,
        peers: &Peers,
        next: &EnumMap<Side, u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), BuildWriteError> {
        let (sequence, acknowledged) = (next[self.from], next[self.from.other()]);
        let (from, to) = match self.from {
            Side::Client => (peers.client, peers.server),
            Side::Server => (peers.server, peers.client),
        };
        let ip = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                PacketBuilder::ipv4(from.octets(), to.octets(), TTL)
            }
            (from, to) => PacketBuilder::ipv6(octets(from), octets(to), TTL),
        };
        let tcp = ip.tcp(from.port(), to.port(), sequence, WINDOW);
        let tcp = match self.flags {
            Flags::Syn => tcp.syn(),
            Flags::SynAck => tcp.syn().ack(acknowledged),
            Flags::Ack => tcp.ack(acknowledged),
            Flags::Data => tcp.ack(acknowledged).psh(),
            Flags::Fin => tcp.ack(acknowledged).fin(),
            Flags::Reset => tcp.ack(acknowledged).rst(),
        };
        if self.cut == 0 {
            return tcp.write(out, self.payload);
        }
        let mut payload = self.payload.to_vec();
        payload.resize(payload.len().saturating_add(self.cut), 0);
        tcp.write(out, &payload)
    }
}

/// A stretch as packets: the payload of each, and how many bytes are cut off it. Missing bytes
/// begin in the packet of the bytes before them, so that a reader that reassembles knows that they
/// will not arrive.
pub(super) fn segments(stretch: &Stretch) -> impl Iterator<Item = (&[u8], usize)> {
    let mut rest = &stretch.bytes[..];
    let mut missing = stretch.missing;
    std::iter::from_fn(move || {
        if rest.is_empty() && missing == 0 {
            return None;
        }
        let (payload, behind) = rest.split_at_checked(SEGMENT_BYTES).unwrap_or((rest, &[]));
        rest = behind;
        let fits = CUT_SEGMENT_BYTES.saturating_sub(payload.len());
        let fits = if rest.is_empty() { fits } else { 0 };
        let cut = usize::try_from(missing).map_or(fits, |missing| missing.min(fits));
        missing = missing.saturating_sub(cut as u64);
        Some((payload, cut))
    })
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
