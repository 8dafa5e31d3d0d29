//! Which connection a segment belongs to, and which of its two ends sent it.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use enum_map::Enum;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::segment::{Segment, Tag};

/// One of the two ends of a connection, before it is known who is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum End {
    /// The end with the lower address and port.
    Low,
    /// The other one.
    High,
}

impl End {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// Both ends, the lower one first, so that both directions have the same key. An IPv4 key
/// and its slot take 24 bytes of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FlowKey {
    V4(V4Key),
    V6(V6Key),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct V4Key {
    low: u32,
    high: u32,
    ports: u32,
    tag: Tag,
}

/// In whole words: a derived hash takes one field after the other.
impl Hash for V4Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.low) << 32 | u64::from(self.high));
        state.write_u64(self.tag.bits());
        state.write_u32(self.ports);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct V6Key {
    low: u128,
    high: u128,
    ports: u32,
    tag: Tag,
}

impl FlowKey {
    /// The key of a segment and which end sent it.
    #[inline]
    pub(super) fn of(segment: &Segment) -> (Self, End) {
        let (from, to) = (segment.source, segment.destination);
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) {
            let source = u64::from(source.to_bits()) << 16 | u64::from(from.port());
            let destination = u64::from(destination.to_bits()) << 16 | u64::from(to.port());
            let end = if source <= destination { End::Low } else { End::High };
            let (low, high) = (source.min(destination), source.max(destination));
            let ports = (low as u32) << 16 | (high as u32 & 0xffff);
            let (low, high) = ((low >> 16) as u32, (high >> 16) as u32);
            (Self::V4(V4Key { low, high, ports, tag: segment.tag }), end)
        } else {
            let source = (bits(from.ip()), from.port());
            let destination = (bits(to.ip()), to.port());
            let end = if source <= destination { End::Low } else { End::High };
            let (low, high) = (source.min(destination), source.max(destination));
            let ports = u32::from(low.1) << 16 | u32::from(high.1);
            (Self::V6(V6Key { low: low.0, high: high.0, ports, tag: segment.tag }), end)
        }
    }

    /// The tags of its packets.
    pub(super) fn tag(&self) -> Tag {
        match self {
            Self::V4(key) => key.tag,
            Self::V6(key) => key.tag,
        }
    }

    /// The same addresses without tags.
    fn bare(&self) -> Self {
        match *self {
            Self::V4(key) => Self::V4(V4Key { tag: Tag::NONE, ..key }),
            Self::V6(key) => Self::V6(V6Key { tag: Tag::NONE, ..key }),
        }
    }

    /// The address of one end.
    pub(super) fn address(&self, end: End) -> SocketAddr {
        let (ip, ports) = match (self, end) {
            (Self::V4(key), End::Low) => (Ipv4Addr::from_bits(key.low).into(), key.ports),
            (Self::V4(key), End::High) => (Ipv4Addr::from_bits(key.high).into(), key.ports),
            (Self::V6(key), End::Low) => (Ipv6Addr::from_bits(key.low).into(), key.ports),
            (Self::V6(key), End::High) => (Ipv6Addr::from_bits(key.high).into(), key.ports),
        };
        let port = match end {
            End::Low => ports >> 16,
            End::High => ports & 0xffff,
        };
        SocketAddr::new(ip, port as u16)
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Where each connection's flow is. hashbrown's default hasher (foldhash) has a random seed for
/// each table, so that a sender who does not see our replies cannot choose keys that collide; the
/// table is bounded as well, so that the worst case stays small. It is never iterated, because its
/// order differs from run to run.
#[derive(Debug, Default)]
pub(super) struct Index {
    v4: HashMap<V4Key, u32>,
    v6: HashMap<V6Key, u32>,
    /// By the addresses alone, flows whose packets have tags; at most [`TENANTS`] of each.
    tagged: HashMap<FlowKey, Vec<u32>>,
}

/// So many flows of the same addresses in several networks are known again by packets that another
/// interface shows without their tags.
const TENANTS: usize = 4;

impl Index {
    #[inline]
    pub(super) fn get(&self, key: &FlowKey) -> Option<u32> {
        match key {
            FlowKey::V4(key) => self.v4.get(key).copied(),
            FlowKey::V6(key) => self.v6.get(key).copied(),
        }
    }

    pub(super) fn insert(&mut self, key: FlowKey, slot: u32) {
        match key {
            FlowKey::V4(key) => self.v4.insert(key, slot),
            FlowKey::V6(key) => self.v6.insert(key, slot),
        };
        if !key.tag().is_none() {
            let slots = self.tagged.entry(key.bare()).or_default();
            if slots.len() < TENANTS {
                slots.push(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, key: &FlowKey) {
        let slot = match key {
            FlowKey::V4(key) => self.v4.remove(key),
            FlowKey::V6(key) => self.v6.remove(key),
        };
        if !key.tag().is_none()
            && let Entry::Occupied(mut slots) = self.tagged.entry(key.bare())
        {
            slots.get_mut().retain(|other| Some(*other) != slot);
            if slots.get().is_empty() {
                slots.remove();
            }
        }
    }

    /// Flows of the same addresses and other tags, or none.
    pub(super) fn siblings(&self, key: &FlowKey) -> impl Iterator<Item = u32> + '_ {
        let has_tag = !key.tag().is_none();
        let is_looked_for = has_tag || !self.tagged.is_empty();
        let bare = is_looked_for.then(|| key.bare());
        let untagged = bare.filter(|_| has_tag).and_then(|bare| self.get(&bare));
        let tagged = bare.and_then(|bare| self.tagged.get(&bare));
        untagged.into_iter().chain(tagged.into_iter().flatten().copied())
    }
}
