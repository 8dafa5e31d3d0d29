//! What was counted during a watch: the input of `diagnose`.

use std::collections::BTreeMap;

use enum_map::EnumMap;

use crate::decode::Tunnel;

/// All counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// The interface is administratively up.
    pub(super) up: bool,
    /// The counts of the capture: those that `inspect` would show.
    pub(super) capture: Capture,
    /// All traffic of the interface.
    pub(super) here: Place,
    /// All traffic of the other interfaces that are up, by name.
    pub(super) elsewhere: BTreeMap<String, Place>,
    /// Packets that the survey missed because its ring was full.
    pub(super) overlooked: u64,
}

/// The counts of the capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    /// Connections with payload.
    pub(super) connections: u64,
    /// Requests that were begun.
    pub(super) requests: u64,
    /// Responses that were begun.
    pub(super) responses: u64,
    /// Segments that a filter excluded in the kernel, by the flag that sets it.
    pub(super) filtered: Vec<(&'static str, u64)>,
    /// Segments of mirror's own connections.
    pub(super) own: u64,
    /// Packets that were lost because the ring was full.
    pub(super) lost: u64,
}

/// The traffic of one interface.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Packets of any kind.
    pub(super) packets: u64,
    /// TCP from and to the watched ports.
    pub(super) port: PortTraffic,
    /// HTTP/1 requests by destination port, watched or not.
    pub(super) requests: BTreeMap<u16, u64>,
    /// UDP packets from and to the watched ports.
    pub(super) udp: u64,
    /// Of these, packets that open a QUIC connection.
    pub(super) quic: u64,
    /// Packets in tunnels.
    pub(super) tunnels: EnumMap<Tunnel, Inside>,
}

/// TCP segments from and to the watched ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PortTraffic {
    /// All of them.
    pub(super) segments: u64,
    /// SYNs to the port: connections opened.
    pub(super) opened: u64,
    /// SYNs from the port: connections in which it is the client's port.
    pub(super) dialled: u64,
    /// RSTs from the port.
    pub(super) refused: u64,
    /// Segments with payload to the port.
    pub(super) to_port: u64,
    /// Segments with payload from the port.
    pub(super) from_port: u64,
    /// Bare acknowledgments.
    pub(super) bare_acks: u64,
    /// Segments that begin with a TLS `ClientHello`.
    pub(super) client_hellos: u64,
    /// Segments that begin with another TLS record.
    pub(super) tls_records: u64,
    /// Segments that begin with the preface of HTTP/2 (RFC 9113 §3.4).
    pub(super) http2: u64,
    /// Requests to upgrade to `h2c`.
    pub(super) h2c: u64,
    /// Segments of servers whose addresses are not in this network namespace.
    pub(super) to_elsewhere: u64,
    /// Segments of servers whose addresses are in it.
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
