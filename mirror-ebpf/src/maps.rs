//! The maps, each with its size and why.

use aya_ebpf::btf_maps::SkStorage;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::lpm_trie::LpmTrie;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use mirror_common::counter::COUNTERS as COUNTER_PLACES;
use mirror_common::settings::{MAX_NETWORKS, NET_KEY_BYTES, SLOTS, Slot};
use mirror_common::{PART_BYTES, Switch};

/// Packets to user space. User space sets the size when it loads the program.
#[map]
pub static PACKETS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Which slot of the settings holds, and whether anything is to be copied at all.
#[map]
pub static SWITCH: Array<Switch> = Array::with_max_entries(1, 0);

/// What is wanted, 8 KiB of port bits included: one look-up a packet, no hashing.
#[map]
pub static SETTINGS: Array<Slot> = Array::with_max_entries(SLOTS, 0);

/// Networks of both slots, with room for a full list that replaces a full one.
#[map]
pub static NETWORKS: LpmTrie<[u8; NET_KEY_BYTES], u32> =
    LpmTrie::with_max_entries(SLOTS * MAX_NETWORKS, 0);

/// What became of the packets: one entry, so that one look-up serves all counters.
#[map]
pub static COUNTERS: PerCpuArray<[u64; COUNTER_PLACES]> = PerCpuArray::with_max_entries(1, 0);

/// Where a record is put together before it goes into the ring. An array with an entry for each
/// CPU, or several where looks nest, as values of per-CPU maps may not exceed 32 KiB; user space
/// sets the number of entries.
#[map]
pub static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// Mirror's own sockets, as user space notes them. A note is kept by the socket itself and goes with it,
/// so that this map needs no size, and nobody has to clear it.
#[btf_map]
pub static OWN: SkStorage<u8> = SkStorage::new();

/// 1 while the reader sleeps without a time-out and wants to be woken by the next record.
#[map]
pub static ASLEEP: Array<u32> = Array::with_max_entries(1, 0);

/// The record's header and the packet, or a part of it, behind it, as they will stand in the ring.
#[repr(C, align(8))]
pub struct Scratch {
    /// 1 while a look that can be interrupted puts its record together here.
    pub taken: u64,
    pub record: mirror_common::PacketRecord,
    pub packet: [u8; PART_BYTES as usize],
}

const _: () = assert!(size_of::<Scratch>() == mirror_common::SCRATCH_BYTES);
