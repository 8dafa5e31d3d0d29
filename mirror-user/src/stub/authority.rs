//! A certificate authority of the stub server's own, which signs a certificate for each host. The only file that names
//! `rcgen`.
//!
//! A folder has its certificate for clients to trust, `ca.pem`, and its key, `ca.key`, which nobody but the owner may
//! read: whoever has it can stand in for any server at these clients. They are made once and never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

/// The certificate of the authority in its folder.
const CERTIFICATE: &str = "ca.pem";
/// Its key.
const KEY: &str = "ca.key";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the authority is valid.
const YEARS: u32 = 10;
/// How long the certificate of a host is valid: clients accept no more (CA/Browser Forum, §6.3.2: 398 days).
const HOST_DAYS: u32 = 397;

/// Signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The key of all hosts: it never leaves this process, so that one is as good as many.
    hosts_key: KeyPair,
    certificate: PathBuf,
    is_new: bool,
}

/// The certificate of a host, and its key, in PKCS #8.
pub(super) struct OfHost {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Authority {
    /// Opens the authority in this folder, and makes what is not there.
    ///
    /// # Errors
    /// If a file cannot be read or written, is something else, or others may read the key. The message names it.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let name = folder.display();
        let is_new = !key.exists();
        ensure!(
            !(is_new && certificate.exists()),
            "{name}: it holds a {CERTIFICATE} without its {KEY}; bring the key, or name another folder"
        );
        let key = match is_new {
            true => {
                fs::create_dir_all(folder)
                    .with_context(|| format!("{name}: the folder cannot be made"))?;
                let made = KeyPair::generate().context("no key could be made")?;
                write_new(&key, &made.serialize_pem(), 0o600)?;
                made
            }
            false => read_key(&key)?,
        };
        let mut params = params("mirror stub authority", YEARS * 365)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // One whose key was there, and whose certificate was not, has the same name: what it signs is trusted by
        // those who trust the one that was lost.
        if !certificate.exists() {
            let made = params.self_signed(&key).context("no certificate could be made")?;
            write_new(&certificate, &made.pem(), 0o644)?;
        }
        let hosts_key = KeyPair::generate().context("no key could be made")?;
        Ok(Self { issuer: Issuer::new(params, key), hosts_key, certificate, is_new })
    }

    /// What clients are to trust.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// True if it was made just now.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// A certificate for a name or an address.
    ///
    /// # Errors
    /// If no certificate can have this name.
    pub(super) fn sign(&self, host: &str) -> anyhow::Result<OfHost> {
        let named = CertificateParams::new([host.to_owned()])
            .with_context(|| format!("{host:?}: not a name that a certificate can have"))?;
        let mut params = params("mirror stub", HOST_DAYS)?;
        params.subject_alt_names = named.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Strict clients, such as Python's, look for it.
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&self.hosts_key, &self.issuer);
        let signed = signed.with_context(|| format!("{host:?}: cannot be signed"))?;
        Ok(OfHost { certificate: signed.der().to_vec(), key: self.hosts_key.serialize_der() })
    }
}

/// A certificate with this common name, from a day ago on, for clients whose clock is behind.
#[expect(clippy::disallowed_methods, reason = "certificates are valid in the time of clocks")]
fn params(common_name: &str, days: u32) -> anyhow::Result<CertificateParams> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.context("the clock stands before 1970")?;
    let begin = date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).context("the kernel gives no random numbers")?;
    // Positive, and of full length (RFC 5280 §4.1.2.2).
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (begin, begin + DAY * days);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = name;
    Ok(params)
}

fn read_key(path: &Path) -> anyhow::Result<KeyPair> {
    let name = path.display();
    let mode = fs::metadata(path).with_context(|| format!("{name}: cannot be read"))?.mode();
    if mode & 0o077 != 0 {
        bail!("{name}: others may read it (mode {:03o}); chmod 600 {name}", mode & 0o777);
    }
    let text = fs::read_to_string(path).with_context(|| format!("{name}: cannot be read"))?;
    KeyPair::from_pem(&text).map_err(|_| anyhow!("{name}: contains no PEM private key"))
}

/// Writes a file that must not be there.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let name = path.display();
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file: File = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{name}: another program has made it just now; start again")
        }
        _ => anyhow!(error).context(format!("{name}: cannot be made")),
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // A part of it would be in the way of the next start.
        let _ = fs::remove_file(path);
        anyhow!(error).context(format!("{name}: cannot be written"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_made_once_and_its_key_is_private() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("made/here");
        let first = Authority::open(&folder).unwrap();
        assert!(first.is_new());
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let (certificate, key) = (read(CERTIFICATE), read(KEY));
        assert_eq!(fs::metadata(folder.join(KEY)).unwrap().mode() & 0o777, 0o600);
        let second = Authority::open(&folder).unwrap();
        assert!(!second.is_new());
        assert_eq!((read(CERTIFICATE), read(KEY)), (certificate, key));
        let (one, other) = (first.sign("a").unwrap(), first.sign("a").unwrap());
        // Clients refuse two certificates of one authority with the same number.
        assert_ne!(one.certificate, other.certificate);
        assert!(first.sign("caf\u{e9}").is_err());
    }

    #[test]
    fn what_is_no_authority_is_refused_and_stays() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = tempfile::tempdir().unwrap();
        let refused = || format!("{:#}", Authority::open(scratch.path()).err().unwrap());
        let (certificate, key) = (scratch.path().join(CERTIFICATE), scratch.path().join(KEY));
        fs::write(&certificate, "x").unwrap();
        assert!(refused().contains("without its ca.key"));
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(refused().contains("others may read it (mode 640)"));
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(refused().contains("contains no PEM private key"));
        assert_eq!(fs::read_to_string(&key).unwrap(), "x");
    }
}
