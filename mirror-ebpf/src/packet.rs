//! The two kinds of buffers that a program is given, behind one trait.

use core::mem::MaybeUninit;
use core::ptr;

use aya_ebpf::helpers::generated::{bpf_skb_load_bytes, bpf_xdp_load_bytes};
use aya_ebpf::programs::{TcContext, XdpContext};

/// A packet as the kernel shows it.
pub trait Buffer {
    /// Its length on the link.
    fn len(&self) -> u32;

    /// The bounds of the part that lies in one piece.
    fn linear(&self) -> (usize, usize);

    /// Copies `len` bytes from `offset` on; false when they are not there.
    ///
    /// # Safety
    /// `to` must be valid for writes of `len` bytes, in a way that the verifier can see.
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool;

    /// Interface index, socket mark, and the VLAN tag that was taken out of the bytes.
    fn origin(&self) -> Origin;

    /// The `T` at `offset`, from the linear part if it lies there, which costs no helper call.
    #[inline(always)]
    fn read<T: Plain>(&self, offset: u32) -> Option<T> {
        let (start, end) = self.linear();
        if offset <= MAX_OFFSET {
            let at = start + offset as usize;
            if at + size_of::<T>() <= end {
                // SAFETY: the bytes lie before `end`, which the verifier checks once more; `Plain`
                // types have no invalid values.
                return Some(unsafe { ptr::read_unaligned(at as *const T) });
            }
        }
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: `value` is as large as is said, and is only taken for initialised when the
        // helper has written all of it.
        unsafe {
            self.load(offset, value.as_mut_ptr().cast(), size_of::<T>() as u32)
                .then(|| value.assume_init())
        }
    }
}

/// The verifier wants to see that a variable offset is small. Headers that lie further back, behind
/// IPv6 extension headers of up to 2 KiB each, cost a helper call.
const MAX_OFFSET: u32 = 0x7ff;

/// Types of which every bit pattern is a value.
///
/// # Safety
/// Only for integers and arrays of them.
pub unsafe trait Plain: Copy {}

// SAFETY: all of these are arrays of integers.
unsafe impl<const N: usize> Plain for [u8; N] {}

/// What a packet says beside its bytes.
pub struct Origin {
    pub interface: u32,
    pub mark: u32,
    pub vlan_tci: u16,
    pub vlan_protocol: u16,
}

/// A packet at the TC hooks.
pub struct Skb(pub TcContext);

impl Buffer for Skb {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.0.len()
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (self.0.data(), self.0.data_end())
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's promise; the helper fails where the packet has no such bytes.
        unsafe { bpf_skb_load_bytes(self.0.skb.skb.cast(), offset, to.cast(), len) == 0 }
    }

    #[inline(always)]
    fn origin(&self) -> Origin {
        // SAFETY: the kernel passes a valid context, whose fields the verifier lets be read.
        let skb = unsafe { &*self.0.skb.skb };
        let tagged = skb.vlan_present != 0;
        Origin {
            interface: skb.ifindex,
            mark: skb.mark,
            vlan_tci: if tagged { skb.vlan_tci as u16 } else { 0 },
            vlan_protocol: if tagged { u16::from_be(skb.vlan_proto as u16) } else { 0 },
        }
    }
}

/// A packet at the XDP hook.
pub struct XdpBuffer(pub XdpContext);

impl Buffer for XdpBuffer {
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
        Origin { interface, mark: 0, vlan_tci: 0, vlan_protocol: 0 }
    }
}
