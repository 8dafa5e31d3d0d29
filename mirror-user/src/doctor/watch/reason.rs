//! The findings of a watch, with advice.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::Tunnel;
use crate::stats::grouped;

/// Why no request is seen on the port, or what is seen. Counts are of the time of the watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(super) enum Reason {
    /// HTTP/1 requests were captured.
    Well { connections: u64, requests: u64, responses: u64 },
    /// The interface is down.
    InterfaceDown,
    /// Nothing at all passed the interface.
    NoPackets,
    /// Packets passed the interface, none of them TCP from or to the port.
    NotOnPort { packets: u64 },
    /// The port speaks TLS.
    Tls { client_hellos: u64, records: u64 },
    /// The port speaks HTTP/2 with prior knowledge.
    Http2 { connections: u64 },
    /// Clients ask to upgrade to HTTP/2.
    H2c { requests: u64 },
    /// A filter excluded segments of the port.
    Filtered { by: &'static str, segments: u64 },
    /// Segments of the port were of mirror's own connections.
    Own { segments: u64 },
    /// Requests passed, and the capture could read none of them.
    Unread { requests: u64 },
    /// It is the clients' port; the servers listen on others.
    ClientPort { connections: u64, segments: u64 },
    /// The port's servers are not in this network namespace, which is a client or forwards.
    ServerElsewhere { segments: u64 },
    /// Only one direction was seen.
    OneWay { missing: Missing, segments: u64 },
    /// Connections are opened, and no payload follows.
    #[serde(rename = "no_answer")]
    NoResponse { opened: u64, refused: u64 },
    /// Connections without payload: only acknowledgments, or their ends.
    NoPayload { segments: u64, bare_acks: u64 },
    /// Connections that were opened before the watch, without the start of a request since.
    MidStream { segments: u64 },
    /// The port speaks another protocol.
    NotHttp { segments: u64 },
    /// UDP on the port.
    Udp { packets: u64, quic: u64 },
    /// The port's traffic is inside a tunnel, or may be inside an encrypted one.
    Tunnel { kind: Tunnel, packets: u64, on_port: u64 },
    /// The port's traffic passes another interface.
    OtherInterface { interface: String, segments: u64, requests: u64 },
    /// HTTP/1 requests go to another port of the interface.
    OtherPort { port: u16, requests: u64 },
    /// Packets of the port were lost because the ring was full.
    Lost { packets: u64 },
    /// The survey missed packets.
    Overlooked { packets: u64 },
}

/// The direction that was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    Requests,
    #[serde(rename = "answers")]
    Responses,
}

/// A reason, and its weight among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) reason: Reason,
    pub(super) level: Level,
}

/// The weight of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// Requests are captured.
    Good,
    /// More to know while requests are captured, or something that is no cause by itself.
    Note,
    /// Where the requests may be instead.
    Hint,
    /// A cause.
    Cause,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            level: Level,
            #[serde(flatten)]
            reason: &'a Reason,
            found: String,
            advice: Option<&'static str>,
        }
        let Self { reason, level } = self;
        let line =
            Line { level: *level, reason, found: reason.to_string(), advice: reason.advice() };
        line.serialize(serializer)
    }
}

impl Reason {
    /// What to do, if anything.
    #[must_use]
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Well { .. } => return None,
            Self::InterfaceDown => "bring it up (`ip link set … up`), or name another one",
            Self::NoPackets => {
                "wait longer (--for 1m), send the service a request, or name another interface: `ip route get CLIENT` shows which one is used; \
                 a pod's packets pass in its own network namespace"
            }
            Self::NotOnPort { .. } => {
                "check which port the service listens on (`ss -tlnp`); behind a proxy or a service mesh it differs from the port that clients use"
            }
            Self::Tls { .. } => {
                "mirror does not decrypt: capture where the traffic is plaintext, behind the TLS termination (a proxy's upstream port, a sidecar's lo)"
            }
            Self::Http2 { .. } => {
                "mirror reads HTTP/1.x: capture behind a proxy that translates to it, or let clients use HTTP/1.1"
            }
            Self::H2c { .. } => {
                "mirror cannot read a connection after the upgrade: disable h2c, or capture behind a proxy that translates to HTTP/1.1"
            }
            Self::Filtered { .. } => "remove or widen that filter",
            Self::Own { .. } => {
                "mirror does not capture its own shadows: send the service another request"
            }
            Self::Unread { .. } => {
                "`mirror inspect --summary` with the same flags counts what happened to them"
            }
            Self::ClientPort { .. } => {
                "give the port that the servers listen on; --port is never the clients'"
            }
            Self::ServerElsewhere { .. } => {
                "--side server would capture nothing here; to see the servers' own traffic, capture on their hosts"
            }
            Self::OneWay { missing: Missing::Requests, .. } => {
                "requests arrive on another interface: name it too, or use --from any"
            }
            Self::OneWay { missing: Missing::Responses, .. } => {
                "responses leave on another interface: name it too, or use --from any; replay needs no responses (--requests-only)"
            }
            Self::NoResponse { .. } => {
                "check that the service is running (`ss -tlnp`) and that no firewall blocks its clients"
            }
            Self::NoPayload { .. } => "the connections are idle: wait longer (--for 1m)",
            Self::MidStream { .. } => {
                "wait longer (--for 1m) for the next request; HTTP/2 and TLS are recognized only at the start of a connection: open a new one"
            }
            Self::NotHttp { .. } => "mirror reads only HTTP/1.x; check that this is the right port",
            Self::Udp { quic: 1.., .. } => {
                "HTTP/3 is encrypted: capture behind its termination, or disable it for the clients"
            }
            Self::Udp { .. } => {
                "mirror reads only HTTP/1.x over TCP; check that this is the right port"
            }
            Self::Tunnel { on_port: 0, .. } => {
                "its content cannot be read here: capture on the device where its packets leave the tunnel (`ip -br link`), or inside the pod"
            }
            Self::Tunnel { .. } => {
                "live capture does not read tunnels: capture on the device where the packets leave it (`ip -br link`), or inside the pod"
            }
            Self::OtherInterface { .. } => "name that interface, or use --from any",
            Self::OtherPort { .. } => "check whether it is that port",
            Self::Lost { .. } => "use a larger ring (--ring-size)",
            Self::Overlooked { .. } => {
                "the counts of other ports, interfaces and tunnels are too low; try again at a quieter time"
            }
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well { connections, requests, responses } => write!(
                f,
                "{} and {} were captured on {}",
                count(*requests, "HTTP/1 request"),
                count(*responses, "response"),
                count(*connections, "connection")
            ),
            Self::InterfaceDown => write!(f, "the interface is down"),
            Self::NoPackets => write!(f, "no packet passed the interface"),
            Self::NotOnPort { packets } => write!(
                f,
                "{} passed the interface, none of them TCP from or to the port",
                count(*packets, "packet")
            ),
            Self::Tls { client_hellos: 0, records } => {
                write!(f, "the port speaks TLS: {}", count(*records, "record"))
            }
            Self::Tls { client_hellos, .. } => {
                write!(f, "the port speaks TLS: {}", count(*client_hellos, "ClientHello"))
            }
            Self::Http2 { connections } => {
                let connections = count(*connections, "connection");
                write!(f, "the port speaks HTTP/2: {connections} began with its preface")
            }
            Self::H2c { requests } => {
                let requests = count(*requests, "request");
                write!(f, "{requests} asked for an upgrade to HTTP/2 (h2c)")
            }
            Self::Filtered { by, segments } => {
                let segments = count(*segments, "segment");
                write!(f, "{by} excluded {segments}")
            }
            Self::Own { segments } => {
                write!(f, "{} of mirror's own shadows passed", count(*segments, "segment"))
            }
            Self::Unread { requests } => {
                let requests = count(*requests, "HTTP/1 request");
                write!(f, "{requests} passed, and none could be read")
            }
            Self::ClientPort { connections, segments } => write!(
                f,
                "it is the clients' port: {} from it to other ports, {}",
                count(*connections, "connection"),
                count(*segments, "segment")
            ),
            Self::ServerElsewhere { segments } => write!(
                f,
                "the port's servers are not in this network namespace, which is a client or forwards: {}",
                count(*segments, "segment")
            ),
            Self::OneWay { missing: Missing::Requests, segments } => {
                let segments = count(*segments, "segment");
                write!(
                    f,
                    "only responses pass the interface: {segments} with payload, all from the port"
                )
            }
            Self::OneWay { missing: Missing::Responses, segments } => {
                let segments = count(*segments, "segment");
                write!(
                    f,
                    "only requests pass the interface: {segments} with payload, all to the port"
                )
            }
            Self::NoResponse { opened, refused } => write!(
                f,
                "clients send SYNs and no payload follows: {}, {} refused",
                grouped(*opened),
                grouped(*refused)
            ),
            Self::NoPayload { segments, bare_acks } => {
                let (segments, acks) = (count(*segments, "segment"), grouped(*bare_acks));
                write!(
                    f,
                    "connections carry no payload: {segments}, {acks} of them bare acknowledgments"
                )
            }
            Self::MidStream { segments } => write!(
                f,
                "only connections that were opened before: {} with payload, none of them the start of a request",
                count(*segments, "segment")
            ),
            Self::NotHttp { segments } => {
                let segments = count(*segments, "segment");
                write!(f, "the port speaks neither HTTP nor TLS: {segments} with payload")
            }
            Self::Udp { packets, quic } => {
                write!(f, "UDP on the port: {}", count(*packets, "packet"))?;
                match quic {
                    0 => Ok(()),
                    _ => write!(f, ", {} of them the start of QUIC (HTTP/3)", grouped(*quic)),
                }
            }
            Self::Tunnel { kind, packets, on_port } => {
                let name: &str = kind.into();
                write!(f, "{} in {name}", count(*packets, "packet"))?;
                match on_port {
                    0 => write!(f, ", which is encrypted"),
                    _ => write!(f, ", {} of them with the port inside", grouped(*on_port)),
                }
            }
            Self::OtherInterface { interface, segments, requests } => {
                let segments = count(*segments, "segment");
                write!(f, "the port's traffic passes {interface}: {segments}")?;
                match requests {
                    0 => Ok(()),
                    _ => write!(f, ", {}", count(*requests, "HTTP/1 request")),
                }
            }
            Self::OtherPort { port, requests } => {
                write!(f, "{} went to port {port}", count(*requests, "HTTP/1 request"))
            }
            Self::Lost { packets } => {
                write!(f, "{} of the port did not fit into the ring", count(*packets, "packet"))
            }
            Self::Overlooked { packets } => {
                write!(f, "{} were not surveyed, as the ring was full", count(*packets, "packet"))
            }
        }
    }
}

/// `1 request`, `1,234 requests`.
fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}
