//! One end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address and a port. A [`SocketAddr`] also has IPv6's flow label and scope, which are no part
/// of an end's name, and takes 32 bytes where this takes 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    ip: IpAddr,
    port: u16,
}

impl Endpoint {
    /// The end with this address and port.
    #[must_use]
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }

    /// Its address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// Its port.
    #[must_use]
    pub const fn port(self) -> u16 {
        self.port
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

impl From<Endpoint> for SocketAddr {
    #[inline]
    fn from(end: Endpoint) -> Self {
        Self::new(end.ip, end.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}
