//! The same packet seen twice: on the host's interface and on a bridge or tunnel below it, on
//! both ends of a veth pair, in both directions of `lo`, in both halves of a mirrored port.
//!
//! Such copies do not disturb `tcp`, which takes them for retransmissions; they are told apart so
//! that counts are right and a recorded capture holds each packet once. A retransmission by the
//! sender is another packet and passes: it comes later than a copy does, and differs in IPv4's
//! identification and in most stacks' timestamp option.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use hashbrown::DefaultHashBuilder;

use super::{Flags, Segment};
use crate::packet::{InterfaceId, Timestamp};

/// Segments that are remembered. At 24 bytes each they stay in the second-level cache, and hold
/// the last 4 ms of a million packets a second.
pub const DUPLICATE_SLOTS: usize = 4096;

/// How long after a packet its copy may come on another interface: time enough for a tunnel that
/// runs in user space, and for two capture threads that write one file; far below Linux's
/// shortest retransmission time-out of 200 ms.
const OTHER_INTERFACE_NANOS: u64 = 10_000_000;

/// How long after a packet its copy may come on the same interface: a mirroring switch sends both
/// within microseconds, unless a queue is between them.
const SAME_INTERFACE_NANOS: u64 = 1_000_000;

/// One look at a segment.
pub(super) struct Sighting<'a> {
    /// All but its payload.
    pub(super) segment: &'a Segment,
    /// IPv4's identification.
    pub(super) id: u16,
    /// From the TCP header on.
    pub(super) header: &'a [u8],
    pub(super) payload: &'a [u8],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    fingerprint: u64,
    at: u64,
    interface: InterfaceId,
}

/// The fingerprints of the last segments: a table where each has one place, so that the newer one
/// drives the older one out.
pub(super) struct Duplicates {
    slots: Vec<Slot>,
    /// Seeded at random: nobody can send packets that are taken for others'.
    hasher: DefaultHashBuilder,
}

impl Duplicates {
    /// Remembers as many segments as the next power of two; none for 0.
    pub(super) fn new(slots: usize) -> Self {
        let slots = if slots == 0 { 0 } else { slots.next_power_of_two() };
        Self { slots: vec![Slot::default(); slots], hasher: DefaultHashBuilder::default() }
    }

    /// True when it is a copy of a segment that was seen a moment ago. Remembers it otherwise.
    #[inline]
    pub(super) fn is_known(&mut self, sighting: &Sighting<'_>) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let fingerprint = self.fingerprint(sighting);
        let mask = self.slots.len().wrapping_sub(1);
        let Some(slot) = self.slots.get_mut(fingerprint as usize & mask) else { return false };
        let Segment { at, interface, .. } = *sighting.segment;
        if slot.fingerprint == fingerprint && sighting.is_copy(slot, at, interface) {
            return true;
        }
        *slot = Slot { fingerprint, at: at.as_nanos(), interface };
        false
    }

    /// Of what copies have in common: not the MAC addresses, the TTL and what else a hop changes,
    /// and not the checksum, which the network card fills in between two sightings.
    #[inline]
    fn fingerprint(&self, sighting: &Sighting<'_>) -> u64 {
        let Sighting { segment, id, header, payload } = sighting;
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
        hasher.finish()
    }
}

#[inline]
fn word(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

impl Sighting<'_> {
    fn is_copy(&self, slot: &Slot, at: Timestamp, interface: InterfaceId) -> bool {
        let apart = at.as_nanos().abs_diff(slot.at);
        if slot.interface != interface {
            return apart <= OTHER_INTERFACE_NANOS;
        }
        // Duplicate acknowledgments are equal by their nature (RFC 5681 §2); only IPv4's
        // identification tells two of them from one seen twice.
        let is_distinct = self.id != 0
            || !self.payload.is_empty()
            || self.segment.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0) != 0;
        is_distinct && apart <= SAME_INTERFACE_NANOS
    }
}
