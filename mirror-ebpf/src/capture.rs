//! From a packet to its outcome: copied into the ring, or why not.

use core::ptr;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use aya_ebpf::maps::lpm_trie::Key;
use mirror_common::counter::{BYTES, COUNTERS as COUNTERS_OF_CPU, FRAGMENTS, SINCE_LOOK};
use mirror_common::flow::Address;
use mirror_common::settings::{
    List, Listed, NET_KEY_BYTES, NET_KEY_TAG_BITS, Networks, Slot, net_key, port_bit,
};
use mirror_common::{
    Direction, Link, MAX_PACKET_BYTES, MAX_PARTS, Outcome, PART_BYTES, PacketRecord,
    SCRATCH_PLACES, Settings,
};

use crate::atomic;
use crate::headers::{self, Found};
use crate::log;
use crate::maps::{ASLEEP, COUNTERS, NETWORKS, PACKETS, SCRATCH, SETTINGS, SWITCH, Scratch};
use crate::own::{self, Segment};
use crate::packet::{Buffer, Origin};

/// The index of `lo`, on which each packet goes out and comes in: the same in every namespace.
const LOOPBACK: u32 = 1;

/// Looks at a packet and counts what became of it.
#[inline(always)]
pub fn look<B: Buffer>(packet: &B, direction: Direction, link: Link) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return };
    // SAFETY: the entry is this CPU's own. Where looks nest, all that they do with it is `add`.
    let counters = unsafe { &mut *counters };
    let outcome = judge_and_copy(packet, direction, link, counters);
    add::<B>(counters, outcome as usize, 1);
    log::note(packet, link, outcome);
}

/// Adds to a counter: in one piece where an interrupt may come between, which costs more.
#[inline(always)]
fn add<B: Buffer>(counters: &mut [u64; COUNTERS_OF_CPU], place: usize, n: u64) {
    let counter = &mut counters[place];
    if B::NESTS {
        // SAFETY: it is valid and aligned.
        unsafe { atomic::add(counter, n) };
    } else {
        *counter += n;
    }
}

/// From the cheapest question to the dearest.
#[inline(always)]
fn judge_and_copy<B: Buffer>(
    packet: &B,
    direction: Direction,
    link: Link,
    counters: &mut [u64; COUNTERS_OF_CPU],
) -> Outcome {
    let Some(switch) = SWITCH.get_ptr(0) else { return Outcome::Unreadable };
    // SAFETY: an aligned word of a map, which user space may write at the same time. It is read
    // once, so that all of this packet is judged by one slot.
    let switch = unsafe { ptr::read_volatile(switch) };
    if switch.is_paused() {
        return Outcome::Paused;
    }
    let Some(slot) = SETTINGS.get(switch.slot()) else { return Outcome::Unreadable };
    let settings = &slot.settings;
    let origin = packet.origin();
    let on_loopback = origin.interface == LOOPBACK;
    let seen = Seen { direction, link, way: (!on_loopback).then_some(direction), origin };
    if !settings.wants_direction(seen.way) {
        return Outcome::OtherDirection;
    }
    let looks_for_own = settings.has_own_sockets();
    let (snaplen, fragments) = match headers::walk(packet, link) {
        Found::NotTcp if settings.wants_every_kind() => {
            if looks_for_own && own::is_own(packet, None, direction, on_loopback) {
                return Outcome::OwnReplay;
            }
            (settings.snaplen_to_server, 0)
        }
        Found::NotTcp => return Outcome::NotTcp,
        Found::Malformed => return Outcome::Malformed,
        Found::Tcp(tcp) => {
            let ends = &tcp.ends;
            let source_watched = is_watched(slot, ends.source.port);
            let destination_watched = is_watched(slot, ends.destination.port);
            let way = ends.way(source_watched, destination_watched);
            let Some(way) = way else { return Outcome::NotWatched };
            if !tcp.speaks && !settings.wants_every_kind() {
                return Outcome::NoPayload;
            }
            let tries = Tries { slot: switch.slot() };
            if let Err(outcome) = settings.judge(&tries, ends, way, seen.way) {
                return outcome;
            }
            let segment = Segment { ends, source_watched, destination_watched };
            if looks_for_own && own::is_own(packet, Some(&segment), direction, on_loopback) {
                return Outcome::OwnReplay;
            }
            (settings.snaplen(way), 0)
        }
        // Its ports may be in another piece, so that all pieces go to user space, whole.
        Found::Fragment => {
            if looks_for_own && own::is_own(packet, None, direction, on_loopback) {
                return Outcome::OwnReplay;
            }
            (u32::MAX, 1)
        }
    };
    let outcome = copy(packet, settings, &seen, snaplen, counters);
    if matches!(outcome, Outcome::Copied) {
        add::<B>(counters, FRAGMENTS, fragments);
    }
    outcome
}

#[inline(always)]
fn is_watched(slot: &Slot, port: u16) -> bool {
    let (word, bit) = port_bit(port);
    slot.ports[word] & bit != 0
}

/// The networks of one slot.
struct Tries {
    slot: u32,
}

impl Networks for Tries {
    #[inline(always)]
    fn listed(&self, list: List, address: Address) -> Option<Listed> {
        let bits = NET_KEY_TAG_BITS + 128;
        let key: Key<[u8; NET_KEY_BYTES]> = Key::new(bits, net_key(self.slot, list, address));
        NETWORKS.get(&key).and_then(|number| Listed::from_number(*number))
    }
}

/// Where a packet was seen.
struct Seen {
    direction: Direction,
    /// The direction where it means something.
    way: Option<Direction>,
    link: Link,
    origin: Origin,
}

#[inline(always)]
fn copy<B: Buffer>(
    packet: &B,
    settings: &Settings,
    seen: &Seen,
    snaplen: u32,
    counters: &mut [u64; COUNTERS_OF_CPU],
) -> Outcome {
    let wire_len = packet.len();
    let len = if wire_len < snaplen { wire_len } else { snaplen };
    if len == 0 {
        return Outcome::Malformed;
    }
    if len > MAX_PACKET_BYTES {
        return Outcome::TooLarge;
    }
    let Some((scratch, place)) = take_scratch::<B>() else { return Outcome::NoScratch };
    let record = record(seen, wire_len, place as u16);
    let outcome = copy_by(scratch, packet, settings, record, len, counters);
    if B::NESTS {
        give_back(scratch);
    }
    outcome
}

/// Where this look alone puts its records together, until it gives the place back; and which place
/// that is.
#[inline(always)]
fn take_scratch<B: Buffer>() -> Option<(&'static mut Scratch, u32)> {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if !B::NESTS {
        // SAFETY: the entry belongs to this CPU, on which programs at these hooks run to their end
        // before another one runs.
        return SCRATCH.get_ptr_mut(cpu).map(|scratch| (unsafe { &mut *scratch }, cpu));
    }
    for nth in 0..SCRATCH_PLACES {
        let place = cpu * SCRATCH_PLACES + nth;
        let scratch = SCRATCH.get_ptr_mut(place)?;
        // SAFETY: it is valid and aligned, and written here alone.
        if unsafe { atomic::swap(&raw mut (*scratch).taken, 1) } == 0 {
            // SAFETY: nobody else takes it until it is given back.
            return Some((unsafe { &mut *scratch }, place));
        }
    }
    None
}

#[inline(always)]
fn give_back(scratch: &mut Scratch) {
    // SAFETY: as where it was taken.
    unsafe { ptr::write_volatile(&raw mut scratch.taken, 0) };
}

/// Copies the first `len` bytes, in as many records as that takes.
#[inline(always)]
fn copy_by<B: Buffer>(
    scratch: &mut Scratch,
    packet: &B,
    settings: &Settings,
    record: PacketRecord,
    len: u32,
    counters: &mut [u64; COUNTERS_OF_CPU],
) -> Outcome {
    scratch.record = record;
    scratch.record.parts_left = ((len - 1) / PART_BYTES) as u8;
    let mut offset = 0;
    for _ in 0..MAX_PARTS {
        let rest = len - offset;
        let part = if rest < PART_BYTES { rest } else { PART_BYTES };
        let outcome = copy_part(scratch, packet, settings, (offset, part), counters);
        if !matches!(outcome, Outcome::Copied) {
            // User space drops the parts that it has of this packet.
            return outcome;
        }
        offset += part;
        if offset >= len {
            break;
        }
        scratch.record.part += 1;
        scratch.record.parts_left -= 1;
    }
    add::<B>(counters, BYTES, u64::from(len));
    Outcome::Copied
}

#[inline(always)]
fn copy_part<B: Buffer>(
    scratch: &mut Scratch,
    packet: &B,
    settings: &Settings,
    (offset, len): (u32, u32),
    counters: &mut [u64; COUNTERS_OF_CPU],
) -> Outcome {
    // The verifier follows a mask where it loses the comparisons above: 1..=PART_BYTES. The compiler
    // must not know them here, or it would take the mask away as needless.
    // SAFETY: `len` is a variable of this function.
    let unknown = unsafe { ptr::read_volatile(&len) };
    let bounded = (unknown.wrapping_sub(1) & (PART_BYTES - 1)) + 1;
    scratch.record.captured_len = bounded;
    let to = scratch.packet.as_mut_ptr();
    // SAFETY: `packet` holds PART_BYTES, and `bounded` is no more than that.
    if !unsafe { packet.load(offset, to, bounded) } {
        return Outcome::Unreadable;
    }
    let entry_len = size_of::<PacketRecord>() + bounded as usize;
    // SAFETY: the record and as many bytes of the packet as were just written lie one behind the
    // other in the same entry.
    let entry =
        unsafe { &*ptr::slice_from_raw_parts(ptr::from_ref(&scratch.record).cast(), entry_len) };
    match PACKETS.output::<[u8]>(entry, wake_up::<B>(settings, entry_len as u64, counters)) {
        Ok(()) => Outcome::Copied,
        Err(_) => Outcome::RingFull,
    }
}

#[inline(always)]
fn record(seen: &Seen, wire_len: u32, place: u16) -> PacketRecord {
    PacketRecord {
        // SAFETY: a helper without arguments.
        at: unsafe { bpf_ktime_get_ns() },
        interface: seen.origin.place,
        wire_len,
        captured_len: 0,
        vlan_tci: seen.origin.vlan_tci,
        vlan_protocol: seen.origin.vlan_protocol,
        direction: seen.direction as u8,
        link: seen.link as u8,
        part: 0,
        parts_left: 0,
        place,
        reserved: [0; 2],
    }
}

/// Waking the reader costs about ten times as much as copying a packet, and production pays for
/// it. So it is woken only when so many bytes wait that it should not sleep on, and when it has
/// said that it sleeps without a time-out.
#[inline(always)]
fn wake_up<B: Buffer>(
    settings: &Settings,
    adding: u64,
    counters: &mut [u64; COUNTERS_OF_CPU],
) -> u64 {
    if let Some(asleep) = ASLEEP.get_ptr_mut(0) {
        // SAFETY: an aligned word of a map. Another CPU may write it at the same time, always 0.
        if unsafe { ptr::read_volatile(asleep) } != 0 {
            // SAFETY: as above.
            unsafe { ptr::write_volatile(asleep, 0) };
            return u64::from(BPF_RB_FORCE_WAKEUP);
        }
    }
    // How many bytes wait is a question that makes this CPU wait for the reader's: it is asked
    // when this one alone has added so many.
    let mark = u64::from(settings.wake_bytes);
    add::<B>(counters, SINCE_LOOK, adding);
    if counters[SINCE_LOOK] < mark {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    counters[SINCE_LOOK] = 0;
    let waiting = PACKETS.query(u64::from(BPF_RB_AVAIL_DATA));
    // With less it has just been there and looks again by itself; with far more it is late, and
    // awake already.
    let wakes = waiting >= mark && waiting < 4 * mark;
    u64::from(if wakes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
