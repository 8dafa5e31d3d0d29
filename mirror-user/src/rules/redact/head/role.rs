//! The syntax of a field's value by its name, independent of the lists of names.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Cookie,
    SetCookie,
    /// A reference with a path and a query.
    Reference,
    /// Determines where the message ends.
    Framing,
    /// W3C trace context.
    Trace,
    /// WebSocket protocols, in which browsers send credentials that they cannot send as a header.
    Protocols,
    /// A challenge of a server (RFC 9110 §11.6.1), in which some schemes put credentials.
    Challenge,
    Other,
}

impl Role {
    pub(super) fn of(name: &[u8]) -> Self {
        // Compares the length first, because this runs for every field.
        let (known, role): (&[u8], _) = match name.len() {
            6 => (b"cookie", Self::Cookie),
            7 if name.ends_with(b"2") => (b"cookie2", Self::Cookie),
            7 => (b"referer", Self::Reference),
            8 => (b"location", Self::Reference),
            10 => (b"set-cookie", Self::SetCookie),
            11 if name.ends_with(b"2") => (b"set-cookie2", Self::SetCookie),
            11 => (b"traceparent", Self::Trace),
            14 if name.ends_with(b"i") || name.ends_with(b"I") => {
                (b"x-original-uri", Self::Reference)
            }
            14 if name.ends_with(b"l") || name.ends_with(b"L") => {
                (b"x-original-url", Self::Reference)
            }
            14 => (b"content-length", Self::Framing),
            15 => (b"x-forwarded-uri", Self::Reference),
            16 if name.ends_with(b"e") || name.ends_with(b"E") => {
                (b"www-authenticate", Self::Challenge)
            }
            16 => (b"content-location", Self::Reference),
            17 => (b"transfer-encoding", Self::Framing),
            18 => (b"proxy-authenticate", Self::Challenge),
            22 => (b"sec-websocket-protocol", Self::Protocols),
            _ => return Self::Other,
        };
        if known.eq_ignore_ascii_case(name) { role } else { Self::Other }
    }
}
