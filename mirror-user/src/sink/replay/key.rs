//! What names a session and an exchange of it: by these, threads and tables speak of the same one.

use crate::http::message::ConnectionId;

/// Names one session: a captured connection, and which of its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    pub(super) connection: ConnectionId,
    pub(super) copy: u32,
}

/// Names one exchange of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ExchangeKey {
    pub(super) session: SessionKey,
    /// Its place on its connection.
    pub(super) index: u32,
}
