//! Whether the target is what is captured.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::Finding;
use crate::config::Preflight;

const WHAT: &str = "address";

pub(super) fn look(preflight: &Preflight) -> Finding {
    let addresses = preflight.target.addresses();
    if preflight.target.port().is_none() {
        return Finding::good(WHAT, "a Unix socket, which is not captured");
    }
    if addresses.is_empty() {
        return Finding::warning(
            WHAT,
            "its name has no address",
            "requests would be dropped until it has one; is the name right?",
        );
    }
    let listed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    let listed = listed.join(", ");
    if preflight.ports.is_empty() {
        return Finding::not_known(
            WHAT,
            listed,
            "name what is captured: --port 8080, or --config FILE",
        );
    }
    let captured = addresses
        .iter()
        .find(|address| preflight.ports.contains(address.port()) && is_of_this_host(address.ip()));
    match captured {
        Some(address) => Finding::warning(
            WHAT,
            format!("{address} is this host, on a captured port ({})", preflight.ports),
            "shadows would go to production itself, and be captured again: another address, or another port",
        ),
        None => Finding::good(
            WHAT,
            format!("{listed}: not this host on a captured port ({})", preflight.ports),
        ),
    }
}

/// True for an address of this host, in this network namespace: only these can be bound.
pub(super) fn is_of_this_host(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
