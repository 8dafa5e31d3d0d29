//! The admin endpoint: where it listens, and who may ask.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::define::settings;

settings! {
    /// An HTTP endpoint for metrics, health and the summary so far.
    pub struct AdminSettings under "Admin", changed AtNextStart {
        /// Serve metrics and health by HTTP at this address, such as 127.0.0.1:9600; port 0 takes a free one. An address that is not loopback needs a token file or client certificates
        setting listen: Option<SocketAddr> {
            key: "listen",
            flag: "admin",
            env: "MIRROR_ADMIN",
        }
        /// Require the bearer token in this file, except for /livez and /readyz; a new one takes effect at once
        setting token_file: Option<PathBuf> { key: "token-file", flag: "admin-token-file" }
        /// TLS.
        group tls: AdminTlsSettings { key: "tls" }
    }
}

settings! {
    /// TLS of the admin endpoint. Files are PEM.
    pub struct AdminTlsSettings under "Admin", changed AtNextStart {
        /// Certificate of the admin endpoint with its chain (PEM): it then speaks HTTPS
        setting cert: Option<PathBuf> { key: "cert", flag: "admin-tls-cert", requires: "key" }
        /// Private key of the certificate (PEM)
        setting key: Option<PathBuf> { key: "key", flag: "admin-tls-key", requires: "cert" }
        /// Require a client certificate from one of the authorities in this PEM file
        setting client_ca: Option<PathBuf> {
            key: "client-ca",
            flag: "admin-tls-client-ca",
            requires: "cert",
        }
    }
}

impl AdminSettings {
    /// What is wrong with the address, for flags and file alike; `None` if nothing is. `is_captured` tells
    /// whether a port is.
    #[must_use]
    pub fn problem(&self, is_captured: impl Fn(u16) -> bool) -> Option<String> {
        let listen = self.listen?;
        let proves = self.token_file.is_some() || self.tls.client_ca.is_some();
        if !listen.ip().is_loopback() && !proves {
            return Some(format!(
                "admin {listen}: other hosts could read what is captured and configured; listen on 127.0.0.1, \
                 or add a token file (admin.token-file) or client certificates (admin.tls.client-ca)"
            ));
        }
        captured("admin", listen, is_captured)
    }
}

/// What is wrong with an address at which `server` listens: its port is captured.
pub(super) fn captured(
    server: &str,
    listen: SocketAddr,
    is_captured: impl Fn(u16) -> bool,
) -> Option<String> {
    (listen.port() != 0 && is_captured(listen.port())).then(|| {
        format!(
            "{server} {listen}: this port is captured, so requests to it would be shadowed; choose another one"
        )
    })
}
