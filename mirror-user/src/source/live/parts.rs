//! Reassembles packets that the kernel program copied in parts (BIG TCP).
//!
//! The parts of a packet come in order from one place in the kernel, such as a CPU; parts from other places
//! can come in between. If a part did not fit into the ring, the kernel program counts the packet as lost,
//! and its other parts are dropped when the place begins the next packet. So at most
//! [`MAX_PACKET_BYTES`] are held for each place.

use bytes::BytesMut;
use hashbrown::HashMap;
use mirror_common::{MAX_PACKET_BYTES, PacketRecord};

/// Packets whose last part is missing, by place.
#[derive(Default)]
pub(super) struct Parts(HashMap<u16, Pending>);

struct Pending {
    bytes: BytesMut,
    next: u8,
}

/// The result of adding a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Assembly {
    /// Further parts are needed.
    Pending,
    /// The whole packet.
    Complete(BytesMut),
    /// The beginning of the packet is missing; never, unless kernel program and binary differ.
    Broken,
}

impl Parts {
    /// Adds a part to those of its packet.
    pub(super) fn add(&mut self, record: &PacketRecord, part: &[u8]) -> Assembly {
        if record.part == 0 {
            let begun = Pending { bytes: BytesMut::with_capacity(part.len() * 2), next: 0 };
            self.0.insert(record.place, begun);
        }
        let is_last = record.parts_left == 0;
        let incomplete = if is_last { Assembly::Broken } else { Assembly::Pending };
        let Some(mut begun) = self.0.remove(&record.place) else { return incomplete };
        let len = begun.bytes.len().saturating_add(part.len());
        if begun.next != record.part || len > MAX_PACKET_BYTES as usize {
            return incomplete;
        }
        begun.bytes.extend_from_slice(part);
        if is_last {
            return Assembly::Complete(begun.bytes);
        }
        begun.next = begun.next.saturating_add(1);
        self.0.insert(record.place, begun);
        Assembly::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(place: u16, part: u8, parts_left: u8) -> PacketRecord {
        PacketRecord { place, part, parts_left, ..PacketRecord::default() }
    }

    fn whole(bytes: &[u8]) -> Assembly {
        Assembly::Complete(BytesMut::from(bytes))
    }

    #[test]
    fn parts_become_the_packet_whatever_comes_between() {
        let mut parts = Parts::default();
        assert_eq!(parts.add(&record(1, 0, 2), b"ab"), Assembly::Pending);
        assert_eq!(parts.add(&record(2, 0, 1), b"12"), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 1, 1), b"cd"), Assembly::Pending);
        assert_eq!(parts.add(&record(2, 1, 0), b"3"), whole(b"123"));
        assert_eq!(parts.add(&record(1, 2, 0), b"e"), whole(b"abcde"));
        assert!(parts.0.is_empty());
    }

    #[test]
    fn a_packet_that_was_lost_on_its_way_leaves_nothing() {
        let mut parts = Parts::default();
        assert_eq!(parts.add(&record(1, 0, 2), b"lost"), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 0, 1), b"ab"), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 1, 0), b"c"), whole(b"abc"));
        // Each packet without its beginning is reported once.
        assert_eq!(parts.add(&record(1, 1, 1), b"c"), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 2, 0), b"d"), Assembly::Broken);
        assert_eq!(parts.add(&record(1, 0, 2), b"a"), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 2, 0), b"c"), Assembly::Broken);
        assert!(parts.0.is_empty());
    }

    #[test]
    fn nothing_grows_beyond_the_largest_packet() {
        let mut parts = Parts::default();
        let large = vec![0; MAX_PACKET_BYTES as usize];
        assert_eq!(parts.add(&record(1, 0, 2), &large), Assembly::Pending);
        assert_eq!(parts.add(&record(1, 1, 1), b"more"), Assembly::Pending);
        assert!(parts.0.is_empty());
    }
}
