//! What crosses between the kernel program and user space, compiled for both sides.
//!
//! Kernel to user space: a [`PacketRecord`] and the packet's bytes for each copied packet, through
//! the ring; and [`Outcome`] counters. User space to kernel: which ports to watch, and
//! [`Settings`]. Everything here is integers without padding, its layout asserted at compile time
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
pub use settings::Settings;

/// The socket mark (`SO_MARK`) of every connection that `mirror` opens to a target. The kernel
/// program passes over packets that bear it, so that a shadow is not captured again. "mirr".
pub const REPLAY_MARK: u32 = 0x6d69_7272;

/// The most bytes of a packet that are copied: twice the largest GRO packet before BIG TCP (Linux
/// 6.3). A power of two, as the verifier believes a bound that is a mask.
pub const MAX_PACKET_BYTES: u32 = 128 * 1024;

/// 64-bit words of the map that says which ports are watched, one bit for each.
pub const PORT_WORDS: u32 = 1024;

/// Where in the port map a port's bit is: the word, and the bit within it.
#[must_use]
pub const fn port_bit(port: u16) -> (u32, u64) {
    ((port >> 6) as u32, 1 << (port & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_a_bit_of_its_own() {
        assert_eq!(port_bit(0), (0, 1));
        assert_eq!(port_bit(63), (0, 1 << 63));
        assert_eq!(port_bit(64), (1, 1));
        assert_eq!(port_bit(u16::MAX), (PORT_WORDS - 1, 1 << 63));
    }
}
