//! What the stage `http` counts.

use enum_map::Enum;
use strum::IntoStaticStr;

use super::message::{Flaw, Incomplete};
use crate::stats::{Account, Seam, Tally};

/// Why one side of a connection could not be read on as it was: "it was refused for its …". The
/// side is searched for a next message at the start of a segment. What is found there bears
/// [`Flaw::AfterRefusal`], unless the other side goes on in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// A request line without three parts.
    RequestLine,
    /// An HTTP/0.9 request.
    Http09,
    /// A method that is no token.
    Method,
    /// A target with a control character.
    Target,
    /// A version other than HTTP/1.0, HTTP/1.1 and later minor ones.
    Version,
    /// No status line where one was due.
    StatusLine,
    /// A status that is no number of three digits.
    Status,
    /// A head longer than [`HttpOptions::max_head`](super::HttpOptions::max_head).
    HeadTooLarge,
    /// Lengths, codings or chunks from which the end of the message cannot be known.
    Framing,
    /// Bytes after a request with `Connection: close`, or after the end of the side.
    AfterClose,
    /// A header of the PROXY protocol that breaks its rules.
    ProxyHeader,
    /// A head for which there was no space
    /// ([`HttpOptions::max_held`](super::HttpOptions::max_held)).
    NoRoom,
}

/// Why a connection is not read as HTTP/1 (any more): "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotHttp {
    /// TLS records.
    Tls,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Another protocol.
    Unknown,
    /// Upgraded by `101 Switching Protocols`.
    Upgraded,
    /// A tunnel after CONNECT.
    Tunnel,
    /// Beyond what all connections together may hold
    /// ([`HttpOptions::max_held`](super::HttpOptions::max_held)).
    NoRoom,
}

/// Why bytes are part of no message: "they were …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Unread {
    /// On a connection that is not HTTP/1, or not any more.
    NotHttp,
    /// Empty lines before a start line, or a header of the PROXY protocol.
    BetweenMessages,
    /// After a gap, or before the first message start of a connection seen from its middle.
    Resync,
    /// In or after something that was refused.
    Refused,
    /// In a head that never ended.
    CutHead,
    /// On a connection for whose state there was no space.
    NoRoom,
}

/// Why a body that should have been kept was not: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotKept {
    /// Longer than the limit for one body.
    TooLarge,
    /// Too much, together with all that was held.
    NoRoom,
    /// Too much on disk, together with all that waits there.
    SpoolFull,
    /// Not writable to a temporary file.
    SpoolFailed,
}

/// Why a request and a response were not paired: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Unpaired {
    /// A response that no request waited for.
    Unsolicited,
    /// A request whose connection, or whose server's side, ended first.
    Unanswered,
    /// A request or response around a gap of a pipelining connection.
    Uncertain,
    /// A request beyond [`HttpOptions::max_waiting`](super::HttpOptions::max_waiting).
    TooManyWaiting,
}

/// What happened to the messages of one side.
#[derive(Debug, Default)]
pub struct SideStats {
    /// Heads that were read.
    pub messages: u64,
    /// Messages that were whole and not refused.
    pub whole: u64,
    /// The others.
    pub incomplete: Tally<Incomplete>,
    /// Heads that began and never ended.
    pub cut_heads: Tally<Incomplete>,
    /// Bytes that came in.
    pub bytes: u64,
    /// Bytes that are part of a message.
    pub message_bytes: u64,
    /// The other bytes.
    pub unread: Tally<Unread>,
    /// Bytes that the capture never saw, as far as their number is known.
    pub gap_bytes: u64,
    /// Gaps that lost the framing.
    pub lost_framing: u64,
    /// Ways in which messages can be read in two ways; a message counts once for each.
    pub flaws: Tally<Flaw>,
    /// Times that the side could not be read on.
    pub refused: Tally<Refusal>,
    /// Bodies that should have been kept and were not.
    pub not_kept: Tally<NotKept>,
}

impl SideStats {
    /// The messages that were begun and are not whole: cut in their heads or after them.
    fn lost(&self) -> Tally<Incomplete> {
        let mut lost = Tally::default();
        for tally in [&self.incomplete, &self.cut_heads] {
            tally.iter().for_each(|(reason, n)| lost.add(reason, n));
        }
        lost
    }
}

/// What [`HttpStats::notes`] counts besides reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HttpCount {
    /// Connections opened.
    Connections,
    /// Interim responses.
    Interim,
    /// Connections that began with a header of the PROXY protocol.
    Proxied,
    /// Exchanges with both request and response.
    Paired,
}

/// Everything that the stage `http` counted.
#[derive(Debug, Default)]
pub struct HttpStats {
    /// Connections opened.
    pub connections: u64,
    /// Connections that are not HTTP/1, or not any more.
    pub not_http: Tally<NotHttp>,
    /// The client's side.
    pub requests: SideStats,
    /// The server's side, interim responses included.
    pub responses: SideStats,
    /// Interim (1xx) responses; they are part of `responses.whole`.
    pub interim: u64,
    /// Connections that began with a header of the PROXY protocol.
    pub proxied: u64,
    /// Exchanges with both request and response.
    pub paired: u64,
    /// Exchanges with one of them.
    pub unpaired: Tally<Unpaired>,
}

impl HttpStats {
    /// Counts that explain the accounts, by name.
    #[must_use]
    pub fn notes(&self) -> Vec<(&'static str, u64)> {
        let mut notes = vec![
            (HttpCount::Connections.into(), self.connections),
            (HttpCount::Interim.into(), self.interim),
            (HttpCount::Proxied.into(), self.proxied),
            (HttpCount::Paired.into(), self.paired),
        ];
        notes.extend(self.unpaired.non_zero());
        notes.extend(self.not_http.non_zero());
        notes
    }

    /// The proofs that nothing was lost in silence: of requests, of responses, and of the bytes of
    /// each side. In flight are messages whose bodies have not ended, and bytes of heads that have
    /// not; none after the end of the input.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        let messages = |seam, side: &SideStats| Account {
            seen: side.messages.saturating_add(side.cut_heads.total()),
            delivered: side.whole,
            dropped: side.lost().counts(),
            ..Account::new(seam)
        };
        let bytes = |seam, side: &SideStats| Account {
            seen: side.bytes,
            delivered: side.message_bytes,
            dropped: side.unread.counts(),
            ..Account::new(seam)
        };
        let accounts = [
            messages(Seam::Requests, &self.requests),
            messages(Seam::Responses, &self.responses),
            bytes(Seam::ClientBytes, &self.requests),
            bytes(Seam::ServerBytes, &self.responses),
        ];
        accounts.map(Account::with_rest_in_flight).into()
    }
}
