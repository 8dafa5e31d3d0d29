//! What stands in the ring in front of each packet.

use core::mem::offset_of;

/// In front of the packet's bytes, from the link header (or the IP header, see [`Link`]) on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketRecord {
    /// When it was seen: CLOCK_MONOTONIC, nanoseconds.
    pub at: u64,
    /// The interface's index; at a cgroup's hooks, the low half of the id of the cgroup that the socket
    /// belongs to, which is the inode of its folder.
    pub interface: u32,
    /// Its length on the link in bytes.
    pub wire_len: u32,
    /// How many of its bytes follow in this record.
    pub captured_len: u32,
    /// The VLAN tag control information that the kernel took out of the bytes.
    pub vlan_tci: u16,
    /// The EtherType of that tag (0x8100 or 0x88a8); 0: there was none.
    pub vlan_protocol: u16,
    /// A [`Direction`].
    pub direction: u8,
    /// A [`Link`].
    pub link: u8,
    /// Which part of the packet this is; the first is 0, and the only one of most packets.
    pub part: u8,
    /// How many parts follow.
    pub parts_left: u8,
    /// Who copied it. The parts of a packet come one after the other from the same place; only those
    /// of other places come between.
    pub place: u16,
    /// Always 0.
    pub reserved: [u8; 2],
}

const _: () = {
    assert!(size_of::<PacketRecord>() == 32 && align_of::<PacketRecord>() == 8);
    assert!(offset_of!(PacketRecord, at) == 0);
    assert!(offset_of!(PacketRecord, interface) == 8);
    assert!(offset_of!(PacketRecord, wire_len) == 12);
    assert!(offset_of!(PacketRecord, captured_len) == 16);
    assert!(offset_of!(PacketRecord, vlan_tci) == 20);
    assert!(offset_of!(PacketRecord, vlan_protocol) == 22);
    assert!(offset_of!(PacketRecord, direction) == 24);
    assert!(offset_of!(PacketRecord, link) == 25);
    assert!(offset_of!(PacketRecord, part) == 26);
    assert!(offset_of!(PacketRecord, parts_left) == 27);
    assert!(offset_of!(PacketRecord, place) == 28);
    assert!(offset_of!(PacketRecord, reserved) == 30);
};

/// Whether a packet came in or went out.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Came in.
    Ingress = 0,
    /// Went out.
    Egress = 1,
}

/// What a packet begins with.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet = 0,
    /// An IP header.
    Ip = 1,
}

impl PacketRecord {
    /// The record at the front of a ring entry, and the packet's bytes behind it; `None` when the
    /// entry is shorter than it says.
    #[must_use]
    pub fn parse(entry: &[u8]) -> Option<(Self, &[u8])> {
        let (at, rest) = entry.split_first_chunk()?;
        let (interface, rest) = rest.split_first_chunk()?;
        let (wire_len, rest) = rest.split_first_chunk()?;
        let (captured_len, rest) = rest.split_first_chunk()?;
        let (vlan_tci, rest) = rest.split_first_chunk()?;
        let (vlan_protocol, rest) = rest.split_first_chunk()?;
        let (&[direction, link, part, parts_left], rest) = rest.split_first_chunk()?;
        let (place, rest) = rest.split_first_chunk()?;
        let (reserved, rest) = rest.split_first_chunk()?;
        let record = Self {
            at: u64::from_ne_bytes(*at),
            interface: u32::from_ne_bytes(*interface),
            wire_len: u32::from_ne_bytes(*wire_len),
            captured_len: u32::from_ne_bytes(*captured_len),
            vlan_tci: u16::from_ne_bytes(*vlan_tci),
            vlan_protocol: u16::from_ne_bytes(*vlan_protocol),
            direction,
            link,
            part,
            parts_left,
            place: u16::from_ne_bytes(*place),
            reserved: *reserved,
        };
        let packet = rest.get(..usize::try_from(record.captured_len).ok()?)?;
        Some((record, packet))
    }

    /// Whether it came in or went out; `None` for a value that this version does not know.
    #[must_use]
    pub const fn direction(&self) -> Option<Direction> {
        match self.direction {
            0 => Some(Direction::Ingress),
            1 => Some(Direction::Egress),
            _ => None,
        }
    }

    /// What the packet begins with; `None` for a value that this version does not know.
    #[must_use]
    pub const fn link(&self) -> Option<Link> {
        match self.link {
            0 => Some(Link::Ethernet),
            1 => Some(Link::Ip),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_field_by_field() {
        let mut entry = [0_u8; 32 + 4];
        entry[0..8].copy_from_slice(&7_u64.to_ne_bytes());
        entry[8..12].copy_from_slice(&3_u32.to_ne_bytes());
        entry[12..16].copy_from_slice(&1500_u32.to_ne_bytes());
        entry[16..20].copy_from_slice(&2_u32.to_ne_bytes());
        entry[20..22].copy_from_slice(&5_u16.to_ne_bytes());
        entry[22..24].copy_from_slice(&0x8100_u16.to_ne_bytes());
        entry[24] = 1;
        entry[26..28].copy_from_slice(&[2, 1]);
        entry[28..30].copy_from_slice(&300_u16.to_ne_bytes());
        entry[32..].copy_from_slice(b"abcd");
        let (record, packet) = PacketRecord::parse(&entry).unwrap();
        assert_eq!((record.at, record.interface, record.wire_len), (7, 3, 1500));
        assert_eq!((record.vlan_tci, record.vlan_protocol), (5, 0x8100));
        assert_eq!(record.direction(), Some(Direction::Egress));
        assert_eq!(record.link(), Some(Link::Ethernet));
        assert_eq!((record.part, record.parts_left, record.place), (2, 1, 300));
        assert_eq!(packet, b"ab", "the ring pads entries to eight bytes");
    }

    #[test]
    fn an_entry_that_is_shorter_than_it_says_is_refused() {
        let mut entry = [0_u8; 40];
        entry[16..20].copy_from_slice(&9_u32.to_ne_bytes());
        assert!(PacketRecord::parse(&entry).is_none());
        assert!(PacketRecord::parse(&entry[..31]).is_none());
    }
}
