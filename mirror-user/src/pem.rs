//! Certificates and keys in PEM files (RFC 7468), for both sides of TLS.

use std::path::Path;

use anyhow::{Context, ensure};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// All certificates of a file.
///
/// # Errors
/// If it cannot be read, or contains none; the message names it.
pub(crate) fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().with_context(|| format!("{}: cannot be read as PEM", file.display()))?;
    ensure!(!certificates.is_empty(), "{}: contains no certificate", file.display());
    Ok(certificates)
}

/// The private key of a file.
///
/// # Errors
/// If it cannot be read, or contains none; the message names it.
pub(crate) fn key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("{}: contains no PEM private key", file.display()))
}
