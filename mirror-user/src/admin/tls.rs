//! TLS of the admin endpoint.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::pem;

/// Speaks TLS with clients.
pub struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// Presents this certificate. With `client_ca`, a client must have a certificate from one of the
    /// authorities in that file.
    ///
    /// # Errors
    /// If a file cannot be read or used; the message names it.
    pub fn open(cert: &Path, key: &Path, client_ca: Option<&Path>) -> anyhow::Result<Self> {
        let builder = ServerConfig::builder();
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let name = file.display();
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(file)? {
                    roots
                        .add(certificate)
                        .with_context(|| format!("{name}: contains an invalid certificate"))?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
                let verifier =
                    verifier.build().with_context(|| format!("{name}: verifies no client"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(pem::certificates(cert)?, pem::key(key)?)
            .with_context(|| format!("{}: does not match its key", cert.display()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Performs the handshake.
    ///
    /// # Errors
    /// If the client does not speak TLS, or has no certificate where it needs one.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}
