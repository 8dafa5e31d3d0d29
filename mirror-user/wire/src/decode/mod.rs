//! `Packet`s in, `Segment`s out, or the reason why not.
//!
//! Reads through MAC headers, VLAN tags, MPLS, PPPoE and tunnels (VXLAN, Geneve, GRE, ERSPAN, IP in
//! IP, EtherIP, GTP-U, L2TP, PPTP, Teredo, AYIYA, 802.11 in GRE, TZSP) down to the innermost IP
//! header, reassembles fragments, and returns the TCP segment as a slice of the packet. Skips, with
//! a named reason, packets that are not TCP, are malformed, or were seen a moment ago on another
//! interface. Remembers unfinished datagrams and the fingerprints of the last few thousand
//! segments, both bounded by [`Limits`], and counts the most frequent kinds of packets that are not
//! IP or not TCP ([`MAX_COUNTED_KINDS`]). Copies payload only out of fragments.
//!
//! Checksums are not verified. A capture on the sending host sees packets before the network card
//! has filled them in, so a wrong one does not mean that the receiver dropped the packet; tshark
//! does the same by default. `tcp` handles a packet that was damaged and retransmitted like any
//! other retransmission.

mod duplicate;
mod fragment;
mod frequent;
mod header;
mod ip;
mod kind;
mod link;
mod outline;
mod plain;
mod rest;
#[cfg(test)]
mod tests;
mod tunnel;

use bytes::Bytes;
use enum_map::Enum;
use mirror_common::Outcome;
use strum::IntoStaticStr;

use self::duplicate::Duplicates;
use self::fragment::Fragments;
use self::ip::{Carrier, Payload, protocol};
use self::kind::{Kind, Kinds};
use self::link::Layer;
pub use self::plain::Plain;
use self::rest::Rest;
use crate::filter::{Watch, Watcher};
use crate::packet::Packet;
use crate::segment::Segment;
use crate::stats::{Account, Note, Seam, Tally};

pub use self::duplicate::DUPLICATE_SLOTS;
pub use self::frequent::{MAX_COUNTED_KINDS, MAX_NAMED_KINDS};

pub use self::outline::{Outline, Tunnel, outline};

pub use self::fragment::{
    DatagramEnd, FRAGMENT_TIMEOUT, MAX_FRAGMENT_BYTES, MAX_FRAGMENTED_DATAGRAMS,
};

/// Headers that are read before a packet is given up. A VXLAN packet on a tagged link has seven
/// before its TCP header, so this allows four nested tunnels.
pub const MAX_HEADERS: u8 = 32;

/// Why a packet yielded no segment: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Skip {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but not TCP.
    NotTcp,
    /// Part of a fragmented datagram of which other parts were missing. The part that completes it
    /// yields the segment; [`Decoder::datagrams`] counts the completed ones.
    Fragment,
    /// Cut before the end of its headers.
    Truncated,
    /// Headers that contradict themselves.
    Malformed,
    /// More than [`MAX_HEADERS`] nested headers.
    TooDeep,
    /// A copy of a recent packet, seen on another interface or twice on this one.
    Duplicate,
    /// Between ports that are not watched.
    NotWatched,
    /// Between addresses that are not wanted.
    OtherNetwork,
    /// Of a connection that is not in the sample.
    SampledOut,
    /// To the client, where only requests are wanted.
    NotRequest,
}

impl From<Outcome> for Skip {
    /// The reasons of the filter, which are the kernel program's. Without known directions there
    /// are no others.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::OtherNetwork => Self::OtherNetwork,
            Outcome::SampledOut => Self::SampledOut,
            Outcome::NotRequest => Self::NotRequest,
            _ => Self::NotWatched,
        }
    }
}

/// What the decoder may remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of unfinished datagrams.
    pub fragment_bytes: usize,
    /// Unfinished datagrams.
    pub fragmented_datagrams: usize,
    /// Segments that are remembered to recognize their copies; 0 lets duplicates pass.
    pub duplicate_slots: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fragment_bytes: MAX_FRAGMENT_BYTES,
            fragmented_datagrams: MAX_FRAGMENTED_DATAGRAMS,
            duplicate_slots: DUPLICATE_SLOTS,
        }
    }
}

/// Turns packets into segments.
pub struct Decoder {
    watcher: Watcher,
    fragments: Fragments,
    duplicates: Duplicates,
    delivered: u64,
    skipped: Tally<Skip>,
    kinds: Kinds,
}

impl Decoder {
    /// A decoder without a filter that remembers nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            watcher: Watcher::new(Watch::default()),
            fragments: Fragments::new(limits.fragment_bytes, limits.fragmented_datagrams),
            duplicates: Duplicates::new(limits.duplicate_slots),
            delivered: 0,
            skipped: Tally::default(),
            kinds: Kinds::new(),
        }
    }

    /// Applies a filter: only wanted segments pass, cut to the wanted length.
    #[must_use]
    pub fn watching(self, watch: Watch) -> Self {
        Self { watcher: Watcher::new(watch), ..self }
    }

    /// Decodes a packet. The segment's payload is a slice of the packet's bytes, or a copy if it
    /// came in fragments.
    ///
    /// # Errors
    /// The reason why it yields no segment, which is counted.
    pub fn push(&mut self, packet: &Packet) -> Result<Segment, Skip> {
        let outcome = self.read(packet);
        match &outcome {
            Ok(_) => self.delivered = self.delivered.saturating_add(1),
            Err(reason) => self.skipped.count(*reason),
        }
        outcome
    }

    #[inline]
    fn read(&mut self, packet: &Packet) -> Result<Segment, Skip> {
        let mut segment = match Plain::read(packet) {
            Some(Plain { carrier, rest, .. }) => {
                let origin = Origin { packet, data: &packet.data };
                header::read(&mut self.duplicates, origin, &carrier, rest)?
            }
            None => self.walk_from_link(packet)?,
        };
        let snaplen =
            self.watcher.choice().judge(segment.source.into(), segment.destination.into())?;
        segment.cut_to(snaplen, packet);
        Ok(segment)
    }

    /// Packets taken, segments returned, and the other packets by reason.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            seen: self.delivered.saturating_add(self.skipped.total()),
            delivered: self.delivered,
            dropped: self.skipped.counts(),
            ..Account::new(Seam::Segments)
        }
    }

    /// How fragmented datagrams ended, without those that still wait.
    #[must_use]
    pub fn datagrams(&self) -> &Tally<DatagramEnd> {
        self.fragments.ends()
    }

    /// What the packets were that are not IP or not TCP, the most frequent ones by name.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        self.kinds.notes()
    }

    fn walk_from_link(&mut self, packet: &Packet) -> Result<Segment, Skip> {
        let beyond = (packet.wire_len as usize).saturating_sub(packet.data.len());
        let rest = Rest::new(&packet.data, beyond);
        let (layer, rest) = link::open(packet.link, rest)
            .inspect_err(|why| self.kinds.count(*why, Kind::of_link(packet.link, rest)))?;
        self.walk(Origin { packet, data: &packet.data }, At::Layer(layer), rest, MAX_HEADERS)
    }

    /// The slow path: reads header after header until it finds a TCP header.
    fn walk(
        &mut self,
        origin: Origin<'_>,
        mut at: At,
        mut rest: Rest<'_>,
        headers: u8,
    ) -> Result<Segment, Skip> {
        for left in (0..headers).rev() {
            let payload = match at {
                At::Payload(carrier) if carrier.protocol == protocol::TCP => {
                    return header::read(&mut self.duplicates, origin, &carrier, rest);
                }
                At::Payload(carrier) if ip::is_extension(&carrier) => ip::extension(carrier, rest)?,
                At::Payload(carrier) => {
                    let kind = || Kind::of_payload(carrier.protocol, rest);
                    let (layer, inner) = tunnel::read(carrier.protocol, rest)
                        .inspect_err(|why| self.kinds.count(*why, kind()))?;
                    (at, rest) = (At::Layer(layer), inner);
                    continue;
                }
                At::Layer(Layer::Ip) => ip::read(rest)
                    .inspect_err(|why| self.kinds.count(*why, Kind::of_layer(Layer::Ip, rest)))?,
                At::Layer(layer) => {
                    let (layer, inner) = link::read(layer, rest)
                        .inspect_err(|why| self.kinds.count(*why, Kind::of_layer(layer, rest)))?;
                    (at, rest) = (At::Layer(layer), inner);
                    continue;
                }
            };
            match payload {
                Payload::Whole(carrier, inner) => (at, rest) = (At::Payload(carrier), inner),
                Payload::Part(part) => {
                    let (carrier, whole) = self.fragments.push(origin.packet.at, &part)?;
                    let rest = Rest { tag: part.rest.tag, ..Rest::new(&whole, 0) };
                    let origin = Origin { data: &whole, ..origin };
                    return self.walk(origin, At::Payload(carrier), rest, left);
                }
            }
        }
        Err(Skip::TooDeep)
    }
}

/// Where a segment comes from: its packet, and the bytes that it is a slice of (the packet's, or
/// those of a reassembled datagram).
#[derive(Clone, Copy)]
struct Origin<'a> {
    packet: &'a Packet,
    data: &'a Bytes,
}

/// What to read next.
#[derive(Clone, Copy)]
enum At {
    Layer(Layer),
    Payload(Carrier),
}
