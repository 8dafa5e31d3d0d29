//! Headers of the PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): what a load
//! balancer puts in front of a connection's first byte to name the client that it speaks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest line of version 1, with its line end.
const MAX_LINE: usize = 107;

const LINE: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    /// Perhaps the beginning of a header.
    Partial,
    /// Something else.
    Other,
    /// A header that breaks its rules. A server closes the connection.
    Bad,
    /// A header of `len` bytes.
    Header {
        /// Its length, with all that belongs to it.
        len: usize,
        /// The client that it names; `None` where the proxy speaks for itself (`LOCAL`), or does not
        /// say (`UNKNOWN`, Unix sockets).
        client: Option<SocketAddr>,
    },
}

/// Reads the header that `input` begins with.
pub(super) fn read(input: &[u8]) -> Proxy {
    let begins = |with: &[u8]| {
        let n = with.len().min(input.len());
        input.get(..n) == with.get(..n)
    };
    match () {
        () if input.len() > LINE.len() && begins(LINE) => version_1(input),
        () if input.len() > SIGNATURE.len() && begins(SIGNATURE) => version_2(input),
        () if begins(LINE) || begins(SIGNATURE) => Proxy::Partial,
        () => Proxy::Other,
    }
}

fn version_1(input: &[u8]) -> Proxy {
    let Some(lf) = memchr::memchr(b'\n', input.get(..MAX_LINE).unwrap_or(input)) else {
        return if input.len() < MAX_LINE { Proxy::Partial } else { Proxy::Bad };
    };
    let len = lf + 1;
    let line = input.get(..lf).and_then(|line| line.strip_suffix(b"\r"));
    let Some(line) = line.and_then(|line| std::str::from_utf8(line).ok()) else {
        return Proxy::Bad;
    };
    let mut words = line.split(' ').skip(1);
    let client = match words.next() {
        Some("UNKNOWN") => return Proxy::Header { len, client: None },
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => None,
    };
    client.map_or(Proxy::Bad, |client| Proxy::Header { len, client: Some(client) })
}

/// Both addresses, then both ports; the client is the first.
fn addresses<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Option<SocketAddr>
where
    A: FromStr + Into<IpAddr>,
{
    let source: A = words.next()?.parse().ok()?;
    let _destination: A = words.next()?.parse().ok()?;
    let port = words.next().and_then(port)?;
    let _port = words.next().and_then(self::port)?;
    words.next().is_none().then(|| SocketAddr::new(source.into(), port))
}

/// A port in decimal; `parse` alone would take a sign.
fn port(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn version_2(input: &[u8]) -> Proxy {
    let Some((fixed, rest)) = input.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk)
    else {
        return Proxy::Partial;
    };
    let [command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    // The family's high half says what the addresses are.
    let needed = match (command, family >> 4) {
        (0x21, 1) => 12,
        (0x21, 2) => 36,
        (0x20 | 0x21, _) => 0,
        _ => return Proxy::Bad,
    };
    if length < needed {
        return Proxy::Bad;
    }
    let Some(block) = rest.get(..length) else { return Proxy::Partial };
    let client = match needed {
        12 => address::<4>(block, 8),
        36 => address::<16>(block, 32),
        _ => None,
    };
    Proxy::Header { len: SIGNATURE.len() + fixed.len() + length, client }
}

/// The source address at the beginning of `block`, and its port at `port`.
fn address<const N: usize>(block: &[u8], port: usize) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let ip: [u8; N] = *block.first_chunk()?;
    let port: [u8; 2] = *block.get(port..)?.first_chunk()?;
    Some(SocketAddr::new(ip.into(), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, block].concat()
    }

    fn header(input: &[u8]) -> Option<String> {
        match read(input) {
            Proxy::Header { len, client } => {
                assert_eq!(len, input.len());
                Some(client.map_or("-".to_owned(), |client| client.to_string()))
            }
            _ => None,
        }
    }

    #[test]
    fn headers_of_both_versions_name_the_client() {
        let v4 = [203, 0, 113, 9, 10, 1, 0, 1, 0xc7, 0x38, 0x1f, 0x90];
        let mut v6 = [0; 36];
        v6[0] = 0x20;
        v6[15] = 1;
        v6[32..34].copy_from_slice(&443_u16.to_be_bytes());
        let with_tlv = [&v4[..], b"\xea\x00\x03\x01vp\x04\x00\x00"].concat();
        let cases: [(Vec<u8>, &str); 9] = [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n".to_vec(), "192.0.2.1:56324"),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n".to_vec(), "[2001:db8::1]:1"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "-"),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), "-"),
            (v2(0x21, 0x11, &v4), "203.0.113.9:51000"),
            (v2(0x21, 0x11, &with_tlv), "203.0.113.9:51000"),
            (v2(0x21, 0x21, &v6), "[2000::1]:443"),
            (v2(0x20, 0x00, b""), "-"),
            (v2(0x21, 0x31, &[0; 216]), "-"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(header(&bytes).as_deref(), Some(expected), "{bytes:?}");
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Proxy::Partial, "{end} of {bytes:?}");
            }
        }
    }

    #[test]
    fn a_header_that_breaks_its_rules_is_no_guess() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107));
        let cases: [&[u8]; 9] = [
            b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +5632 80\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            long.as_bytes(),
            &v2(0x31, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
        ];
        for bytes in cases {
            assert_eq!(read(bytes), Proxy::Bad, "{bytes:?}");
        }
        for bytes in [&b"PROXYING / HTTP/1.1\r\n"[..], b"\r\n\r\nGET / HTTP/1.1\r\n", b"GET "] {
            assert_eq!(read(bytes), Proxy::Other, "{bytes:?}");
        }
    }
}
