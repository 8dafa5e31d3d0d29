//! How the host of a request is rewritten.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The suffix that Envoy appends to the host of a mirrored request.
const SUFFIX: &[u8] = b"-shadow";

/// How `Host`, and the authority of an absolute-form target, are rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// Unchanged.
    Keep,
    /// `-shadow` is inserted before the port, as Envoy does, with two exceptions: never twice, and on
    /// IP literals only on request, because `127.0.0.1-shadow` is not a host.
    Suffix {
        /// Also append to IP literals, as Envoy does.
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
    /// Parses `keep`, `suffix`, `target`, or a name.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:[]".contains(c);
        match text {
            "keep" => Ok(Self::Keep),
            "suffix" => Ok(Self::default()),
            "target" => Ok(Self::Target),
            name if !name.is_empty() && name.chars().all(plain) => Ok(Self::Name(name.to_owned())),
            name => Err(format!("{name:?} is not a host name")),
        }
    }

    /// Appends the rewritten `host` to `out`; `target` is the target's host and port. An empty host
    /// stays empty.
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

/// Start of the port: the last colon, unless a closing bracket follows. Like Envoy, this checks neither
/// that the port is a number nor that there are no other colons.
fn port_start(host: &[u8]) -> Option<usize> {
    let colon = memchr::memrchr(b':', host)?;
    match memchr::memrchr(b']', host) {
        Some(bracket) if bracket > colon => None,
        _ => Some(colon),
    }
}

/// Also checks the whole `host`, for IPv6 addresses sent without brackets.
fn is_ip_literal(host: &[u8], name: &[u8]) -> bool {
    let parses_as_v4 =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
    let parses_as_v6 =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    name.starts_with(b"[") || parses_as_v4(name) || parses_as_v6(host)
}
