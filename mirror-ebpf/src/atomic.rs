//! What a look that may be interrupted does in one instruction. `core` offers no such thing for this
//! target, as its oldest processors had none; kernels from 5.12 on do.

use core::arch::asm;

/// Adds to what others may add to.
///
/// # Safety
/// `to` must be valid for reads and writes, in a way that the verifier can see.
#[inline(always)]
pub unsafe fn add(to: *mut u64, n: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("lock *(u64 *)({to} + 0) += {n}", to = in(reg) to, n = in(reg) n) };
}

/// Puts a value in the place of another, which it returns.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub unsafe fn swap(at: *mut u64, value: u64) -> u64 {
    let mut value = value;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("{value} = xchg_64({at} + 0, {value})", at = in(reg) at, value = inout(reg) value)
    };
    value
}
