//! The chunk that packets are copied into, out of the ring.

use bytes::{BufMut, BytesMut};
use mirror_common::PacketRecord;

/// The size of a chunk: a small part of a second-level cache, which production needs, too. A chunk is
/// reused as soon as none of its packets is held any more.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Copies a packet into the chunk, with the VLAN tag that the kernel had stripped. Returns the number of
/// bytes that the tag added.
pub(super) fn write(record: &PacketRecord, packet: &[u8], chunk: &mut BytesMut) -> u32 {
    /// Destination and source address, which precede the tag.
    const ADDRESSES: usize = 12;
    const TAG: u32 = 4;
    let needed = packet.len().saturating_add(TAG as usize);
    if chunk.capacity() < needed {
        // Reuses the old chunk if none of its packets is held any more.
        chunk.reserve(needed.max(CHUNK_BYTES));
    }
    match packet.split_at_checked(ADDRESSES) {
        Some((addresses, rest)) if record.vlan_protocol != 0 => {
            chunk.extend_from_slice(addresses);
            chunk.put_u16(record.vlan_protocol);
            chunk.put_u16(record.vlan_tci);
            chunk.extend_from_slice(rest);
            TAG
        }
        _ => {
            chunk.extend_from_slice(packet);
            0
        }
    }
}
