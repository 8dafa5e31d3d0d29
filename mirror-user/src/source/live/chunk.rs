//! Where packets lie that were taken out of the ring.

use bytes::{BufMut, BytesMut};
use mirror_common::PacketRecord;

/// Packets are slices of chunks of this size: a small part of a second-level cache, which production
/// needs too, as a chunk is filled again as soon as none of its packets is held any more.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Copies a packet into the chunk, and puts back the VLAN tag that the kernel had taken out; says
/// how many bytes that added.
pub(super) fn write(record: &PacketRecord, packet: &[u8], chunk: &mut BytesMut) -> u32 {
    /// Destination and source address, which stand before the tag.
    const ADDRESSES: usize = 12;
    const TAG: u32 = 4;
    let needed = packet.len().saturating_add(TAG as usize);
    if chunk.capacity() < needed {
        // Takes the old chunk again when none of its packets is held any more.
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
