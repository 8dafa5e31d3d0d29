//! Packets that the kernel program copied in parts (BIG TCP), put together again.
//!
//! The parts of a packet come one after the other from one place in the kernel; those of other places come
//! between. A packet of which a part found no room in the ring is counted there as lost, and what came
//! of it is dropped when its place begins another one. So no more is held than [`MAX_PACKET_BYTES`] for
//! each place.

use bytes::BytesMut;
use hashbrown::HashMap;
use mirror_common::{MAX_PACKET_BYTES, PacketRecord};

/// What came of packets whose last part is still to come, by their place.
#[derive(Default)]
pub(super) struct Parts(HashMap<u16, Begun>);

struct Begun {
    bytes: BytesMut,
    next: u8,
}

/// What a part makes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Others are still to come.
    Begun,
    /// The whole packet.
    Whole(BytesMut),
    /// A packet of which the beginning is not there; never, unless the two halves differ.
    Torn,
}

impl Parts {
    /// Adds a part to those of its packet.
    pub(super) fn add(&mut self, record: &PacketRecord, part: &[u8]) -> Joined {
        if record.part == 0 {
            let begun = Begun { bytes: BytesMut::with_capacity(part.len() * 2), next: 0 };
            self.0.insert(record.place, begun);
        }
        let is_last = record.parts_left == 0;
        let torn = if is_last { Joined::Torn } else { Joined::Begun };
        let Some(mut begun) = self.0.remove(&record.place) else { return torn };
        let len = begun.bytes.len().saturating_add(part.len());
        if begun.next != record.part || len > MAX_PACKET_BYTES as usize {
            return torn;
        }
        begun.bytes.extend_from_slice(part);
        if is_last {
            return Joined::Whole(begun.bytes);
        }
        begun.next = begun.next.saturating_add(1);
        self.0.insert(record.place, begun);
        Joined::Begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(place: u16, part: u8, parts_left: u8) -> PacketRecord {
        PacketRecord { place, part, parts_left, ..PacketRecord::default() }
    }

    fn whole(bytes: &[u8]) -> Joined {
        Joined::Whole(BytesMut::from(bytes))
    }

    #[test]
    fn parts_become_the_packet_whatever_comes_between() {
        let mut parts = Parts::default();
        assert_eq!(parts.add(&record(1, 0, 2), b"ab"), Joined::Begun);
        assert_eq!(parts.add(&record(2, 0, 1), b"12"), Joined::Begun);
        assert_eq!(parts.add(&record(1, 1, 1), b"cd"), Joined::Begun);
        assert_eq!(parts.add(&record(2, 1, 0), b"3"), whole(b"123"));
        assert_eq!(parts.add(&record(1, 2, 0), b"e"), whole(b"abcde"));
        assert!(parts.0.is_empty());
    }

    #[test]
    fn a_packet_that_was_lost_on_its_way_leaves_nothing() {
        let mut parts = Parts::default();
        assert_eq!(parts.add(&record(1, 0, 2), b"lost"), Joined::Begun);
        assert_eq!(parts.add(&record(1, 0, 1), b"ab"), Joined::Begun);
        assert_eq!(parts.add(&record(1, 1, 0), b"c"), whole(b"abc"));
        // Each packet without its beginning is told once.
        assert_eq!(parts.add(&record(1, 1, 1), b"c"), Joined::Begun);
        assert_eq!(parts.add(&record(1, 2, 0), b"d"), Joined::Torn);
        assert_eq!(parts.add(&record(1, 0, 2), b"a"), Joined::Begun);
        assert_eq!(parts.add(&record(1, 2, 0), b"c"), Joined::Torn);
        assert!(parts.0.is_empty());
    }

    #[test]
    fn nothing_grows_beyond_the_largest_packet() {
        let mut parts = Parts::default();
        let large = vec![0; MAX_PACKET_BYTES as usize];
        assert_eq!(parts.add(&record(1, 0, 2), &large), Joined::Begun);
        assert_eq!(parts.add(&record(1, 1, 1), b"more"), Joined::Begun);
        assert!(parts.0.is_empty());
    }
}
