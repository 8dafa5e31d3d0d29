//! What must not be sent to: mirror never feeds itself.

use std::net::{SocketAddr, UdpSocket};

use anyhow::bail;

use crate::filter::Ports;
use crate::sink::replay::{Forbidden, Target};
use crate::source::live::Namespace;

/// Refuses a target that is itself captured: one of the namespace's own addresses on a watched port.
/// From then on it keeps to that, whatever its name comes to mean.
///
/// # Errors
/// When it is; the message says which.
pub(crate) fn refuse_captured(
    target: &mut Target,
    ports: &Ports,
    namespace: &Namespace,
) -> anyhow::Result<()> {
    for address in target.addresses() {
        if is_captured(*address, ports, namespace)? {
            bail!(
                "{}: is captured itself ({address} is this host's and port {} is watched), so that its shadows \
                 would be shadowed again; name another host or port",
                target.authority(),
                address.port()
            );
        }
    }
    let (ports, namespace) = (ports.clone(), namespace.clone());
    // What cannot be asked is not sent to.
    let captured = move |address| is_captured(address, &ports, &namespace).unwrap_or(true);
    target.forbid(Forbidden::when(captured));
    Ok(())
}

fn is_captured(address: SocketAddr, ports: &Ports, namespace: &Namespace) -> anyhow::Result<bool> {
    // Only an address of this host can be bound. Where the namespace is gone, nothing is captured.
    let is_own = || UdpSocket::bind((address.ip(), 0)).is_ok();
    Ok(ports.contains(address.port()) && namespace.is_open() && namespace.run(is_own)?)
}
