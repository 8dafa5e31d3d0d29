//! What the tcp stage reports of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use enum_map::Enum;
use strum::IntoStaticStr;

use crate::packet::{InterfaceId, Timestamp};

/// The identity of a connection. `slot` is small and reused after the connection's `Closed`, so
/// that a stage may keep its connections in a `Vec`; `serial` is never reused within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// Index into a table of open connections.
    pub slot: u32,
    /// The ordinal of the connection within this run, from 0.
    pub serial: u64,
}

/// The two ends of a connection and where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// The end that opened it, or is assumed to have opened it.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// The interface of its first segment.
    pub interface: InterfaceId,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum)]
pub enum Side {
    /// The end that opened it.
    Client,
    /// The end that accepted it.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Something that happened on a connection. Events of one connection come in the order in which
/// they took effect; each side's `Data` and `Gap` are contiguous.
#[derive(Clone, Debug)]
pub struct StreamEvent {
    /// The connection.
    pub conn: ConnId,
    /// The time of its segment: for held bytes, when they were captured; for everything else, when
    /// it became known.
    pub at: Timestamp,
    /// What happened.
    pub change: Change,
}

/// What happened on a connection.
#[derive(Clone, Debug)]
pub enum Change {
    /// It carries payload for the first time; the first event of every connection.
    Opened {
        /// Its two ends.
        peers: Arc<Peers>,
        /// True when its handshake was not seen, so that the first byte may lie inside a message.
        midstream: bool,
    },
    /// The next bytes that `Side` sent, in order, each byte once.
    Data(Side, Bytes),
    /// The next bytes that `Side` sent were not captured: how many (0: an unknown number).
    Gap(Side, u64),
    /// So many of the next bytes that `Side` sent were left out on purpose
    /// ([`TcpLimits::brief_responses`](super::TcpLimits::brief_responses)). Whoever can read on without them has lost nothing.
    Omitted(Side, u64),
    /// `Side` will send nothing more (FIN, in order).
    Finished(Side),
    /// It ended; its slot may be reused from now on.
    Closed(CloseReason),
}

/// Why a connection ended: "it was closed by …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CloseReason {
    /// Both sides sent FIN.
    Fin,
    /// A valid RST.
    Reset,
    /// Nothing was seen for the idle time-out.
    Idle,
    /// The table was full and this connection had been idle the longest.
    Evicted,
    /// A new handshake on the same addresses and ports.
    Reused,
    /// It was joined in its middle, and the other end turned out to be the client. It continues as
    /// another connection with the sides exchanged.
    SidesChanged,
    /// The source ended.
    EndOfInput,
}
