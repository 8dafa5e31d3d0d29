//! The same packet seen twice: on the host's interface and on a bridge or tunnel below it, on
//! both ends of a veth pair, in both directions of `lo`, in both halves of a mirrored port.
//!
//! Such copies do not disturb `tcp`, which takes them for retransmissions. They are recognized so
//! that counts are right and a recorded capture holds each packet once. A retransmission by the
//! sender is a different packet and passes: it comes later than a copy does, and differs in IPv4's
//! identification and in most stacks' timestamp option.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use hashbrown::DefaultHashBuilder;

use crate::packet::InterfaceId;
use crate::segment::TagDigest;
use crate::segment::{Flags, Segment};

/// Segments that are remembered. At 16 bytes each they fit in the L2 cache, and cover the last 4 ms
/// at a million packets a second.
pub const DUPLICATE_SLOTS: usize = 4096;

/// Slots that are searched for a segment: one cache line.
const WAYS: usize = 4;

/// The lowest bits of a sequence number do not select the slots: neighbouring segments of a
/// connection share lines, so that a reader that wakes with a cold cache waits for a few lines, not
/// for one per packet.
/// Four segments of full size take 5.7 KiB.
const NEAR_BITS: u32 = 12;

/// How long after a packet its copy may come on another interface: enough for a tunnel that runs
/// in user space, and for two capture threads that write one file; far below Linux's
/// shortest retransmission time-out of 200 ms.
const OTHER_INTERFACE_NANOS: u64 = 10_000_000;

/// How long after a packet its copy may come on the same interface: a mirroring switch sends both
/// within microseconds, unless a queue is between them.
const SAME_INTERFACE_NANOS: u64 = 1_000_000;

/// One look at a segment.
pub(super) struct Sighting<'a> {
    pub(super) segment: &'a Segment,
    /// IPv4's identification.
    pub(super) id: u16,
    /// From the TCP header on.
    pub(super) header: &'a [u8],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    fingerprint: u64,
    /// In units of 1,024 ns; wraps every 73 minutes.
    at: u32,
    /// The low bits, which distinguish the interfaces of one host.
    interface: u16,
    tag: TagDigest,
}

const _: () = assert!(size_of::<Slot>() == 16, "four slots fill a cache line");

/// Slots that share a cache line, the newest first.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([Slot; WAYS]);

/// The fingerprints of the last segments: a table in which each segment belongs to one line, and a
/// new one replaces the oldest of its line.
pub(super) struct Duplicates {
    lines: Vec<Line>,
    /// Randomly seeded, so that nobody can craft packets that are taken for others'.
    hasher: DefaultHashBuilder,
}

impl Duplicates {
    /// Remembers as many segments as the next power of two; none for 0.
    pub(super) fn new(slots: usize) -> Self {
        let lines = if slots == 0 { 0 } else { slots.div_ceil(WAYS).next_power_of_two() };
        Self { lines: vec![Line::default(); lines], hasher: DefaultHashBuilder::default() }
    }

    /// True when it is a copy of a segment that was seen a moment ago. Remembers it otherwise.
    #[inline]
    pub(super) fn is_known(&mut self, sighting: &Sighting<'_>) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let (place, fingerprint) = self.place_and_fingerprint(sighting);
        let mask = self.lines.len().wrapping_sub(1);
        let Some(Line(slots)) = self.lines.get_mut(place as usize & mask) else { return false };
        let Segment { at, interface: InterfaceId(interface), tag, .. } = *sighting.segment;
        let now = Slot {
            fingerprint,
            at: units(at.as_nanos()),
            interface: interface as u16,
            tag: tag.digest(),
        };
        let is_copy = |slot: &Slot| slot.fingerprint == fingerprint && sighting.is_copy(slot, &now);
        if slots.iter().any(is_copy) {
            return true;
        }
        slots.rotate_right(1);
        let [newest, ..] = slots;
        *newest = now;
        false
    }

    /// Which line it belongs to, and a fingerprint of what copies have in common: without the MAC
    /// addresses, the TTL and other fields that a hop changes, and without the checksum, which the
    /// network card may fill in between two sightings.
    #[inline]
    fn place_and_fingerprint(&self, sighting: &Sighting<'_>) -> (u64, u64) {
        let Sighting { segment, id, header } = sighting;
        let payload: &[u8] = &segment.payload;
        let mut hasher = self.hasher.build_hasher();
        match (segment.source.ip(), segment.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                hasher.write_u64(
                    u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits()),
                );
            }
            (source, destination) => {
                for ip in [source, destination] {
                    if let IpAddr::V6(ip) = ip {
                        hasher.write_u128(ip.to_bits());
                    }
                }
            }
        }
        let mut place = hasher.clone();
        place.write_u32(ports(header));
        // Pure acknowledgments have the same sequence number again and again.
        let number = if payload.is_empty() { segment.ack.0 } else { segment.seq.0 };
        place.write_u32(number >> NEAR_BITS);
        // Ports and sequence number; acknowledgment, flags and window.
        hasher.write_u64(word(header.get(..8)));
        hasher.write_u64(word(header.get(8..16)));
        // The end of the options, where the timestamp is.
        let options = header.len().saturating_sub(payload.len());
        hasher.write_u64(word(header.get(options.saturating_sub(8)..options)));
        let lengths = (payload.len() as u64) << 32 | u64::from(segment.cut);
        hasher.write_u64(lengths ^ u64::from(*id) << 16);
        hasher.write_u64(word(payload.get(..8)));
        hasher.write_u64(word(payload.get(payload.len().saturating_sub(8)..)));
        (place.finish(), hasher.finish())
    }
}

/// Both ports of a TCP header.
#[inline]
fn ports(header: &[u8]) -> u32 {
    header.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// A time as slots keep it.
#[inline]
fn units(nanos: u64) -> u32 {
    (nanos >> 10) as u32
}

#[inline]
fn word(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

impl Sighting<'_> {
    fn is_copy(&self, slot: &Slot, now: &Slot) -> bool {
        // The same packet of another tenant is not a copy.
        if !slot.tag.may_be(now.tag) {
            return false;
        }
        // Either of them may be the earlier one.
        let apart = now.at.wrapping_sub(slot.at).min(slot.at.wrapping_sub(now.at));
        if slot.interface != now.interface {
            return apart <= units(OTHER_INTERFACE_NANOS);
        }
        // Duplicate acknowledgments are equal by design (RFC 5681 §2); only IPv4's identification
        // distinguishes two of them from one that was seen twice.
        let is_distinct = self.id != 0
            || !self.segment.payload.is_empty()
            || self.segment.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0) != 0;
        is_distinct && apart <= units(SAME_INTERFACE_NANOS)
    }
}
