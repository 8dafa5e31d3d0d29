//! TCP segments: the header's fields, a slice of the packet as payload, and the network that the
//! addresses belong to. `decode` makes them, `tcp` puts them in order; neither knows the other.

mod endpoint;
mod seq;
mod tag;

use bytes::Bytes;

use crate::packet::{InterfaceId, Packet, Timestamp};

pub use self::endpoint::Endpoint;
pub use self::seq::SeqNumber;
pub use self::tag::Tag;
pub use self::tag::{TagDigest, TagKind};

/// One TCP segment (RFC 9293 §3.1) and where it was seen.
#[derive(Clone, Debug)]
pub struct Segment {
    /// When its packet was seen.
    pub at: Timestamp,
    /// Where its packet was seen.
    pub interface: InterfaceId,
    /// Its sender.
    pub source: Endpoint,
    /// Its receiver.
    pub destination: Endpoint,
    /// SEG.SEQ: the number of the first payload byte, or of SYN.
    pub seq: SeqNumber,
    /// SEG.ACK; valid only with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// SEG.WND as on the wire, before window scaling.
    pub window: u16,
    /// The control bits.
    pub flags: Flags,
    /// The payload that was captured.
    pub payload: Bytes,
    /// The network that its addresses belong to.
    pub tag: Tag,
    /// How many further payload bytes the packet had on the wire that the capture cut off.
    pub cut: u32,
}

// Segments are moved from stage to stage; beyond 128 bytes each move is a call of `memcpy`.
const _: () = assert!(size_of::<Segment>() <= 128, "a segment is moved in registers");

impl Segment {
    /// Removes the payload after the first `snaplen` bytes of its packet. A reassembled payload has
    /// no position in a packet, and stays as it is.
    #[inline]
    pub fn cut_to(&mut self, snaplen: u32, packet: &Packet) {
        let end = self.payload.as_ptr().addr().wrapping_add(self.payload.len());
        let end = end.wrapping_sub(packet.data.as_ptr().addr());
        if end <= packet.data.len() {
            let beyond = end.saturating_sub(snaplen as usize).min(self.payload.len());
            self.payload.truncate(self.payload.len() - beyond);
            self.cut = self.cut.saturating_add(beyond as u32);
        }
    }
}

/// TCP's control bits, as in the header's fourteenth byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer field is significant.
    pub const URG: Self = Self(0x20);

    /// True when every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
