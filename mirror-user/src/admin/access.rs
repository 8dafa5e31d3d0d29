//! Who may ask the admin endpoint.
//!
//! Without a token everybody who reaches it may, so that it listens on loopback then. A page in a
//! browser on this host reaches loopback, too: its own name is made to resolve to 127.0.0.1 (DNS
//! rebinding), so that a host which is a name is refused then.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use subtle::ConstantTimeEq;

use crate::metrics::RequestsRefused;

/// The longest token, in bytes: a JSON web token with many claims. A larger file is another one.
const MAX_TOKEN_BYTES: u64 = 8 * 1024;

/// Who may ask.
#[derive(Debug)]
pub enum Access {
    /// Everybody who reaches the endpoint from this host.
    Local,
    /// Who has a certificate that the handshake has verified.
    Certified,
    /// Who shows the token.
    Token(TokenFile),
}

/// A file with a token. It is read again for each request, as tokens rotate; while it cannot be read,
/// the last token holds.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    last: Mutex<Token>,
}

/// Shows nothing of itself.
struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Access {
    /// Who shows the token in this file.
    ///
    /// # Errors
    /// If there is none.
    pub fn by_token(path: &Path) -> anyhow::Result<Self> {
        let last = Mutex::new(read(path)?);
        Ok(Self::Token(TokenFile { path: path.to_owned(), last }))
    }

    /// Checks a request by its header fields `Authorization` and `Host`.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn check(
        &self,
        authorization: Option<&[u8]>,
        host: Option<&str>,
    ) -> Result<(), RequestsRefused> {
        match self {
            Self::Certified => Ok(()),
            // HTTP/1.0 has no host, and no browser sends it.
            Self::Local if host.is_none_or(is_of_this_host) => Ok(()),
            Self::Local => Err(RequestsRefused::Host),
            Self::Token(file) => match authorization.and_then(bearer) {
                Some(shown) if file.holds(shown) => Ok(()),
                _ => Err(RequestsRefused::Token),
            },
        }
    }
}

impl TokenFile {
    fn holds(&self, shown: &[u8]) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(now) = read(&self.path) {
            *last = now;
        }
        // In a time that says nothing about how much of it is right.
        last.0.ct_eq(shown).into()
    }
}

/// The token of `Bearer TOKEN` (RFC 6750 §2.1). The scheme is compared without case.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// True for an address, and for `localhost`, which browsers resolve themselves.
fn is_of_this_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

fn read(path: &Path) -> anyhow::Result<Token> {
    let name = path.display();
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TOKEN_BYTES + 1).read_to_end(&mut text))
        .with_context(|| format!("{name}: the token cannot be read"))?;
    ensure!(text.len() as u64 <= MAX_TOKEN_BYTES, "{name}: longer than a token; another file?");
    let token = text.trim_ascii();
    ensure!(!token.is_empty(), "{name}: holds no token");
    Ok(Token(token.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_read_again_and_a_wrong_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(Access::by_token(&path).is_err());
        fs::write(&path, " \n").unwrap();
        let empty = Access::by_token(&path).unwrap_err();
        assert!(empty.to_string().contains("holds no token"), "{empty:#}");
        fs::write(&path, vec![b'x'; 9000]).unwrap();
        assert!(Access::by_token(&path).is_err());

        fs::write(&path, "first\n").unwrap();
        let access = Access::by_token(&path).unwrap();
        assert!(!format!("{access:?}").contains("first"));
        let allowed = |shown: &str| access.check(Some(shown.as_bytes()), Some("any.name")).is_ok();
        assert!(allowed("Bearer first") && allowed("bearer first"));
        for wrong in ["first", "Bearer ", "Bearer firs", "Bearer firstt", "Basic first", ""] {
            assert!(!allowed(wrong), "{wrong}");
        }
        assert_eq!(access.check(None, None), Err(RequestsRefused::Token));
        fs::write(&path, "second").unwrap();
        assert!(!allowed("Bearer first") && allowed("Bearer second"));
        fs::remove_file(&path).unwrap();
        assert!(allowed("Bearer second"), "the last one holds");
    }

    #[test]
    fn a_page_of_another_site_cannot_ask_by_a_name_of_its_own() {
        let allowed = |host: &str| Access::Local.check(None, Some(host)).is_ok();
        for host in
            ["127.0.0.1:9600", "127.0.0.1", "[::1]:9600", "[::1]", "localhost:1", "10.0.0.7:9600"]
        {
            assert!(allowed(host), "{host}");
        }
        for host in ["evil.example:9600", "evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!allowed(host), "{host}");
        }
        assert!(Access::Local.check(None, None).is_ok());
    }
}
