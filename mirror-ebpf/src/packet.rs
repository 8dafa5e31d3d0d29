//! The two kinds of buffers that a program is given, behind one trait.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::generated::{bpf_skb_cgroup_id, bpf_skb_load_bytes, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use mirror_common::flow::End;

use crate::own;

/// A packet as the kernel shows it.
pub trait Buffer {
    /// True where one look can be interrupted by another on the same CPU.
    const NESTS: bool;

    /// Its length on the link.
    fn len(&self) -> u32;

    /// The bounds of the part that lies in one piece.
    fn linear(&self) -> (usize, usize);

    /// Copies `len` bytes from `offset` on; false when they are not there.
    ///
    /// # Safety
    /// `to` must be valid for writes of `len` bytes, in a way that the verifier can see.
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool;

    /// Interface index, and the VLAN tag that was taken out of the bytes.
    fn origin(&self) -> Origin;

    /// True where the socket that sends it, or at a cgroup's hooks the one that gets it, is mirror's own.
    fn is_of_own_socket(&self) -> bool;

    /// True where the connection that gets segments from `source` to `destination` is mirror's own.
    fn is_to_own(&self, source: &End, destination: &End) -> bool;

    /// The `N` bytes at `offset`: where they are, if in the linear part, which costs no helper call;
    /// otherwise as a copy in `spare`.
    #[inline(always)]
    fn view<'a, const N: usize>(
        &'a self,
        offset: u32,
        spare: &'a mut Spare,
    ) -> Option<View<'a, N>> {
        const { assert!(N <= MAX_VIEW) };
        let (start, end) = self.linear();
        if offset <= MAX_OFFSET {
            let at = start + offset as usize;
            if at + N <= end {
                return Some(View { at: at as *const u8, _bytes: PhantomData });
            }
        }
        let to: *mut u8 = spare.as_mut_ptr().cast();
        // SAFETY: `spare` has room for `MAX_VIEW` bytes.
        let loaded = unsafe { self.load(offset, to, N as u32) };
        loaded.then_some(View { at: to, _bytes: PhantomData })
    }
}

/// The verifier wants to see that a variable offset is small. Headers that lie further back, behind
/// IPv6 extension headers of up to 2 KiB each, cost a helper call.
const MAX_OFFSET: u32 = 0x7ff;

/// The largest view: an IPv6 header.
const MAX_VIEW: usize = 40;

/// Where bytes are copied to that do not lie in the linear part.
pub type Spare = MaybeUninit<[u8; MAX_VIEW]>;

/// `N` bytes that can be read. Numbers are read with one load each: byte by byte, as Rust would
/// read what may be unaligned, takes the program twice as long.
pub struct View<'a, const N: usize> {
    at: *const u8,
    _bytes: PhantomData<&'a [u8; N]>,
}

impl<const N: usize> View<'_, N> {
    #[inline(always)]
    pub fn u8<const AT: usize>(&self) -> u8 {
        self.load::<u8, AT>()
    }

    #[inline(always)]
    pub fn be16<const AT: usize>(&self) -> u16 {
        u16::from_be(self.load::<u16, AT>())
    }

    #[inline(always)]
    pub fn be32<const AT: usize>(&self) -> u32 {
        u32::from_be(self.load::<u32, AT>())
    }

    #[inline(always)]
    pub fn be64<const AT: usize>(&self) -> u64 {
        u64::from_be(self.load::<u64, AT>())
    }

    #[inline(always)]
    fn load<T: Number, const AT: usize>(&self) -> T {
        const { assert!(AT + size_of::<T>() <= N) };
        // SAFETY: the bytes lie in the view, and every pattern of bits is a number. BPF knows no
        // alignment of its own: the verifier lets a load through where the machine can do it.
        unsafe { ptr::read(self.at.add(AT).cast()) }
    }
}

/// Types of which every bit pattern is a value.
///
/// # Safety
/// Only for integers.
unsafe trait Number: Copy {}

// SAFETY: integers.
unsafe impl Number for u8 {}
// SAFETY: as above.
unsafe impl Number for u16 {}
// SAFETY: as above.
unsafe impl Number for u32 {}
// SAFETY: as above.
unsafe impl Number for u64 {}

/// What a packet says beside its bytes.
pub struct Origin {
    pub interface: u32,
    /// What the record names as its interface: at a cgroup's hooks, where indexes of any namespace come together,
    /// the cgroup of the socket.
    pub place: u32,
    pub vlan_tci: u16,
    pub vlan_protocol: u16,
}

/// A packet at the TC hooks, which run with soft interrupts off; or at those of a cgroup (`NESTS`),
/// which run for a process that sends, where a soft interrupt may come between and run them, too.
pub struct Skb<const NESTS: bool>(pub *mut __sk_buff);

impl<const NESTS: bool> Skb<NESTS> {
    #[inline(always)]
    fn fields(&self) -> &__sk_buff {
        // SAFETY: the kernel passes a valid context, whose fields the verifier lets be read.
        unsafe { &*self.0 }
    }
}

impl<const NESTS: bool> Buffer for Skb<NESTS> {
    const NESTS: bool = NESTS;

    #[inline(always)]
    fn len(&self) -> u32 {
        self.fields().len
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (self.fields().data as usize, self.fields().data_end as usize)
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's promise; the helper fails where the packet has no such bytes.
        unsafe { bpf_skb_load_bytes(self.0.cast(), offset, to.cast(), len) == 0 }
    }

    #[inline(always)]
    fn origin(&self) -> Origin {
        let skb = self.fields();
        // At a cgroup's hooks there is no link header that a tag could be put back into.
        let tagged = !NESTS && skb.vlan_present != 0;
        // SAFETY: programs of a cgroup may ask for the id of the socket's one.
        let place = if NESTS { (unsafe { bpf_skb_cgroup_id(self.0) }) as u32 } else { skb.ifindex };
        Origin {
            interface: skb.ifindex,
            place,
            vlan_tci: if tagged { skb.vlan_tci as u16 } else { 0 },
            vlan_protocol: if tagged { u16::from_be(skb.vlan_proto as u16) } else { 0 },
        }
    }

    #[inline(always)]
    fn is_of_own_socket(&self) -> bool {
        // SAFETY: a field of the context.
        unsafe { own::is_noted(self.fields().__bindgen_anon_2.sk) }
    }

    #[inline(always)]
    fn is_to_own(&self, source: &End, destination: &End) -> bool {
        // SAFETY: a program of this kind has this context.
        unsafe { own::is_connection_noted(self.0.cast(), source, destination) }
    }
}

/// A packet at the XDP hook.
pub struct XdpBuffer(pub XdpContext);

impl Buffer for XdpBuffer {
    const NESTS: bool = false;

    #[inline(always)]
    fn len(&self) -> u32 {
        (self.0.data_end() - self.0.data()) as u32
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: as for `Skb`.
        unsafe { bpf_xdp_load_bytes(self.0.ctx, offset, to.cast(), len) == 0 }
    }

    #[inline(always)]
    fn origin(&self) -> Origin {
        let interface = self.0.ingress_ifindex() as u32;
        Origin { interface, place: interface, vlan_tci: 0, vlan_protocol: 0 }
    }

    // It comes before sockets, and the kernel offers their notes to no program there.

    #[inline(always)]
    fn is_of_own_socket(&self) -> bool {
        false
    }

    #[inline(always)]
    fn is_to_own(&self, _: &End, _: &End) -> bool {
        false
    }
}
