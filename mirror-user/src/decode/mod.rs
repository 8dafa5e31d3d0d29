//! `Packet`s in, `Segment`s out, or the reason why not.

use std::net::SocketAddr;

use bytes::Bytes;
use enum_map::Enum;
use strum::IntoStaticStr;

use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::seq::SeqNumber;

/// One TCP segment (RFC 9293 §3.1) and where it was seen.
#[derive(Clone, Debug)]
pub struct Segment {
    /// When its packet was seen.
    pub at: Timestamp,
    /// Where its packet was seen.
    pub interface: InterfaceId,
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it was sent to.
    pub destination: SocketAddr,
    /// SEG.SEQ: the number of the first payload byte, or of SYN.
    pub seq: SeqNumber,
    /// SEG.ACK; means something only with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// SEG.WND as on the wire, before window scaling.
    pub window: u16,
    /// The control bits.
    pub flags: Flags,
    /// The payload that was captured.
    pub payload: Bytes,
    /// How many further payload bytes the packet had on the wire that the capture cut off.
    pub cut: u32,
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

/// Why a packet gave no segment: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Skip {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but not TCP.
    NotTcp,
    /// Part of a fragmented datagram.
    Fragment,
    /// Cut before the end of its headers.
    Truncated,
    /// Headers that contradict themselves.
    Malformed,
}
