//! Decides which addresses must not be sent to, so that mirror never captures its own requests.

use std::net::UdpSocket;
use std::sync::Arc;

use crate::config::outputs::IsCaptured;
use crate::filter::Ports;
use crate::source::live::Namespace;

/// Whether packets to an address are captured: the address belongs to the namespace, and its port
/// is captured.
pub(super) fn is_captured(ports: &Ports, namespace: &Namespace) -> IsCaptured {
    let (ports, namespace) = (ports.clone(), namespace.clone());
    Arc::new(move |address| {
        // Only an address of this host can be bound. If the namespace is gone, nothing is captured.
        let is_own = || UdpSocket::bind((address.ip(), 0)).is_ok();
        Ok(ports.contains(address.port()) && namespace.is_open() && namespace.run(is_own)?)
    })
}
