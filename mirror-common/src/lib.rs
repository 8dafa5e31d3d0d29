//! What crosses between the kernel program and user space, compiled for both sides.
#![no_std]
#![forbid(unsafe_code)]

/// The socket mark (`SO_MARK`) of every connection that `mirror` opens to a target. The kernel
/// program passes over packets that bear it, so that a shadow is not captured again. "mirr".
pub const REPLAY_MARK: u32 = 0x6d69_7272;
