//! Identifiers of sessions and exchanges, shared by the pipeline's thread and the engine.

use crate::http::message::ConnectionId;

/// Identifies a session: a captured connection and one of its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionKey {
    pub(super) connection: ConnectionId,
    pub(super) copy: u32,
}

/// Identifies one exchange of one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ExchangeKey {
    pub(super) session: SessionKey,
    /// Its index on its connection.
    pub(super) index: u32,
}
