//! The findings of a watch: what was seen, and what to do.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::Tunnel;
use crate::stats::grouped;

/// Why nothing is seen on the port, or what is. Counts are of the time of the watch.
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
    /// A filter kept segments of the port back.
    Filtered { by: &'static str, segments: u64 },
    /// Segments of the port were of mirror's own connections.
    Own { segments: u64 },
    /// Requests pass, and the capture read none of them.
    Unread { requests: u64 },
    /// The port is the client's; the servers listen on others.
    ClientPort { connections: u64, segments: u64 },
    /// The port's servers are not in this network namespace: it is their client, or on the way.
    ServerElsewhere { segments: u64 },
    /// Only what goes to the port was seen, or only what comes from it.
    OneWay { missing: Missing, segments: u64 },
    /// Connections are begun, and nobody says anything on them.
    NoAnswer { opened: u64, refused: u64 },
    /// Connections are there and carry nothing: they only acknowledge, or end.
    NoPayload { segments: u64, bare_acks: u64 },
    /// Connections that were begun before the watch, without the start of a request since.
    MidStream { segments: u64 },
    /// The port speaks a protocol that is none of these.
    NotHttp { segments: u64 },
    /// UDP on the port.
    Udp { packets: u64, quic: u64 },
    /// The port is within a tunnel, or may be within an encrypted one.
    Tunnel { kind: Tunnel, packets: u64, on_port: u64 },
    /// The port's traffic passes another interface.
    OtherInterface { interface: String, segments: u64, requests: u64 },
    /// HTTP/1 requests go to another port of the interface.
    OtherPort { port: u16, requests: u64 },
    /// Packets that were wanted did not fit into the ring.
    Lost { packets: u64 },
    /// More packets passed than could be looked at.
    Overlooked { packets: u64 },
}

/// Which half of the connections was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Missing {
    Requests,
    Answers,
}

/// A reason, and what it means beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) reason: Reason,
    pub(super) level: Level,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// Requests are captured.
    Good,
    /// Requests are captured, and there is more to know; or no cause by itself.
    Note,
    /// The way to where the requests may be.
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
    /// What to do, where something is to be done.
    #[must_use]
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Well { .. } => return None,
            Self::InterfaceDown => "bring it up (`ip link set … up`), or name another one",
            Self::NoPackets => {
                "wait longer (--for 1m), ask the service something, or name another interface: `ip route get CLIENT` says which one is used; \
                 a pod's packets pass its own network namespace"
            }
            Self::NotOnPort { .. } => {
                "look at what the service listens on (`ss -tlnp`); behind a proxy or a service mesh that is another port than the clients'"
            }
            Self::Tls { .. } => {
                "mirror does not decrypt: watch where plaintext is, behind whatever ends TLS (a proxy's upstream port, a sidecar's lo)"
            }
            Self::Http2 { .. } => {
                "mirror reads HTTP/1.x: watch behind a proxy that translates, or let clients speak HTTP/1.1"
            }
            Self::H2c { .. } => {
                "a connection is lost to mirror once it is upgraded: switch h2c off, or watch behind a proxy that translates"
            }
            Self::Filtered { .. } => "leave that filter out, or widen it",
            Self::Own { .. } => "shadows are not captured again: ask the service something else",
            Self::Unread { .. } => {
                "`mirror inspect --summary` with the same flags counts what became of them"
            }
            Self::ClientPort { .. } => {
                "give the port that the servers listen on: --port is never the client's"
            }
            Self::ServerElsewhere { .. } => {
                "--side server would see nothing here; to see the servers' own traffic, watch on their hosts"
            }
            Self::OneWay { missing: Missing::Requests, .. } => {
                "the requests take another way in: name that interface too, or --from any"
            }
            Self::OneWay { missing: Missing::Answers, .. } => {
                "the answers take another way out: name that interface too, or --from any; replay needs no answers (--requests-only)"
            }
            Self::NoAnswer { .. } => {
                "is the service running (`ss -tlnp`), and does a firewall let its clients in?"
            }
            Self::NoPayload { .. } => "the connections are idle: wait longer (--for 1m)",
            Self::MidStream { .. } => {
                "wait longer (--for 1m) for a next request; HTTP/2 and TLS are known by their first bytes alone: open a new connection"
            }
            Self::NotHttp { .. } => "mirror reads HTTP/1.x alone; is this the right port?",
            Self::Udp { quic: 1.., .. } => {
                "HTTP/3 is encrypted: watch behind whatever ends it, or switch it off for the clients"
            }
            Self::Udp { .. } => "mirror reads HTTP/1.x over TCP alone; is this the right port?",
            Self::Tunnel { on_port: 0, .. } => {
                "nobody can look into it here: watch the device that its packets come out of (`ip -br link`), or inside the pod"
            }
            Self::Tunnel { .. } => {
                "live capture does not look into tunnels: watch the device that its packets come out of (`ip -br link`), or inside the pod"
            }
            Self::OtherInterface { .. } => "name that interface, or --from any",
            Self::OtherPort { .. } => "is it that port?",
            Self::Lost { .. } => "give the ring more room (--ring-size)",
            Self::Overlooked { .. } => {
                "the counts of other ports, interfaces and tunnels are too low; watch at a quieter time"
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
                count(*responses, "answer"),
                count(*connections, "connection")
            ),
            Self::InterfaceDown => write!(f, "the interface is down"),
            Self::NoPackets => write!(f, "no packet passed the interface"),
            Self::NotOnPort { packets } => write!(
                f,
                "{} passed the interface, and none of TCP from or to the port",
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
                write!(f, "{by} kept {segments} back")
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
                "the port is a client's: {} from it to other ports, {}",
                count(*connections, "connection"),
                count(*segments, "segment")
            ),
            Self::ServerElsewhere { segments } => write!(
                f,
                "the port's servers are not in this network namespace, which is their client or on the way: {}",
                count(*segments, "segment")
            ),
            Self::OneWay { missing: Missing::Requests, segments } => {
                let segments = count(*segments, "segment");
                write!(
                    f,
                    "only answers pass the interface: {segments} with payload, all from the port"
                )
            }
            Self::OneWay { missing: Missing::Answers, segments } => {
                let segments = count(*segments, "segment");
                write!(
                    f,
                    "only requests pass the interface: {segments} with payload, all to the port"
                )
            }
            Self::NoAnswer { opened, refused } => write!(
                f,
                "clients send SYNs and no payload follows: {}, {} refused",
                grouped(*opened),
                grouped(*refused)
            ),
            Self::NoPayload { segments, bare_acks } => {
                let (segments, acks) = (count(*segments, "segment"), grouped(*bare_acks));
                write!(f, "connections carry nothing: {segments}, {acks} of them only acknowledge")
            }
            Self::MidStream { segments } => write!(
                f,
                "only connections that were begun before: {} with payload, none the start of a request",
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
                    _ => write!(f, ", {} of them of the port", grouped(*on_port)),
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
                write!(f, "{} passed too fast to be looked at", count(*packets, "packet"))
            }
        }
    }
}

/// `1 request`, `1,234 requests`.
fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}
