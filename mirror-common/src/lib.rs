//! What crosses between the kernel program and user space, compiled for both sides.
//!
//! Kernel to user space: a [`PacketRecord`] and the packet's bytes for each copied packet, through
//! the ring; and [`Outcome`] counters. User space to kernel: which ports and
//! networks to watch, and [`Settings`]. Everything here is integers without padding, its layout asserted at compile time
//! on both sides, so that no byte can be misread.
#![no_std]
#![forbid(unsafe_code)]

pub mod counter;
pub mod flow;
pub mod names;
pub mod record;
pub mod settings;

pub use counter::Outcome;
pub use record::{Direction, Link, PacketRecord};
pub use settings::{Settings, Switch};

/// The socket mark (`SO_MARK`) of every connection that `mirror` opens to a target. The kernel
/// program passes over packets that bear it, so that a shadow is not captured again. "mirr".
pub const REPLAY_MARK: u32 = 0x6d69_7272;

/// The most bytes of a packet that are copied: twice the largest GRO packet before BIG TCP (Linux
/// 6.3). A power of two, as the verifier believes a bound that is a mask.
pub const MAX_PACKET_BYTES: u32 = 128 * 1024;

/// Places on each CPU where records are put together at a cgroup's hooks, where a process that sends
/// is interrupted by packets that come in, and by another process on kernels that preempt. A power
/// of two.
pub const SCRATCH_PLACES: u32 = 4;

/// Size of such a place.
pub const SCRATCH_BYTES: usize =
    size_of::<u64>() + size_of::<PacketRecord>() + MAX_PACKET_BYTES as usize;
