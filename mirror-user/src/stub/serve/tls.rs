//! TLS of a stub server: one given certificate, or one for each host from an authority of its own.
//!
//! A host is the name that the client asks for (SNI); where it asks for none, the one that it has a tunnel to, or the
//! address that it has connected to.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow, ensure};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use super::wire::Unread;
use crate::pem;
use crate::stub::authority::Authority;

/// A connection within TLS.
pub(super) type Secured = TlsStream<Unread>;

/// The first byte of a handshake (RFC 8446 §5.1), with which no request begins.
pub(super) const HANDSHAKE: u8 = 0x16;

/// Hosts whose certificates are kept; then all are made anew, each in less than a millisecond.
const MAX_HOSTS: usize = 1_024;

/// Speaks TLS with clients.
pub struct Tls(Certificates);

enum Certificates {
    Given(Arc<ServerConfig>),
    Made(Box<Made>),
}

/// An authority, and what it has signed.
struct Made {
    authority: Authority,
    hosts: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl Tls {
    /// Presents this certificate, whatever the host.
    ///
    /// # Errors
    /// If a file cannot be read or used; the message names it.
    pub fn given(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let config = config(pem::certificates(certificate)?, pem::key(key)?)
            .with_context(|| format!("{}: does not match its key", certificate.display()))?;
        Ok(Self(Certificates::Given(config)))
    }

    /// Presents a certificate for each host, signed by the authority in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If a file cannot be read, written or used; the message names it.
    pub fn by_authority(folder: &Path) -> anyhow::Result<Self> {
        let authority = Authority::open(folder)?;
        check(&authority)?;
        Ok(Self(Certificates::Made(Box::new(Made { authority, hosts: Mutex::default() }))))
    }

    /// What clients are to trust, if it is an authority of this server's own, and whether it was made just now.
    #[must_use]
    pub fn authority(&self) -> Option<(&Path, bool)> {
        match &self.0 {
            Certificates::Given(_) => None,
            Certificates::Made(made) => {
                Some((made.authority.certificate(), made.authority.is_new()))
            }
        }
    }

    /// Performs the handshake; `host` is whom the client means if it does not say.
    ///
    /// # Errors
    /// If the client does not speak TLS, or trusts no such certificate.
    pub(super) async fn accept(&self, unread: Unread, host: &str) -> io::Result<Secured> {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), unread).await?;
        let hello = begun.client_hello();
        let config = self.config(hello.server_name().unwrap_or(host)).map_err(io::Error::other)?;
        begun.into_stream(config).await
    }

    fn config(&self, host: &str) -> anyhow::Result<Arc<ServerConfig>> {
        match &self.0 {
            Certificates::Given(config) => Ok(Arc::clone(config)),
            Certificates::Made(made) => made.config(host.to_ascii_lowercase()),
        }
    }
}

impl Made {
    fn config(&self, host: String) -> anyhow::Result<Arc<ServerConfig>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = hosts.get(&host) {
            return Ok(Arc::clone(config));
        }
        let (certificate, key) = signed(&self.authority, &host)?;
        let config = config(vec![certificate], key)?;
        if hosts.len() >= MAX_HOSTS {
            hosts.clear();
        }
        hosts.insert(host, Arc::clone(&config));
        Ok(config)
    }
}

/// Presents this certificate, and speaks HTTP/1.1 alone: a client that insists on another version is refused.
fn config(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder().with_no_client_auth();
    let mut config = builder.with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn signed(
    authority: &Authority,
    host: &str,
) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let of_host = authority.sign(host)?;
    let key = PrivatePkcs8KeyDer::from(of_host.key);
    Ok((of_host.certificate.into(), key.into()))
}

/// Checks that who trusts the authority's certificate trusts what it signs: another one may lie beside the key.
fn check(authority: &Authority) -> anyhow::Result<()> {
    const NAME: &str = "stub.test";
    let file = authority.certificate();
    let unusable = || format!("{}: signs no certificate that a client would trust", file.display());
    let mut roots = RootCertStore::empty();
    let certificates = pem::certificates(file)?;
    ensure!(certificates.len() == 1, "{}: contains several certificates", file.display());
    certificates.into_iter().try_for_each(|one| roots.add(one)).with_context(unusable)?;
    let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().with_context(unusable)?;
    let (certificate, _) = signed(authority, NAME)?;
    let name = ServerName::try_from(NAME).map_err(|_| anyhow!("{NAME}: no name"))?;
    let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
    verified.map(drop).with_context(|| {
        format!("{}; it has expired, or is not that of the key beside it", unusable())
    })
}
