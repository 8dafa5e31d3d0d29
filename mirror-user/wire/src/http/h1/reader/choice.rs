//! Before a body that may not be there, or that may be framed otherwise than its head says: its
//! first bytes decide, however they are cut into segments.
//!
//! Three cases: a request whose final response came before its body began, so that the client may
//! have gone on without sending it (RFC 9110 §10.1.1); a response to a request that was not seen and
//! may have been HEAD; a response that says `chunked` where not every server means it.

use super::{Held, ReadEvent, Reader, State};
use crate::http::Context;
use crate::http::h1::chunk::Chunks;
use crate::http::h1::start::{self, Likeness};
use crate::http::message::{BodyLength, Incomplete};
use crate::packet::Timestamp;
use crate::tcp::event::Side;

/// What the first bytes behind a head may be.
#[derive(Debug)]
pub(super) struct Choice {
    /// How the body is framed, if it is there.
    framing: BodyLength,
    /// How it is framed if its first bytes show that it is not chunked.
    unless_chunked: Option<BodyLength>,
    /// Whether the next message may come in its place.
    absent: Absent,
    /// Bytes that did not decide it yet.
    held: Held,
}

/// Whether a body may be absent although its head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is there.
    Never,
    /// It is there unless what comes may be the next message.
    Perhaps,
    /// The client asked for leave to send it: what looks like the next message waits for the
    /// response, and without one it is the next message.
    UntilLeave,
}

/// What was chosen.
pub(in crate::http) enum Chosen {
    /// The body, with this framing.
    Body(BodyLength),
    /// The next message; the body was never sent.
    NextMessage,
}

impl Choice {
    /// Before a body with this framing; `None` where there is nothing to choose.
    pub(super) fn new(
        framing: BodyLength,
        unless_chunked: Option<BodyLength>,
        absent: Absent,
    ) -> Option<Box<Self>> {
        let empty = matches!(framing, BodyLength::None | BodyLength::Length(0));
        let open = absent != Absent::Never || unless_chunked.is_some();
        (open && !empty)
            .then(|| Box::new(Self { framing, unless_chunked, absent, held: Held::default() }))
    }

    /// What `bytes`, the first behind the head, are; `None` while that is open.
    fn of(&self, side: Side, bytes: &[u8]) -> Option<Chosen> {
        if self.absent != Absent::Never {
            match (start::next_message(side, bytes, self.framing), self.absent) {
                (Likeness::Open, _) | (Likeness::Alike, Absent::UntilLeave) => return None,
                (Likeness::Alike, _) => return Some(Chosen::NextMessage),
                (Likeness::Other, _) => {}
            }
        }
        let framing = match self.unless_chunked {
            None => self.framing,
            Some(other) => match Chunks::may_begin(bytes) {
                Likeness::Open => return None,
                Likeness::Alike => self.framing,
                Likeness::Other => other,
            },
        };
        Some(Chosen::Body(framing))
    }

    /// True when this many bytes may be missing here and what follows them still shows whether there
    /// is a body: a status line within what would be the body of a response.
    fn outlasts(&self, side: Side, missing: u64) -> bool {
        let is_first = self.held.bytes.is_empty() && self.held.missing_before.is_none();
        let goes_on = match self.framing {
            BodyLength::Length(length) => (1..length).contains(&missing),
            BodyLength::UntilClose => true,
            BodyLength::None | BodyLength::Chunked => false,
        };
        side == Side::Server && is_first && goes_on && self.absent == Absent::Perhaps
    }

    /// The same where nothing more will decide it.
    fn at_last(&self, side: Side, bytes: &[u8]) -> Chosen {
        let next = side == Side::Client
            && self.absent != Absent::Never
            && !bytes.is_empty()
            && start::next_message(side, bytes, self.framing) != Likeness::Other;
        if next { Chosen::NextMessage } else { Chosen::Body(self.framing) }
    }
}

impl Reader {
    /// Looks at the first bytes behind a head; takes them while they do not decide.
    pub(super) fn choose(&mut self, data: &mut &[u8], cx: &mut Context<'_>) -> ReadEvent {
        let side = self.side;
        let State::Choice(choice) = &mut self.state else { return ReadEvent::Nothing };
        if choice.held.bytes.is_empty()
            && let Some(chosen) = choice.of(side, data)
        {
            return ReadEvent::Chosen(chosen);
        }
        let before = choice.held.bytes.len();
        if !choice.held.push(data, cx.options.max_head, cx) {
            let bytes = if before == 0 { *data } else { &choice.held.bytes };
            // No request has so long a line.
            let endless = before.saturating_add(data.len()) > cx.options.max_head
                && start::next_message(side, bytes, choice.framing) == Likeness::Open;
            let body = Chosen::Body(choice.framing);
            return ReadEvent::Chosen(if endless { body } else { choice.at_last(side, bytes) });
        }
        if before > 0
            && let Some(chosen) = choice.of(side, &choice.held.bytes)
        {
            // The bytes of this segment are read at their own time.
            choice.held.bytes.truncate(before);
            return ReadEvent::Chosen(chosen);
        }
        *data = &[];
        ReadEvent::Nothing
    }

    /// Ends the choice. What was held is to be read again.
    pub(in crate::http) fn chosen(&mut self, chosen: &Chosen, cx: &mut Context<'_>) -> Held {
        let State::Choice(choice) = &mut self.state else { return Held::default() };
        let held = choice.held.release(cx);
        self.state = match *chosen {
            Chosen::NextMessage => {
                if self.side == Side::Server {
                    // It is the response to a HEAD.
                    self.reframe(BodyLength::None);
                }
                State::Start
            }
            Chosen::Body(framing) => {
                self.reframe(framing);
                State::body(framing)
            }
        };
        held
    }

    /// A final response to the message under way has come, which started then. Unless its body has
    /// begun, it may never come.
    pub(in crate::http) fn responded_early(&mut self, at: Timestamp) {
        match &mut self.state {
            // What the client sent before it knew of a response is no next request.
            State::Choice(choice) if !choice.held.bytes.is_empty() && choice.held.since < at => {
                choice.absent = Absent::Never;
            }
            State::Choice(choice) => choice.absent = Absent::Perhaps,
            state => {
                let framing = match state {
                    State::Length(left) if self.length == 0 => BodyLength::Length(*left),
                    State::Chunked(chunks) if !chunks.has_begun() => BodyLength::Chunked,
                    _ => return,
                };
                if !self.gap
                    && let Some(choice) = Choice::new(framing, None, Absent::Perhaps)
                {
                    *state = State::Choice(choice);
                }
            }
        }
    }

    /// The server wants the body (100, or 101, RFC 9110 §7.8): it is there.
    pub(in crate::http) fn continued(&mut self) {
        if let State::Choice(choice) = &mut self.state {
            choice.absent = Absent::Never;
        }
    }

    /// What the bytes that are held are by what is known now; `None` while that is open.
    pub(in crate::http) fn choose_again(&self) -> Option<Chosen> {
        match &self.state {
            State::Choice(choice) if !choice.held.bytes.is_empty() => {
                choice.of(self.side, &choice.held.bytes)
            }
            _ => None,
        }
    }

    /// What the body is behind whose head bytes are missing; `None` when there is nothing to choose,
    /// or when the bytes after them will decide. Bytes of a request that may have no body may be
    /// missing of the next one: its framing is lost.
    pub(in crate::http) fn choose_before_gap(&self, missing: u64) -> Option<Chosen> {
        match &self.state {
            State::Choice(choice) if choice.outlasts(self.side, missing) => None,
            State::Choice(choice) if self.side == Side::Server || !choice.held.bytes.is_empty() => {
                Some(choice.at_last(self.side, &choice.held.bytes))
            }
            _ => None,
        }
    }

    /// Passes over `missing` bytes before the choice is made, if the bytes after them can decide it.
    pub(super) fn passes_over(&mut self, missing: u64, at: Timestamp) -> bool {
        match &mut self.state {
            State::Choice(choice) if choice.outlasts(self.side, missing) => {
                choice.held.missing_before = Some(missing);
                choice.held.since = at;
                true
            }
            _ => false,
        }
    }

    /// What the body is when nothing more will come to decide; `None` when there is nothing to choose.
    pub(in crate::http) fn choose_at_last(&self) -> Option<Chosen> {
        match &self.state {
            State::Choice(choice) => Some(choice.at_last(self.side, &choice.held.bytes)),
            _ => None,
        }
    }

    /// Why the message under way has no body when the next one came in its place.
    pub(in crate::http) fn without_body(&self) -> Option<Incomplete> {
        // A response without its body belongs to a HEAD, and is whole.
        (self.side == Side::Client).then_some(Incomplete::BodyNotSent)
    }
}
