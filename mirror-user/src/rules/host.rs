//! What becomes of the name a request was sent to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What Envoy appends to the host of a mirrored request.
const SUFFIX: &[u8] = b"-shadow";

/// What becomes of `Host`, and of the authority of an absolute-form target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// It stays as captured.
    Keep,
    /// `-shadow` goes before its port, by Envoy's rule but for two things: never a second time,
    /// and on IP literals only when asked, because `127.0.0.1-shadow` is not a host.
    Suffix {
        /// Append to IP literals too, as Envoy does.
        ip_literals: bool,
    },
    /// The target's own host and port.
    Target,
    /// This name (and port, if it has one).
    Name(String),
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self::Suffix { ip_literals: false }
    }
}

impl HostPolicy {
    /// Reads `keep`, `suffix`, `target`, or a name.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]".contains(c);
        match text {
            "keep" => Ok(Self::Keep),
            "suffix" => Ok(Self::default()),
            "target" => Ok(Self::Target),
            name if !name.is_empty() && name.chars().all(plain) => Ok(Self::Name(name.to_owned())),
            name => Err(format!("{name:?} is no host name")),
        }
    }

    /// Appends to `out` what `host` becomes; `target` is the target's host and port. An empty host
    /// names nothing and stays empty.
    pub fn apply(&self, host: &[u8], target: &str, out: &mut Vec<u8>) {
        match self {
            _ if host.is_empty() => {}
            Self::Keep => out.extend_from_slice(host),
            Self::Suffix { ip_literals } => append_suffix(host, *ip_literals, out),
            Self::Target => out.extend_from_slice(target.as_bytes()),
            Self::Name(name) => out.extend_from_slice(name.as_bytes()),
        }
    }
}

fn append_suffix(host: &[u8], ip_literals: bool, out: &mut Vec<u8>) {
    let (name, port) = host.split_at(port_start(host).unwrap_or(host.len()));
    let marked = name
        .len()
        .checked_sub(SUFFIX.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX));
    out.extend_from_slice(name);
    if !marked && (ip_literals || !is_ip_literal(host, name)) {
        out.extend_from_slice(SUFFIX);
    }
    out.extend_from_slice(port);
}

/// Where the port begins: at the last colon, unless a bracket closes behind it. Envoy looks at
/// nothing else: not at whether the port is a number, nor for colons before.
fn port_start(host: &[u8]) -> Option<usize> {
    let colon = memchr::memrchr(b':', host)?;
    match memchr::memrchr(b']', host) {
        Some(bracket) if bracket > colon => None,
        _ => Some(colon),
    }
}

/// `host` counts as well as its `name`, for the IPv6 address that was sent without its brackets.
fn is_ip_literal(host: &[u8], name: &[u8]) -> bool {
    let parses_as_v4 =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
    let parses_as_v6 =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    name.starts_with(b"[") || parses_as_v4(name) || parses_as_v6(host)
}
