//! Whether a packet is of one of mirror's own connections, so that no shadow is shadowed again.
//!
//! User space notes each socket in `OWN` before it connects. What a socket sends is known by the socket
//! itself, whatever rewrites the packet's mark or addresses on its way out. What comes in has no socket
//! yet, and what passes `lo` none any more: there the kernel is asked whose connection it is.

use core::ptr;

use aya_ebpf::bindings::{
    BPF_F_CURRENT_NETNS, bpf_sock, bpf_sock_tuple,
    bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 as Four,
    bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 as Six,
};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{
    bpf_sk_fullsock, bpf_sk_lookup_tcp, bpf_sk_release, bpf_sk_storage_get,
};
use mirror_common::Direction;
use mirror_common::flow::{End, Ends};

use crate::maps::OWN;
use crate::packet::Buffer;

/// A segment, and which of its ports are watched. Mirror is a client alone: its own end is one whose
/// counterpart's port is watched.
pub struct Segment<'a> {
    pub ends: &'a Ends,
    pub source_watched: bool,
    pub destination_watched: bool,
}

/// True for a packet of one of mirror's own connections.
#[inline(always)]
pub fn is_own<B: Buffer>(
    packet: &B,
    segment: Option<&Segment<'_>>,
    direction: Direction,
    on_loopback: bool,
) -> bool {
    if packet.is_of_own_socket() {
        return true;
    }
    let Some(Segment { ends, source_watched, destination_watched }) = segment else {
        return false;
    };
    // At a cgroup's hooks what comes in has its socket already.
    let comes_in = !B::NESTS && matches!(direction, Direction::Ingress);
    if *source_watched
        && (on_loopback || comes_in)
        && packet.is_to_own(&ends.source, &ends.destination)
    {
        return true;
    }
    // The sender's connection is the one that the answer would come to.
    *destination_watched && on_loopback && packet.is_to_own(&ends.destination, &ends.source)
}

/// Whether this socket of the context is mirror's own.
///
/// # Safety
/// `socket` must come from the context of a program.
#[inline(always)]
pub unsafe fn is_noted(socket: *mut bpf_sock) -> bool {
    if socket.is_null() {
        return false;
    }
    // SAFETY: it is not null. Sockets of half-open and of closed connections keep no notes.
    let socket = unsafe { bpf_sk_fullsock(socket) };
    if socket.is_null() {
        return false;
    }
    // SAFETY: as above.
    unsafe { has_note(socket) }
}

/// Whether the connection to which a segment from `source` to `destination` belongs is mirror's own.
///
/// # Safety
/// `context` must be that of a TC or cgroup program.
#[inline(always)]
pub unsafe fn is_connection_noted(context: *mut c_void, source: &End, destination: &End) -> bool {
    // SAFETY: integers alone.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let ([high, from], [to_high, to]) = (source.address.halves(), destination.address.halves());
    let is_v4 = high == 0 && from >> 32 == 0xffff;
    let len = if is_v4 {
        tuple.__bindgen_anon_1.ipv4 = Four {
            saddr: (from as u32).to_be(),
            daddr: (to as u32).to_be(),
            sport: source.port.to_be(),
            dport: destination.port.to_be(),
        };
        size_of::<Four>()
    } else {
        tuple.__bindgen_anon_1.ipv6 = Six {
            saddr: words(high, from),
            daddr: words(to_high, to),
            sport: source.port.to_be(),
            dport: destination.port.to_be(),
        };
        size_of::<Six>()
    };
    // SAFETY: the caller's promise; the tuple is as long as is said.
    let socket = unsafe {
        bpf_sk_lookup_tcp(context, &raw mut tuple, len as u32, BPF_F_CURRENT_NETNS as i64 as u64, 0)
    };
    if socket.is_null() {
        return false;
    }
    // SAFETY: it is not null, and is given back once.
    unsafe {
        let own = has_note(socket);
        bpf_sk_release(socket.cast());
        own
    }
}

#[inline(always)]
unsafe fn has_note(socket: *mut bpf_sock) -> bool {
    let map = ptr::from_ref(&OWN).cast_mut().cast();
    // SAFETY: the caller's promise.
    let note = unsafe { bpf_sk_storage_get(map, socket.cast(), ptr::null_mut(), 0) };
    !note.is_null()
}

/// An IPv6 address as it stands in a packet.
#[inline(always)]
fn words(high: u64, low: u64) -> [u32; 4] {
    [(high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32].map(u32::to_be)
}
