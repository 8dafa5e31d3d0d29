//! TLS towards a target. The only file that knows rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A connection under TLS.
pub(super) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// What an https target is asked to prove, and what is proven to it.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates of the authorities that are trusted, as PEM; the system's own when `None`.
    pub authorities: Option<PathBuf>,
    /// A certificate with its chain, as PEM, for targets that ask who is there.
    pub certificate: Option<PathBuf>,
    /// Its key, as PEM.
    pub key: Option<PathBuf>,
    /// The name that the target's certificate is to have, which is sent as SNI, too; the host of
    /// the URL when `None`. The `Host` header has nothing to do with it.
    pub server_name: Option<String>,
}

/// Makes a TCP connection a TLS one.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// # Errors
    /// When a file cannot be read or used, or the name is none; the message names it.
    pub(super) fn new(host: &str, options: &TlsOptions) -> anyhow::Result<Self> {
        let name = options.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone())
            .map_err(|_| anyhow!("{name}: not a name that a certificate could have"))?;
        let builder = ClientConfig::builder().with_root_certificates(roots(options)?);
        let mut config = match (&options.certificate, &options.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(
                    certificates(certificate)?,
                    PrivateKeyDer::from_pem_file(key)
                        .with_context(|| format!("{}: holds no key in PEM", key.display()))?,
                )
                .with_context(|| format!("{}: does not fit its key", certificate.display()))?,
            _ => return Err(anyhow!("--tls-cert and --tls-key: one is nothing without the other")),
        };
        // Whoever would choose HTTP/2 is to say that it cannot do without.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Shakes hands over `stream`.
    ///
    /// # Errors
    /// When the target is not who it should be, or speaks no TLS.
    pub(super) async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream> {
        self.connector.connect(self.name.clone(), stream).await
    }

    /// Shakes hands once, before anything runs: whom to trust is settled by flags.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and when it takes longer than `timeout` between two steps.
    pub(super) fn probe(
        &self,
        mut stream: std::net::TcpStream,
        timeout: Duration,
    ) -> std::io::Result<()> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let config = Arc::clone(self.connector.config());
        let mut session =
            ClientConnection::new(config, self.name.clone()).map_err(std::io::Error::other)?;
        session.complete_io(&mut stream).map(drop)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

fn roots(options: &TlsOptions) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match &options.authorities {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).with_context(|| {
                    format!("{}: holds a certificate that is none", file.display())
                })?;
            }
        }
        None => {
            // Some of a system's certificates are too old to be read; the others serve.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            ensure!(
                !roots.is_empty(),
                "this system trusts no authority (ca-certificates is not installed); give --tls-ca FILE"
            );
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().with_context(|| format!("{}: cannot be read as PEM", file.display()))?;
    ensure!(!certificates.is_empty(), "{}: holds no certificate", file.display());
    Ok(certificates)
}
