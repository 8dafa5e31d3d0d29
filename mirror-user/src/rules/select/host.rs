//! Host names, exact or with a wildcard, with or without a port.

use std::fmt;
use std::str::FromStr;

/// `shop.example`, `*.shop.example` or `*`, each with `:8080` where the port counts.
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
    /// What must end the name, with its dot: at least one label stands before it.
    Below(String),
}

/// What a host without a port is asked on (RFC 9110 §4.2.1).
const HTTP: u16 = 80;

impl HostPattern {
    /// True when `host`, as sent, is one of those. Names are compared in any case; a name that ends
    /// in the root's dot is the same name.
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

    /// What every host that matches ends with, a port and a last dot left out; `None` for any.
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
            return Err(format!("{text:?} has no port behind its colon; write HOST or HOST:PORT"));
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
                        "{text:?} is no host; write shop.example, *.shop.example or *, and :PORT behind it if it counts"
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

/// The name and the port behind its last colon, unless that stands in an address's brackets or is
/// no port.
fn split_port(host: &[u8]) -> (&[u8], Option<u16>) {
    let Some(colon) = memchr::memrchr(b':', host) else { return (host, None) };
    let (name, port) = host.split_at(colon);
    // An IPv6 address that lost its brackets has colons of its own.
    if memchr::memchr(b':', name).is_some() && !name.ends_with(b"]") {
        return (host, None);
    }
    let digits = port.get(1..).unwrap_or_default();
    if memchr::memchr(b']', digits).is_some() {
        return (host, None);
    }
    (name, std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
}
