//! From a packet to its outcome: copied into the ring, or why not.

use core::ptr;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use mirror_common::counter::{BYTES, FRAGMENTS};
use mirror_common::{
    Direction, Link, MAX_PACKET_BYTES, Outcome, PacketRecord, Settings, port_bit,
};

use crate::headers::{self, Found};
use crate::maps::{ASLEEP, COUNTERS, PACKETS, PORTS, SCRATCH, SETTINGS};
use crate::packet::{Buffer, Origin};

/// Looks at a packet and counts what became of it.
#[inline(always)]
pub fn look<B: Buffer>(packet: &B, direction: Direction, link: Link) {
    let mut fragments = 0;
    let outcome = match headers::walk(packet, link) {
        Found::NotTcp => Outcome::NotTcp,
        Found::Malformed => Outcome::Malformed,
        Found::Tcp(tcp) if !is_watched(tcp.source) && !is_watched(tcp.destination) => {
            Outcome::NotWatched
        }
        Found::Tcp(tcp) if !tcp.speaks => Outcome::NoPayload,
        Found::Tcp(_) => copy(packet, direction, link),
        // Its ports may be in another piece, so that all pieces go to user space.
        Found::Fragment => {
            fragments = 1;
            copy(packet, direction, link)
        }
    };
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own, and no other program runs on it meanwhile.
        let counters = unsafe { &mut *counters };
        counters[outcome as usize] += 1;
        if matches!(outcome, Outcome::Copied) {
            counters[BYTES] += u64::from(packet.len());
            counters[FRAGMENTS] += fragments;
        }
    }
}

#[inline(always)]
fn is_watched(port: u16) -> bool {
    let (word, bit) = port_bit(port);
    PORTS.get(word).is_some_and(|bits| bits & bit != 0)
}

#[inline(always)]
fn copy<B: Buffer>(packet: &B, direction: Direction, link: Link) -> Outcome {
    let origin = packet.origin();
    let Some(settings) = SETTINGS.get(0) else { return Outcome::Unreadable };
    if settings.skip_mark != 0 && origin.mark == settings.skip_mark {
        return Outcome::OwnReplay;
    }
    let len = packet.len();
    if len == 0 {
        return Outcome::Malformed;
    }
    if len > MAX_PACKET_BYTES {
        return Outcome::TooLarge;
    }
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(scratch) = SCRATCH.get_ptr_mut(cpu) else { return Outcome::Unreadable };
    // SAFETY: the entry belongs to this CPU. Programs at these hooks run to their end before
    // another one runs on the same CPU.
    let scratch = unsafe { &mut *scratch };
    // The verifier follows a mask where it loses the comparisons above: 1..=MAX_PACKET_BYTES. The
    // compiler must not know them here, or it would take the mask away as needless.
    // SAFETY: `len` is a variable of this function.
    let unknown = unsafe { ptr::read_volatile(&len) };
    let bounded = (unknown.wrapping_sub(1) & (MAX_PACKET_BYTES - 1)) + 1;
    scratch.record = record(&origin, direction, link, bounded);
    let to = scratch.packet.as_mut_ptr();
    // SAFETY: `packet` holds MAX_PACKET_BYTES, and `bounded` is no more than that.
    if !unsafe { packet.load(0, to, bounded) } {
        return Outcome::Unreadable;
    }
    let entry_len = size_of::<PacketRecord>() + bounded as usize;
    // SAFETY: the record and as many bytes of the packet as were just written lie one behind the
    // other in the same entry.
    let entry = unsafe { &*ptr::slice_from_raw_parts(ptr::from_ref(scratch).cast(), entry_len) };
    match PACKETS.output::<[u8]>(entry, wake_up(settings, entry_len as u64)) {
        Ok(()) => Outcome::Copied,
        Err(_) => Outcome::RingFull,
    }
}

#[inline(always)]
fn record(origin: &Origin, direction: Direction, link: Link, len: u32) -> PacketRecord {
    PacketRecord {
        // SAFETY: a helper without arguments.
        at: unsafe { bpf_ktime_get_ns() },
        interface: origin.interface,
        wire_len: len,
        captured_len: len,
        vlan_tci: origin.vlan_tci,
        vlan_protocol: origin.vlan_protocol,
        direction: direction as u8,
        link: link as u8,
        reserved: [0; 6],
    }
}

/// Waking the reader costs about ten times as much as copying a packet, and production pays for
/// it. So it is woken only when so many bytes wait that it should not sleep on, and when it has
/// said that it sleeps without a time-out.
#[inline(always)]
fn wake_up(settings: &Settings, adding: u64) -> u64 {
    if let Some(asleep) = ASLEEP.get_ptr_mut(0) {
        // SAFETY: an aligned word of a map. Another CPU may write it at the same time, always 0.
        if unsafe { ptr::read_volatile(asleep) } != 0 {
            // SAFETY: as above.
            unsafe { ptr::write_volatile(asleep, 0) };
            return u64::from(BPF_RB_FORCE_WAKEUP);
        }
    }
    let waiting = PACKETS.query(u64::from(BPF_RB_AVAIL_DATA));
    let mark = u64::from(settings.wake_bytes);
    // Once, where the mark is passed: a reader that is late is awake already.
    let passes = waiting < mark && waiting + adding >= mark;
    u64::from(if passes { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}
