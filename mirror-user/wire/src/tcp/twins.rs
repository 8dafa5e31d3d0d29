//! One connection seen with two addresses: before and after a translation on this host, as of a
//! Kubernetes service or a published container port.
//!
//! Translation changes addresses and the server's port, but not the sequence numbers, the window or
//! the payload. So the first payload of a connection is compared with those of the last few others
//! that were seen on other interfaces: a translated packet leaves by another interface than it
//! arrived on, and generated traffic may have the same numbers in many connections of one
//! interface. A proxy's connection upstream has its own numbers and is never taken for a copy.

use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;

use super::clock::{Nanos, nanos};
use super::limits::{TWIN_SLOTS, TWIN_WITHIN};
use crate::packet::InterfaceId;
use crate::segment::{Endpoint, Segment};

/// How many bytes of the payload are compared; the offload of another interface may segment the
/// rest differently.
const COMPARED: usize = 64;

/// The first payload of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct First {
    fingerprint: u64,
    at: Nanos,
    /// A part of their hash is enough: if two collide, both connections are kept.
    addresses: u32,
    interface: InterfaceId,
}

/// The first payloads of the connections that began last.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// Empty before the first connection.
    slots: Vec<First>,
    /// Randomly seeded, so that nobody can craft packets that are taken for others'.
    hasher: DefaultHashBuilder,
}

impl Twins {
    /// True when the first payload of a connection is a copy of another one's. `client_port` is the
    /// one port that stays. Remembers it otherwise.
    pub(super) fn is_copy(&mut self, segment: &Segment, client_port: u16, now: Nanos) -> bool {
        self.slots.resize(TWIN_SLOTS, First::default());
        let mut hasher = self.hasher.build_hasher();
        let [seq, ack] = [segment.seq, segment.ack].map(|number| u64::from(number.0));
        hasher.write_u64(seq << 32 | ack);
        hasher.write_u32(u32::from(client_port) << 16 | u32::from(segment.window));
        hasher.write(segment.payload.get(..COMPARED).unwrap_or(&segment.payload));
        let fingerprint = hasher.finish();
        let addresses = self.addresses(segment.source, segment.destination);
        let first = First { fingerprint, at: now, addresses, interface: segment.interface };
        let place = fingerprint as usize % TWIN_SLOTS;
        let Some(slot) = self.slots.get_mut(place) else { return false };
        let is_copy = slot.fingerprint == fingerprint
            && slot.addresses != addresses
            && slot.interface != segment.interface
            && now.saturating_sub(slot.at) <= nanos(TWIN_WITHIN);
        if !is_copy {
            *slot = first;
        }
        is_copy
    }

    fn addresses(&self, source: Endpoint, destination: Endpoint) -> u32 {
        self.hasher.hash_one((source, destination)) as u32
    }
}
