//! Reads the server's name in a ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), as rustls reads it.

use std::fmt;

use tokio_rustls::rustls::server::Acceptor;

/// Bytes of a ClientHello that are read: as much as a record may have (RFC 8446 §5.1), with its header. Those of browsers take some
/// 1.8 KiB with post-quantum keys.
pub const MAX_HELLO_BYTES: usize = 16_384 + 5;

/// Part of a ClientHello.
#[derive(Default)]
pub(super) struct Hello {
    acceptor: Acceptor,
    bytes: usize,
}

/// What is known of the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing; the ClientHello is not whole yet.
    Open,
    /// The name in lower case; `None` where there is none, or where the bytes are no ClientHello or too long for one.
    Read(Option<String>),
}

impl Hello {
    /// Reads on.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Name {
        let room = MAX_HELLO_BYTES.saturating_sub(self.bytes);
        let is_last = bytes.len() > room;
        let mut rest = bytes.get(..room).unwrap_or(bytes);
        self.bytes = self.bytes.saturating_add(rest.len());
        while !rest.is_empty() {
            match self.acceptor.read_tls(&mut rest) {
                Ok(read) if read > 0 => {}
                Ok(_) | Err(_) => return Name::Read(None),
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                    return Name::Read(name);
                }
                Err(_) => return Name::Read(None),
            }
        }
        if is_last { Name::Read(None) } else { Name::Open }
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
