//! Derives findings from counts, the likeliest cause first. Pure: the same evidence gives the same
//! findings.

use super::evidence::{Capture, Evidence, Place, PortTraffic};
use super::reason::{Finding, Level, Missing, Reason};
use crate::decode::Tunnel;
use crate::filter::Ports;

/// How many other ports and other interfaces are named at most: those with the most traffic.
const MOST_NAMED: usize = 3;

/// The findings about `ports`.
#[must_use]
pub(super) fn diagnose(evidence: &Evidence, ports: &Ports) -> Vec<Finding> {
    let mut reasons = Vec::new();
    let capture = &evidence.capture;
    let well = capture.requests > 0 && !of_clients(&evidence.here, ports);
    if well {
        let (connections, requests) = (capture.connections, capture.requests);
        reasons.push(Reason::Well { connections, requests, responses: capture.responses });
    } else {
        reasons.extend(nothing_here(evidence));
    }
    let within = within(&evidence.here);
    if within.iter().any(is_seen) {
        // More precise than that no TCP of the port passes.
        reasons.retain(|reason| !matches!(reason, Reason::NotOnPort { .. }));
    }
    let excluded: Vec<Reason> = excluded(capture).collect();
    // If requests pass without being captured, the port's protocol is not the cause.
    let passing = requests_to(&evidence.here, ports);
    reasons.extend(on_port(&evidence.here.port, well || passing > 0));
    if !well && passing > 0 && excluded.is_empty() {
        reasons.push(Reason::Unread { requests: passing });
    }
    reasons.splice(usize::from(well)..usize::from(well), excluded);
    reasons.extend(within);
    if !well {
        reasons.extend(elsewhere(evidence, ports));
    }
    reasons.extend(beyond(evidence.overlooked, |packets| Reason::Overlooked { packets }));
    let level = |reason: &Reason| match reason {
        Reason::Well { .. } => Level::Good,
        Reason::ServerElsewhere { .. } | Reason::Overlooked { .. } => Level::Note,
        _ if well => Level::Note,
        Reason::OtherInterface { .. } | Reason::OtherPort { .. } => Level::Hint,
        _ => Level::Cause,
    };
    reasons.into_iter().map(|reason| Finding { level: level(&reason), reason }).collect()
}

fn beyond(n: u64, reason: impl FnOnce(u64) -> Reason) -> Option<Reason> {
    (n > 0).then(|| reason(n))
}

/// Why packets of the port were not captured, by the kernel program's counters.
fn excluded(capture: &Capture) -> impl Iterator<Item = Reason> {
    let filters = capture.filtered.iter().filter(|(_, segments)| *segments > 0);
    filters
        .map(|(by, segments)| Reason::Filtered { by, segments: *segments })
        .chain(beyond(capture.own, |segments| Reason::Own { segments }))
        .chain(beyond(capture.lost, |packets| Reason::Lost { packets }))
}

/// True if only clients use the port: what was captured then went to servers on other ports.
fn of_clients(here: &Place, ports: &Ports) -> bool {
    here.port.dialled > 0 && here.port.opened == 0 && requests_to(here, ports) == 0
}

fn requests_to(place: &Place, ports: &Ports) -> u64 {
    let requests = place.requests.iter().filter(|(port, _)| ports.contains(**port));
    requests.fold(0, |sum: u64, (_, n)| sum.saturating_add(*n))
}

/// Why nothing is seen, as far as the interface itself explains it.
fn nothing_here(evidence: &Evidence) -> Option<Reason> {
    let here = &evidence.here;
    if !evidence.up {
        Some(Reason::InterfaceDown)
    } else if here.packets == 0 {
        Some(Reason::NoPackets)
    } else if here.port.segments == 0 {
        Some(Reason::NotOnPort { packets: here.packets })
    } else {
        None
    }
}

/// Findings from the port's own segments.
fn on_port(port: &PortTraffic, has_requests: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let tls = port.client_hellos.saturating_add(port.tls_records);
    reasons.extend(beyond(tls, |_| Reason::Tls {
        client_hellos: port.client_hellos,
        records: port.tls_records,
    }));
    reasons.extend(beyond(port.http2, |connections| Reason::Http2 { connections }));
    reasons.extend(beyond(port.h2c, |requests| Reason::H2c { requests }));
    reasons.extend(beyond(port.dialled, |connections| Reason::ClientPort {
        connections,
        segments: port.segments,
    }));
    let known = !reasons.is_empty();
    let payload = port.with_payload();
    if payload > 0 && (port.from_port == 0 || port.to_port == 0) {
        let missing = if port.to_port == 0 { Missing::Requests } else { Missing::Responses };
        reasons.push(Reason::OneWay { missing, segments: payload });
    } else if !has_requests && !known {
        reasons.extend(unexplained(port));
    }
    if port.to_here == 0 && port.dialled == 0 {
        reasons.extend(beyond(port.to_elsewhere, |segments| Reason::ServerElsewhere { segments }));
    }
    reasons
}

/// Findings from segments of the port whose protocol is not known.
fn unexplained(port: &PortTraffic) -> Option<Reason> {
    let payload = port.with_payload();
    if payload > 0 && port.opened == 0 {
        Some(Reason::MidStream { segments: payload })
    } else if payload > 0 {
        Some(Reason::NotHttp { segments: payload })
    } else if port.opened > 0 {
        Some(Reason::NoResponse { opened: port.opened, refused: port.refused })
    } else {
        let bare_acks = port.bare_acks;
        beyond(port.segments, |segments| Reason::NoPayload { segments, bare_acks })
    }
}

/// Protocols that carry the port's traffic inside: UDP and tunnels.
fn within(here: &Place) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    reasons.extend(beyond(here.udp, |packets| Reason::Udp { packets, quic: here.quic }));
    let quiet = here.port.segments == 0;
    for (kind, inside) in here.tunnels {
        let hides = quiet && Tunnel::is_encrypted(kind) && inside.packets > 0;
        if inside.on_port > 0 || hides {
            let (packets, on_port) = (inside.packets, inside.on_port);
            reasons.push(Reason::Tunnel { kind, packets, on_port });
        }
    }
    // What was seen comes before what is only possible.
    reasons.sort_by_key(|reason| !is_seen(reason));
    reasons
}

/// True if the port was seen there; false for an encrypted tunnel that may contain it.
fn is_seen(reason: &Reason) -> bool {
    !matches!(reason, Reason::Tunnel { on_port: 0, .. })
}

/// Other interfaces with traffic of the port, and other ports with HTTP.
fn elsewhere(evidence: &Evidence, ports: &Ports) -> Vec<Reason> {
    let mut interfaces: Vec<_> =
        evidence.elsewhere.iter().filter(|(_, place)| place.port.segments > 0).collect();
    interfaces.sort_by_key(|(_, place)| std::cmp::Reverse(place.port.segments));
    let interfaces =
        interfaces.into_iter().take(MOST_NAMED).map(|(name, place)| Reason::OtherInterface {
            interface: name.clone(),
            segments: place.port.segments,
            requests: requests_to(place, ports),
        });
    let mut others: Vec<_> =
        evidence.here.requests.iter().filter(|(port, _)| !ports.contains(**port)).collect();
    others.sort_by_key(|(_, requests)| std::cmp::Reverse(**requests));
    let others = others
        .into_iter()
        .take(MOST_NAMED)
        .map(|(port, requests)| Reason::OtherPort { port: *port, requests: *requests });
    interfaces.chain(others).collect()
}

#[cfg(test)]
#[path = "diagnose_tests.rs"]
mod tests;
