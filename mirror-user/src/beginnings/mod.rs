//! What connections begin with: which protocol a client speaks, and which server it names where it begins TLS.
//!
//! Stream events in; a [`Spoken`] out for each connection, once its client's first bytes tell. Bytes are only looked at: `http`
//! gets the same events. Refuses nothing: what cannot be told is [`Protocol::Unknown`]. Remembers the beginning of
//! each TLS handshake until it is whole, within [`MAX_HELLOS`] and [`MAX_HELLO_BYTES`].

pub mod first_bytes;
mod hello;

use std::sync::Arc;

use hashbrown::HashMap;

use self::first_bytes::Beginning;
use self::hello::{Hello, Name};
use crate::packet::Timestamp;
use crate::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

pub use self::hello::MAX_HELLO_BYTES;

/// Handshakes of which parts are known. Of more, the server's name is not read.
pub const MAX_HELLOS: usize = 1_000;

/// Connections of which nothing was said so far; beyond, what they speak is not told.
const MAX_SILENT: usize = 100_000;

/// What a connection's client said first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The two ends.
    pub peers: Arc<Peers>,
    /// When it said it, or when it ended without a word.
    pub at: Timestamp,
    /// What it was.
    pub protocol: Protocol,
}

/// A protocol, as far as first bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// TLS, and the server that the client asked for (SNI, RFC 6066 §3), in lower case; `None` where it named none, or where the
    /// handshake was not seen whole.
    Tls(Option<String>),
    /// Something else, or nothing.
    Unknown,
}

/// Reads the beginnings of connections.
#[derive(Debug, Default)]
pub struct Beginnings {
    /// Connections that have not told yet, by their slots.
    silent: HashMap<u32, Silent>,
    /// How many of them have a handshake.
    hellos: usize,
}

#[derive(Debug)]
struct Silent {
    conn: ConnId,
    peers: Arc<Peers>,
    hello: Option<Box<Hello>>,
}

impl Beginnings {
    /// Takes an event; adds to `out` what it told.
    pub fn push(&mut self, event: &StreamEvent, out: &mut Vec<Spoken>) {
        let StreamEvent { conn, at, change } = event;
        match change {
            Change::Opened { peers, .. } => {
                if self.silent.len() < MAX_SILENT {
                    let silent = Silent { conn: *conn, peers: Arc::clone(peers), hello: None };
                    self.silent.insert(conn.slot, silent);
                }
            }
            Change::Data(Side::Client, bytes) => self.read(*conn, *at, bytes, out),
            Change::Gap(Side::Client, _) | Change::Closed(_) => {
                if let Some(silent) = self.take(*conn) {
                    let protocol = match silent.hello {
                        Some(_) => Protocol::Tls(None),
                        None => Protocol::Unknown,
                    };
                    out.push(Spoken { peers: silent.peers, at: *at, protocol });
                }
            }
            Change::Data(Side::Server, _)
            | Change::Gap(Side::Server, _)
            | Change::Omitted(..)
            | Change::Finished(_) => {}
        }
    }

    fn read(&mut self, conn: ConnId, at: Timestamp, bytes: &[u8], out: &mut Vec<Spoken>) {
        let Self { silent, hellos } = self;
        let Some(known) = silent.get_mut(&conn.slot).filter(|known| known.conn == conn) else {
            return;
        };
        let protocol = match &mut known.hello {
            Some(hello) => of_hello(hello, bytes),
            None => match first_bytes::read(bytes) {
                // It may come in several segments.
                Beginning::ClientHello if *hellos < MAX_HELLOS => {
                    *hellos += 1;
                    of_hello(known.hello.insert(Box::default()), bytes)
                }
                Beginning::ClientHello | Beginning::TlsRecord => Some(Protocol::Tls(None)),
                Beginning::Http2 => Some(Protocol::Http2),
                Beginning::H2c | Beginning::Request => Some(Protocol::Http1),
                Beginning::Other => Some(Protocol::Unknown),
            },
        };
        if let Some(protocol) = protocol
            && let Some(silent) = self.take(conn)
        {
            out.push(Spoken { peers: silent.peers, at, protocol });
        }
    }

    fn take(&mut self, conn: ConnId) -> Option<Silent> {
        if self.silent.get(&conn.slot)?.conn != conn {
            return None;
        }
        let silent = self.silent.remove(&conn.slot)?;
        self.hellos = self.hellos.saturating_sub(usize::from(silent.hello.is_some()));
        Some(silent)
    }
}

/// What a handshake tells with these bytes behind it; `None`: nothing yet.
fn of_hello(hello: &mut Hello, bytes: &[u8]) -> Option<Protocol> {
    match hello.push(bytes) {
        Name::Open => None,
        Name::Read(name) => Some(Protocol::Tls(name)),
    }
}

#[cfg(test)]
mod tests;
