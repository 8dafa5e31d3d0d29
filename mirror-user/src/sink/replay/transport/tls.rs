//! TLS to a target. Beside it, only `pem` and the other side of TLS, `admin::tls` and `stub::serve::tls`, use rustls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use crate::pem;

/// A TLS connection.
pub(crate) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// How an https target is verified, and what mirror presents to it.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// PEM file of the trusted certificate authorities; the system's own if `None`.
    pub authorities: Option<PathBuf>,
    /// PEM file of the client certificate with its chain, for targets that ask for one.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
    /// The name that the target's certificate must have, which is also sent as SNI; the URL's host
    /// if `None`. Independent of the `Host` header.
    pub server_name: Option<String>,
    /// The target's certificate is not verified.
    pub insecure: bool,
}

impl TlsOptions {
    /// How a client verifies its server, and what it presents.
    ///
    /// # Errors
    /// If a file cannot be read or used; the message names it.
    pub(crate) fn client_config(&self) -> anyhow::Result<ClientConfig> {
        let builder = ClientConfig::builder();
        let verifier = verifier(self, builder.crypto_provider())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(pem::certificates(certificate)?, pem::key(key)?)
                .with_context(|| format!("{}: does not match its key", certificate.display()))?,
            _ => return Err(anyhow!("--tls-cert and --tls-key: give both or neither")),
        })
    }
}

/// Establishes TLS over a TCP connection.
#[derive(Clone)]
pub(in crate::sink::replay) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    unverified: bool,
}

impl Tls {
    /// # Errors
    /// If a file cannot be read or used, or the name is not valid. The message names it.
    pub(in crate::sink::replay) fn new(host: &str, options: &TlsOptions) -> anyhow::Result<Self> {
        let name = options.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone())
            .map_err(|_| anyhow!("{name}: not a name that a certificate can have"))?;
        let mut config = options.client_config()?;
        // Only HTTP/1.1 is offered, so that a target that requires HTTP/2 refuses the handshake.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name, unverified: options.insecure })
    }

    /// True if the target's certificate is not verified.
    pub(in crate::sink::replay) fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// Performs the TLS handshake over `stream`.
    ///
    /// # Errors
    /// If verification of the target fails, or it does not use TLS.
    pub(in crate::sink::replay) async fn connect(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream> {
        self.connector.connect(self.name.clone(), stream).await
    }

    /// Performs one handshake before the run starts, to check the TLS flags.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and if a single read or write takes longer than `timeout`.
    pub(in crate::sink::replay) fn probe(
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

type Verifier = Arc<dyn ServerCertVerifier>;

fn verifier(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> anyhow::Result<Verifier> {
    let provider = Arc::clone(provider);
    ensure!(
        !(options.insecure && options.authorities.is_some()),
        "--tls-insecure verifies nothing, so --tls-ca has no effect; leave one of them out"
    );
    if options.insecure {
        return Ok(Arc::new(Unverified(provider)));
    }
    let mut roots = RootCertStore::empty();
    let mut named = Vec::new();
    match &options.authorities {
        Some(file) => {
            for certificate in pem::certificates(file)? {
                roots.add(certificate.clone()).with_context(|| {
                    format!("{}: contains an invalid certificate", file.display())
                })?;
                let subject = roots.roots.last().map(|root| root.subject.as_ref());
                let common_name = subject.and_then(common_name).map(str::to_owned);
                named.push(Named { certificate, common_name });
            }
        }
        None => {
            // Some of a system's certificates may be too old to parse; the others suffice.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            ensure!(
                !roots.is_empty(),
                "this system trusts no authority (ca-certificates is not installed); give --tls-ca FILE"
            );
        }
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    Ok(Arc::new(ByChainOrName { chains, named }))
}

/// Trusts a server whose certificate is signed by a given authority and, as curl does, one that
/// presents a given certificate itself: a self-signed certificate is its own authority.
#[derive(Debug)]
struct ByChainOrName {
    chains: Arc<WebPkiServerVerifier>,
    named: Vec<Named>,
}

/// A certificate that the user has named as trusted.
#[derive(Debug)]
struct Named {
    certificate: CertificateDer<'static>,
    /// The last common name of its subject. Used only if the certificate has no subject alternative
    /// names.
    common_name: Option<String>,
}

impl Named {
    /// Accepts this certificate for the server although chain verification `refused` it, if the
    /// name matches.
    fn accept(&self, server: &ServerName<'_>, refused: CertificateError) -> Result<(), Error> {
        // A certificate refused for its encoding or validity period stays refused: both are checked
        // before issuer and purpose. `Other` is a CA certificate that a server presents as its own.
        let refused = match refused {
            CertificateError::UnknownIssuer | CertificateError::Other(_) => {
                let parsed = ParsedCertificate::try_from(&self.certificate)?;
                match verify_server_name(&parsed, server) {
                    Err(Error::InvalidCertificate(why)) => why,
                    other => return other,
                }
            }
            other => other,
        };
        let unnamed = matches!(
            &refused, CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty()
        );
        let is_it = |name: &String| name.eq_ignore_ascii_case(&server.to_str());
        match unnamed && self.common_name.as_ref().is_some_and(is_it) {
            true => Ok(()),
            false => Err(Error::InvalidCertificate(refused)),
        }
    }
}

impl ServerCertVerifier for ByChainOrName {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let named = || self.named.iter().find(|named| named.certificate == *shown);
        match self.chains.verify_server_cert(shown, intermediates, server, ocsp, now) {
            Err(Error::InvalidCertificate(why)) => match named() {
                Some(named) => named.accept(server, why).map(|()| ServerCertVerified::assertion()),
                None => Err(Error::InvalidCertificate(why)),
            },
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, shown, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Accepts any server.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // A certificate that cannot be parsed is accepted, too: there is no key to verify with.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The last common name of a subject: the attributes of a distinguished name in DER (RFC 5280 §4.1.2.4).
fn common_name(mut subject: &[u8]) -> Option<&str> {
    const SET: u8 = 0x31;
    const SEQUENCE: u8 = 0x30;
    /// 2.5.4.3, with its tag and length.
    const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];
    let mut found = None;
    while let Some((tag, set, rest)) = element(subject) {
        subject = rest;
        let (SET, Some((SEQUENCE, attribute, _))) = (tag, element(set)) else { continue };
        let value = attribute.strip_prefix(COMMON_NAME).and_then(element);
        found = value.and_then(|(_, value, _)| std::str::from_utf8(value).ok()).or(found);
    }
    found
}

/// The first DER element, of at most 65,535 bytes: its tag, its value, and the bytes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_common_name_of_a_subject_is_found() {
        let tagged =
            |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
        let attribute = |kind: u8, value: &str| {
            let kind = [0x06, 0x03, 0x55, 0x04, kind];
            tagged(0x31, &tagged(0x30, &[&kind[..], &tagged(0x0c, value.as_bytes())].concat()))
        };
        let subject =
            [attribute(10, "Shop"), attribute(3, "a"), attribute(3, "localhost")].concat();
        assert_eq!(common_name(&subject), Some("localhost"));
        assert_eq!(common_name(&attribute(10, "Shop")), None);
        for end in 0..subject.len() {
            let _ = common_name(&subject[..end]);
        }
        assert_eq!(element(&[0x04, 0x82, 0, 1, 7, 8]), Some((4, &[7][..], &[8][..])));
        assert_eq!(element(&[0x04, 0x84, 0, 0, 0, 1, 7]), None);
    }
}
