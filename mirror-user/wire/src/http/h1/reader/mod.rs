//! One side of a connection: where in which message it is, and what the next bytes are.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::Context;
use crate::http::flaws::Flaws;
use crate::http::h1::chunk::Chunks;
use crate::http::h1::head::Parsed;
use crate::http::keep::Keeper;
use crate::http::message::{BodyLength, Flaw, Message};
use crate::http::stats::{NotHttp, Refusal};
use crate::packet::Timestamp;
use crate::tcp::event::Side;

mod body;
mod choice;
mod held;
mod message;
mod proxied;
mod recovery;
mod seek;

use self::choice::Choice;
pub(super) use self::choice::{Absent, Chosen};
pub(super) use self::held::Held;
pub(super) use self::message::Begin;
pub(super) use self::recovery::Gap;

/// Reads one side.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    state: State,
    /// A message of this side was read to the end of its head.
    begun: bool,
    /// What is read now was found by its pattern, so it may be something else.
    guessed: bool,
    /// Something before on this side was refused.
    refused: bool,
    /// The other side has gone on since, so that what comes next is a message of its own.
    in_turn: bool,
    /// A header of the PROXY protocol cannot come any more.
    unproxied: bool,
    /// The client that such a header named.
    proxied_client: Option<Box<SocketAddr>>,
    /// Bytes of the message under way were never seen.
    gap: bool,
    /// Flaws of the message under way.
    flaws: Flaws,
    started: Timestamp,
    finished: Timestamp,
    /// Content bytes so far.
    length: u64,
    message: Option<Arc<Message>>,
    keeper: Option<Box<Keeper>>,
    /// The beginning of a head, copied because the rest is still to come.
    partial: Vec<u8>,
    /// Bytes taken from the budget.
    charged: u64,
}

#[derive(Debug)]
enum State {
    /// A message may start.
    Start,
    /// In what may be a header of the PROXY protocol; its bytes so far are in `partial`.
    Proxied,
    /// In a head; its bytes so far are in `partial`, and its first line was looked at or not.
    Head { line_seen: bool },
    /// Before a body that may be absent, or framed otherwise.
    Choice(Box<Choice>),
    /// In a body with this number of bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Box<Chunks>),
    /// In a body that ends with the connection.
    UntilClose,
    /// Framing was lost: looking for the next message.
    Resync,
    /// What comes may be another protocol; what the other side sends decides.
    Await(Box<Held>),
    /// Behind a request with `Connection: close`: nothing is due, but the server may go on.
    Closing,
    /// Nothing is to come, or nothing is read any more.
    Ended { reported: bool },
}

impl State {
    /// Before a body with this framing.
    fn body(framing: BodyLength) -> Self {
        match framing {
            BodyLength::None => Self::Start,
            BodyLength::Length(n) => Self::Length(n),
            BodyLength::Chunked => Self::Chunked(Box::default()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }
}

/// What the reader came to.
pub(super) enum ReadEvent {
    /// The end of the bytes.
    Nothing,
    /// A head; its field lines are in the scratch space.
    Head(Parsed, Bytes),
    /// The end of the message.
    End,
    /// The message cannot be read on.
    Bad(Flaw),
    /// Something that is no message.
    Refused(Refusal),
    /// Something else than HTTP/1, or else a reason to refuse it.
    NotHttp(NotHttp, Refusal),
    /// The first bytes behind a head show what they are.
    Chosen(Chosen),
    /// Too many bytes while it is not known which protocol they are.
    HeldTooMuch,
}

impl Reader {
    pub(super) fn new(side: Side, midstream: bool) -> Self {
        Self {
            side,
            state: if midstream { State::Resync } else { State::Start },
            begun: false,
            guessed: false,
            refused: false,
            in_turn: false,
            unproxied: false,
            proxied_client: None,
            gap: false,
            flaws: Flaws::default(),
            started: Timestamp::default(),
            finished: Timestamp::default(),
            length: 0,
            message: None,
            keeper: None,
            partial: Vec::new(),
            charged: 0,
        }
    }

    /// When the message under way, or the last one, started.
    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    /// The client that a header of the PROXY protocol named.
    pub(super) fn proxied_client(&self) -> Option<SocketAddr> {
        self.proxied_client.as_deref().copied()
    }

    /// True from the end of the first head on.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    pub(super) fn is_until_close(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Reads on until there is an event; takes what it read from `data`.
    pub(super) fn read(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        if data.is_empty() {
            return ReadEvent::Nothing;
        }
        match &mut self.state {
            State::Length(left) => {
                let n = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= n as u64;
                let ended = *left == 0;
                self.take(data, 0, n, cx);
                if ended { ReadEvent::End } else { ReadEvent::Nothing }
            }
            State::Chunked(_) => self.chunked(data, cx),
            State::Choice(_) => self.choose(data, cx),
            State::UntilClose => {
                self.take(data, 0, data.len(), cx);
                ReadEvent::Nothing
            }
            State::Start => self.start(data, cx),
            State::Proxied => self.proxied(data, cx),
            State::Head { .. } => self.head(data, cx),
            State::Resync => self.resync(data, cx),
            State::Await(_) => self.hold_until_response(data, cx),
            State::Closing => self.after_close(data, cx),
            State::Ended { .. } => self.after_end(data, cx),
        }
    }

    /// The side has said that it sends nothing more.
    pub(super) fn close(&mut self) {
        self.state = State::Closing;
    }

    /// Nothing more is to be read; bytes that come nevertheless are refused.
    pub(super) fn end(&mut self) {
        self.state = State::Ended { reported: false };
    }
}
