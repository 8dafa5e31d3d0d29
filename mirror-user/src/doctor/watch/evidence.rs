//! What was counted while watching: all that the judge knows.

use std::collections::BTreeMap;

use enum_map::EnumMap;

use crate::decode::Tunnel;

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// The interface is administratively up.
    pub(super) up: bool,
    /// What the capture came to: the same that `inspect` would have said.
    pub(super) capture: Capture,
    /// What passed the interface, wanted or not.
    pub(super) here: Place,
    /// What passed the other interfaces that are up, by name.
    pub(super) elsewhere: BTreeMap<String, Place>,
    /// Packets that passed and were not looked at, because more came than could be.
    pub(super) overlooked: u64,
}

/// What the capture came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    /// Connections with payload.
    pub(super) connections: u64,
    /// Requests that began.
    pub(super) requests: u64,
    /// Answers that began.
    pub(super) responses: u64,
    /// Segments that the filters kept back in the kernel, by the filter's name in summaries.
    pub(super) filtered: Vec<(&'static str, u64)>,
    /// Segments of mirror's own connections.
    pub(super) own: u64,
    /// Packets that were wanted and did not fit into the ring.
    pub(super) lost: u64,
}

/// What passed one interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Packets of any kind.
    pub(super) packets: u64,
    /// TCP from and to the watched ports.
    pub(super) port: PortTraffic,
    /// HTTP/1 requests by the port that they went to, watched or not.
    pub(super) requests: BTreeMap<u16, u64>,
    /// UDP packets from and to the watched ports.
    pub(super) udp: u64,
    /// Those of them that begin a QUIC connection.
    pub(super) quic: u64,
    /// Packets in tunnels.
    pub(super) tunnels: EnumMap<Tunnel, Inside>,
}

/// TCP segments from and to the watched ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PortTraffic {
    /// All of them.
    pub(super) segments: u64,
    /// SYNs to the port: connections that were begun.
    pub(super) opened: u64,
    /// SYNs from the port to another: connections of which the port is the client's.
    pub(super) dialled: u64,
    /// RSTs from the port.
    pub(super) refused: u64,
    /// Segments with payload to the port.
    pub(super) to_port: u64,
    /// Segments with payload from the port.
    pub(super) from_port: u64,
    /// Segments that only acknowledge.
    pub(super) bare_acks: u64,
    /// Segments that begin with a TLS `ClientHello`.
    pub(super) client_hellos: u64,
    /// Segments that begin with another TLS record.
    pub(super) tls_records: u64,
    /// Segments that begin with the preface of HTTP/2 (RFC 9113 §3.4).
    pub(super) http2: u64,
    /// Requests to upgrade to `h2c`.
    pub(super) h2c: u64,
    /// Segments of servers whose addresses are not this network namespace's.
    pub(super) to_elsewhere: u64,
    /// Segments of servers whose addresses are.
    pub(super) to_here: u64,
}

/// Packets in one kind of tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inside {
    /// All of them.
    pub(super) packets: u64,
    /// Those with a TCP segment from or to a watched port inside.
    pub(super) on_port: u64,
}

impl PortTraffic {
    /// Segments with payload.
    #[must_use]
    pub(super) const fn with_payload(&self) -> u64 {
        self.to_port.saturating_add(self.from_port)
    }
}
