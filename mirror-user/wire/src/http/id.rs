//! Names of connections and exchanges, unique within a run, whoever captured them.

use std::fmt;

/// Whose capture something comes from, where those of several hosts meet in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub u16);

impl Origin {
    /// This host's own capture.
    pub const LOCAL: Self = Self(0);
}

/// Names one connection within a run, whichever host it was captured on.
///
/// It is one word, so that what is kept for each connection takes the same memory with one origin as
/// with many: the origin in the upper 16 bits, the serial number below. A host that opens a million
/// connections a second uses no number twice within 8 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// Bits of a serial number.
const SERIAL_BITS: u32 = 48;

impl ConnectionId {
    /// The connection with this serial number
    /// ([`ConnId::serial`](crate::tcp::event::ConnId::serial)) among those of `origin`. Bits above
    /// the 48th are left out.
    #[must_use]
    pub const fn new(origin: Origin, serial: u64) -> Self {
        let serial = serial & ((1 << SERIAL_BITS) - 1);
        Self(((origin.0 as u64) << SERIAL_BITS) | serial)
    }

    /// One of this host's own capture.
    #[must_use]
    pub const fn local(serial: u64) -> Self {
        Self::new(Origin::LOCAL, serial)
    }

    /// Who captured it.
    #[must_use]
    pub const fn origin(self) -> Origin {
        Origin((self.0 >> SERIAL_BITS) as u16)
    }

    /// Its number among those of its origin.
    #[must_use]
    pub const fn serial(self) -> u64 {
        self.0 & ((1 << SERIAL_BITS) - 1)
    }

    /// A number that no other connection of the run has: the serial number where it is local.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The serial number alone where it is local: `7`, or else `1f.7`.
impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin() {
            Origin::LOCAL => write!(f, "{}", self.serial()),
            Origin(origin) => write!(f, "{origin:x}.{}", self.serial()),
        }
    }
}

/// Names one exchange within a run: its connection, and the request's place on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId {
    /// Its connection.
    pub connection: ConnectionId,
    /// Its place among the exchanges of the connection, from 0.
    pub index: u32,
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connection, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_host_is_no_local_one_and_takes_no_more_space() {
        let here = ConnectionId::local(7);
        let there = ConnectionId::new(Origin(0x1f), 7);
        assert_ne!(here, there);
        assert_eq!((here.origin(), here.serial(), here.number()), (Origin::LOCAL, 7, 7));
        assert_eq!((there.origin(), there.serial()), (Origin(0x1f), 7));
        let text = |connection| ExchangeId { connection, index: 2 }.to_string();
        assert_eq!((text(here), text(there)), ("7-2".to_owned(), "1f.7-2".to_owned()));
        assert_eq!(size_of::<ExchangeId>(), 16);
    }
}
