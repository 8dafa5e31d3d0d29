//! What became of single packets, for debugging (`--kernel-log`).
//!
//! The level is a constant of the program that is set before it is loaded. The verifier takes out
//! what can never run then: with the level at 0 nothing of this file is left but one comparison at
//! most. So everything that a line tells is read again from the packet here, and nothing is kept
//! for it on the way.

use aya_log_ebpf::log;
use aya_log_ebpf::macro_support::{Level, level_enabled};
use mirror_common::flow::End;
use mirror_common::{Link, Outcome};

use crate::headers::{self, Found};
use crate::packet::{Buffer, Origin};

/// Tells what became of a packet, as the level wants it. The last word is the outcome's number.
#[inline(always)]
pub fn note<B: Buffer>(packet: &B, link: Link, outcome: Outcome) {
    // By itself, so that the verifier decides it without knowing the outcome.
    if level_enabled(Level::Error) {
        tell(packet, link, outcome);
    }
}

/// A function of its own, so that it takes no registers where it is not called.
#[inline(never)]
fn tell<B: Buffer>(packet: &B, link: Link, outcome: Outcome) {
    let level = match outcome {
        // Lost.
        Outcome::RingFull
        | Outcome::TooLarge
        | Outcome::Unreadable
        | Outcome::Malformed
        | Outcome::NoScratch => Level::Warn,
        // Of no interest to anybody who watches a port.
        Outcome::NotTcp | Outcome::NotWatched | Outcome::NoPayload | Outcome::Paused => {
            Level::Trace
        }
        _ => Level::Debug,
    };
    let (interface, len) = (packet.origin().interface, packet.len());
    let (source, destination) = match headers::walk(&ByHelper { packet, len }, link) {
        Found::Tcp(tcp) => (tcp.ends.source.port, tcp.ends.destination.port),
        Found::Fragment | Found::NotTcp | Found::Malformed => (0, 0),
    };
    log!(
        packet,
        level,
        "interface {}, port {} to {}, {} bytes: {}",
        interface,
        source,
        destination,
        len,
        outcome as u32
    );
}

/// A packet that is read by helper calls alone. Here the time does not count, and in a function
/// that is not inlined LLVM computes addresses within the context, which the verifier refuses.
struct ByHelper<'a, B> {
    packet: &'a B,
    len: u32,
}

impl<B: Buffer> Buffer for ByHelper<'_, B> {
    const NESTS: bool = B::NESTS;

    #[inline(always)]
    fn len(&self) -> u32 {
        self.len
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        (0, 0)
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.packet.load(offset, to, len) }
    }

    #[inline(always)]
    fn origin(&self) -> Origin {
        self.packet.origin()
    }

    #[inline(always)]
    fn is_of_own_socket(&self) -> bool {
        self.packet.is_of_own_socket()
    }

    #[inline(always)]
    fn is_to_own(&self, source: &End, destination: &End) -> bool {
        self.packet.is_to_own(source, destination)
    }
}
