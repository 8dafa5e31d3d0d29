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

/// The most bytes of a packet that are copied: the largest that BIG TCP makes (Linux 6.3). What is
/// longer than [`PART_BYTES`] is copied in parts.
pub const MAX_PACKET_BYTES: u32 = MAX_PARTS * PART_BYTES;

/// Parts of a packet, at most.
pub const MAX_PARTS: u32 = 4;

/// The most bytes of a packet in one record: twice the largest packet without BIG TCP. A power of two,
/// as the verifier believes a bound that is a mask.
pub const PART_BYTES: u32 = 128 * 1024;

/// Places on each CPU where records are put together at a cgroup's hooks, where a process that sends
/// is interrupted by packets that come in, and by another process on kernels that preempt. A power
/// of two.
pub const SCRATCH_PLACES: u32 = 4;

/// Size of such a place.
pub const SCRATCH_BYTES: usize = size_of::<u64>() + size_of::<PacketRecord>() + PART_BYTES as usize;
