//! Guesses a protocol from the first bytes of a payload. Only for findings and reports; `http` parses properly.

/// The kind of a payload's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A TLS handshake record with a `ClientHello` (RFC 8446 §4.1.2).
    ClientHello,
    /// Another TLS record.
    TlsRecord,
    /// HTTP/2's connection preface (RFC 9113 §3.4).
    Http2,
    /// An HTTP/1 request that asks for an upgrade to HTTP/2 (RFC 7540 §3.2).
    H2c,
    /// Another HTTP/1 request.
    Request,
    /// Something else.
    Other,
}

/// Longest method that is recognized. A method is a token (RFC 9110 §5.6.2); no registered one is
/// longer.
const LONGEST_METHOD: usize = 20;

/// The kind of the first bytes of `payload`.
#[must_use]
pub fn read(payload: &[u8]) -> Beginning {
    match payload {
        [22, 3, 0..=4, _, _, 1, ..] => Beginning::ClientHello,
        [20..=23, 3, 0..=4, ..] => Beginning::TlsRecord,
        _ if payload.starts_with(b"PRI * HTTP/2.0\r\n") => Beginning::Http2,
        _ if !is_request(payload) => Beginning::Other,
        _ if asks_for_h2c(payload) => Beginning::H2c,
        _ => Beginning::Request,
    }
}

/// `GET /…`: a method in capitals, a request target of any of the four forms (RFC 9112 §3.2), and
/// the version if the line is complete.
fn is_request(payload: &[u8]) -> bool {
    let method = payload.iter().take(LONGEST_METHOD).take_while(|b| is_method(**b)).count();
    let Some([b' ', target @ ..]) = payload.get(method..) else { return false };
    if method < 3 {
        return false;
    }
    match target.iter().position(|b| *b == b'\r' || *b == b'\n') {
        Some(end) => {
            let line = target.get(..end).unwrap_or_default();
            memchr::memmem::find(line, b" HTTP/1.").is_some()
        }
        // The line is longer than what was copied; only a path is accepted then.
        None => target.first() == Some(&b'/') && target.iter().all(u8::is_ascii_graphic),
    }
}

const fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'-'
}

fn asks_for_h2c(payload: &[u8]) -> bool {
    payload.split(|b| *b == b'\n').any(|line| {
        let Some((name, value)) = line.split_at_checked(b"upgrade:".len()) else { return false };
        name.eq_ignore_ascii_case(b"upgrade:") && memchr::memmem::find(value, b"h2c").is_some()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        for (payload, expected) in [
            (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], Beginning::ClientHello),
            (b"\x16\x03\x03\x00\x7a\x02", Beginning::TlsRecord),
            (b"\x17\x03\x03\x00\x20", Beginning::TlsRecord),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Beginning::Http2),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", Beginning::H2c),
            (b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", Beginning::Request),
            (b"M-SEARCH * HTTP/1.1\r\n", Beginning::Request),
            (b"GET /a/long/path", Beginning::Request),
            (b"SET key value\r\n", Beginning::Other),
            (b"HTTP/1.1 200 OK\r\n", Beginning::Other),
            (b"\x00\x00\x12\x04", Beginning::Other),
            (b"", Beginning::Other),
        ] {
            assert_eq!(read(payload), expected, "{}", payload.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_ordinary(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
