//! Host names, exact or with a wildcard, with or without a port.

use std::fmt;
use std::str::FromStr;

/// `shop.example`, `*.shop.example` or `*`, each optionally with a port, such as `:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: Name,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Any,
    Exact(String),
    /// A suffix with its leading dot: at least one label must precede it.
    Below(String),
}

/// The port of a host without one (RFC 9110 §4.2.1).
const HTTP: u16 = 80;

impl HostPattern {
    /// True if `host`, as sent, matches. Case is ignored, and so is the trailing dot of a fully
    /// qualified name.
    #[must_use]
    pub fn matches(&self, host: &[u8]) -> bool {
        let (name, port) = split_port(host);
        let name = name.strip_suffix(b".").unwrap_or(name);
        if self.port.is_some_and(|wanted| wanted != port.unwrap_or(HTTP)) {
            return false;
        }
        match &self.name {
            Name::Any => true,
            Name::Exact(exact) => name.eq_ignore_ascii_case(exact.as_bytes()),
            Name::Below(end) => {
                name.len() > end.len()
                    && name
                        .get(name.len().saturating_sub(end.len())..)
                        .is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
            }
        }
    }

    /// A suffix of every matching host, without port and trailing dot; `None` if any host matches.
    pub(super) fn known_end(&self) -> Option<&str> {
        match &self.name {
            Name::Any => None,
            Name::Exact(end) | Name::Below(end) => Some(end),
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let name = match (&self.name, &other.name) {
            (Name::Any, _) => true,
            (Name::Exact(wide), Name::Exact(narrow)) => wide == narrow,
            (Name::Below(end), Name::Exact(name) | Name::Below(name)) => {
                name.ends_with(end.as_str())
            }
            (Name::Exact(_), _) | (Name::Below(_), Name::Any) => false,
        };
        name && (self.port.is_none() || self.port == other.port)
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, port) = split_port(text.as_bytes());
        let name = text.get(..name.len()).unwrap_or_default().to_ascii_lowercase();
        let rest = text.get(name.len()..).unwrap_or_default();
        if !rest.is_empty() && port.is_none_or(|port| port == 0) {
            return Err(format!("{text:?} has no port after its colon; write HOST or HOST:PORT"));
        }
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._~[]:%".contains(c));
        let name = match name.as_str() {
            "*" => Name::Any,
            name => match name.strip_prefix('*') {
                Some(end) if end.starts_with('.') && end.len() > 1 && !end.contains(odd) => {
                    Name::Below(end.to_owned())
                }
                None if !name.is_empty() && !name.contains(odd) => Name::Exact(name.to_owned()),
                _ => {
                    return Err(format!(
                        "{text:?} is not a host; write shop.example, *.shop.example or *, optionally with :PORT"
                    ));
                }
            },
        };
        Ok(Self { name, port })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Any => f.write_str("*")?,
            Name::Exact(name) => f.write_str(name)?,
            Name::Below(end) => write!(f, "*{end}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Splits name and port at the last colon, unless it is inside the brackets of an address or is not
/// followed by a port.
fn split_port(host: &[u8]) -> (&[u8], Option<u16>) {
    let Some(colon) = memchr::memrchr(b':', host) else { return (host, None) };
    let (name, port) = host.split_at(colon);
    // An IPv6 address without brackets contains colons itself.
    if memchr::memchr(b':', name).is_some() && !name.ends_with(b"]") {
        return (host, None);
    }
    let digits = port.get(1..).unwrap_or_default();
    if memchr::memchr(b']', digits).is_some() {
        return (host, None);
    }
    (name, std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
}
