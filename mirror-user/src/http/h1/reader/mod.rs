//! One side of a connection: where in which message it is, and what the next bytes are.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::http::Room;
use crate::http::flaws::Flaws;
use crate::http::h1::chunk::{Chunks, Piece};
use crate::http::h1::fields;
use crate::http::h1::head::Parsed;
use crate::http::keep::{self, Keeper};
use crate::http::message::{Body, BodyLength, Flaw, Head, Incomplete, Message, StartLine};
use crate::http::stats::{NotHttp, Refusal, Unread};
use crate::packet::Timestamp;
use crate::tcp::event::Side;

mod choice;
mod held;
mod proxied;
mod seek;

use self::choice::Choice;
pub(super) use self::choice::{Absent, Chosen};
pub(super) use self::held::Held;

/// What a message costs beside its bytes, for the budget.
const MESSAGE_COST: u64 = 512;

/// Reads one side.
#[derive(Debug)]
pub(super) struct Reader {
    side: Side,
    state: State,
    /// A message of this side was read to the end of its head.
    begun: bool,
    /// What is read now was found by its looks, so it may be something else.
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
    /// In a body with so many bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Box<Chunks>),
    /// In a body that ends with the connection.
    UntilClose,
    /// Framing was lost: looking for the next message.
    Resync,
    /// What comes may be another protocol; the other side's answer will tell.
    Await(Box<Held>),
    /// Behind a request with `Connection: close`: nothing is due, but the server may go on.
    Closing,
    /// Nothing is to come, or nothing is read any more.
    Ended { told: bool },
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

/// What the reader met.
pub(super) enum Met {
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

    /// Reads on until something is met; takes what it read from `data`.
    pub(super) fn read(&mut self, data: &mut &[u8], room: &mut Room<'_>) -> Met {
        if data.is_empty() {
            return Met::Nothing;
        }
        match &mut self.state {
            State::Length(left) => {
                let n = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= n as u64;
                let ended = *left == 0;
                self.take(data, 0, n, room);
                if ended { Met::End } else { Met::Nothing }
            }
            State::Chunked(_) => self.chunked(data, room),
            State::Choice(_) => self.choose(data, room),
            State::UntilClose => {
                self.take(data, 0, data.len(), room);
                Met::Nothing
            }
            State::Start => self.start(data, room),
            State::Proxied => self.proxied(data, room),
            State::Head { .. } => self.head(data, room),
            State::Resync => self.resync(data, room),
            State::Await(_) => self.hold_until_response(data, room),
            State::Closing => self.after_close(data, room),
            State::Ended { .. } => self.after_end(data, room),
        }
    }

    fn chunked(&mut self, data: &mut &[u8], room: &mut Room<'_>) -> Met {
        while let State::Chunked(chunks) = &mut self.state {
            match chunks.next(data) {
                Piece::Content(framing, n) => self.take(data, framing, n, room),
                Piece::Framing(n) => self.take(data, n, 0, room),
                Piece::End(n) => {
                    self.take(data, n, 0, room);
                    return self.end_of_chunks(room);
                }
                Piece::Bad(n, flaw) => {
                    self.take(data, n, 0, room);
                    return Met::Bad(flaw);
                }
            }
            if data.is_empty() {
                break;
            }
        }
        Met::Nothing
    }

    /// Takes bytes of the body: so many of framing, then so many of content.
    fn take(&mut self, data: &mut &[u8], framing: usize, content: usize, room: &mut Room<'_>) {
        let taken = framing + content;
        self.length += content as u64;
        self.finished = room.at;
        room.read(self.side, taken);
        let (body, rest) = data.split_at_checked(taken).unwrap_or((data, &[]));
        *data = rest;
        if let Some(keeper) = &mut self.keeper {
            keeper.content(body.get(framing..).unwrap_or_default());
            keeper.wire(body, room.budget);
        }
    }

    fn end_of_chunks(&mut self, room: &mut Room<'_>) -> Met {
        let State::Chunked(chunks) = std::mem::replace(&mut self.state, State::Start) else {
            return Met::End;
        };
        if chunks.spaced {
            self.flaws.add(Flaw::ChunkSpace);
        }
        if chunks.bare_lf {
            self.flaws.add(Flaw::BareLf);
        }
        if chunks.trailer.is_empty() {
            return Met::End;
        }
        room.lines.clear();
        let flaws = fields::split(self.side, &chunks.trailer, 0, room.lines);
        if flaws.refuse(Side::Client) {
            return Met::Bad(Flaw::BadTrailer);
        }
        self.flaws.join(flaws);
        if room.options.heads
            && let Some(message) = self.message.as_mut().and_then(Arc::get_mut)
        {
            message.body.trailers = room.lines.clone();
            message.body.trailer_bytes = Bytes::from(chunks.trailer);
        }
        Met::End
    }

    /// Begins the message whose head was met. False when there is no room for it.
    pub(super) fn begin(&mut self, head: Begin, room: &mut Room<'_>) -> bool {
        let Begin { start, flaws, len, raw, framing, unless_chunked, absent } = head;
        let charge = MESSAGE_COST + raw.len() as u64;
        if !room.budget.take(charge) {
            return false;
        }
        self.charged += charge;
        self.begun = true;
        self.guessed = false;
        self.gap = false;
        self.length = 0;
        self.finished = room.at;
        self.flaws.join(flaws);
        if std::mem::take(&mut self.in_turn) {
            self.refused = false;
        }
        if self.refused {
            self.flaws.add(Flaw::AfterRefusal);
        }
        room.read(self.side, len);
        room.side(self.side).messages += 1;
        let headers = if room.options.heads { room.lines.clone() } else { Vec::new() };
        self.message = Some(Arc::new(Message {
            started: self.started,
            finished: room.at,
            head: Head { raw, start, headers },
            body: Body { framing, ..Body::default() },
            incomplete: None,
            flaws: Flaws::default(),
        }));
        self.keeper = match framing {
            BodyLength::None | BodyLength::Length(0) => None,
            _ => Keeper::new(room.options.keep(self.side)),
        };
        self.state = match Choice::new(framing, unless_chunked, absent) {
            Some(choice) => State::Choice(choice),
            None => State::body(framing),
        };
        true
    }

    /// The body of the message under way is framed so.
    fn reframe(&mut self, framing: BodyLength) {
        if let Some(message) = self.message.as_mut().and_then(Arc::get_mut) {
            message.body.framing = framing;
        }
    }

    /// True while a message is under way, from the end of its head on.
    pub(super) fn is_in_message(&self) -> bool {
        self.message.is_some()
    }

    /// True when neither a message nor a head is under way.
    pub(super) fn is_between_messages(&self) -> bool {
        self.message.is_none() && self.partial.is_empty()
    }

    /// When the last byte of a message was seen, unless one is under way.
    pub(super) fn rests_since(&self) -> Option<Timestamp> {
        self.message.is_none().then_some(self.finished)
    }

    /// True when the message that has just begun has no body to read.
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(self.state, State::Start | State::Length(0))
    }

    /// Adds a flaw to the message under way.
    pub(super) fn flaw(&mut self, flaw: Flaw) {
        self.flaws.add(flaw);
    }

    /// Ends the message under way and hands it out, with the bytes of the budget that it holds.
    pub(super) fn finish(
        &mut self,
        cut: Option<Incomplete>,
        room: &mut Room<'_>,
    ) -> Option<(Arc<Message>, u64)> {
        let mut whole = self.message.take()?;
        let flaws = std::mem::take(&mut self.flaws);
        self.state = State::Start;
        let refused = (!flaws.is_empty() && flaws.refuse(self.side)).then_some(Incomplete::Refused);
        let gap = std::mem::take(&mut self.gap).then_some(Incomplete::Gap);
        let incomplete = refused.or(gap).or(cut);
        let mut charged = std::mem::take(&mut self.charged);
        let message = Arc::get_mut(&mut whole).expect("a message is shared only when it has ended");
        message.finished = self.finished;
        message.incomplete = incomplete;
        message.flaws = flaws;
        message.body.length = self.length;
        if let Some(keeper) = self.keeper.take() {
            let kept = keeper.finish(room.budget);
            charged += kept.charged;
            message.body.sha256 = kept.sha256;
            message.body.wire = kept.wire;
            if let Some(why) = kept.not_kept {
                room.side(self.side).not_kept.count(why);
            }
        } else if room.options.keep(self.side).digests() {
            message.body.sha256 = Some(keep::EMPTY_DIGEST);
        }
        let stats = room.side(self.side);
        for flaw in flaws.iter() {
            stats.flaws.count(flaw);
        }
        match incomplete {
            None => stats.whole += 1,
            Some(why) => stats.incomplete.count(why),
        }
        Some((whole, charged))
    }

    /// Passes over `n` bytes that were never seen (0: an unknown number). False when that loses
    /// the framing, and with it the message under way.
    pub(super) fn gap(&mut self, n: u64, room: &mut Room<'_>) -> Gap {
        let stats = room.side(self.side);
        stats.gap_bytes = stats.gap_bytes.saturating_add(n);
        let kept = match &mut self.state {
            State::Length(left) if n > 0 && n <= *left => {
                *left -= n;
                true
            }
            State::Chunked(chunks) => n > 0 && chunks.skip(n),
            State::UntilClose | State::Closing | State::Ended { .. } => true,
            State::Await(held) => {
                held.gap = true;
                true
            }
            State::Start
            | State::Proxied
            | State::Head { .. }
            | State::Choice(_)
            | State::Length(_)
            | State::Resync => false,
        };
        if kept {
            self.gap = self.message.is_some();
            return if matches!(self.state, State::Length(0)) { Gap::End } else { Gap::Within };
        }
        stats.lost_framing += 1;
        Gap::Lost
    }

    /// Framing is lost: the next message is looked for. A head under way is cut.
    pub(super) fn lose(&mut self, why: Incomplete, room: &mut Room<'_>) {
        self.cut_head(why, room);
        self.flaws = Flaws::default();
        self.state = State::Resync;
    }

    /// The side cannot be read on after what was refused.
    pub(super) fn refuse(&mut self, data: &mut &[u8], refusal: Refusal, room: &mut Room<'_>) {
        room.side(self.side).refused.count(refusal);
        room.drop_all(self.side, Unread::Refused, data);
        self.flaws = Flaws::default();
        self.distrust();
        if !self.has_ended() {
            self.state = State::Resync;
        }
    }

    /// What comes may be part of what was not read.
    pub(super) fn distrust(&mut self) {
        self.refused = true;
    }

    /// The other side took what was refused for a message and has gone on: what this side sends next
    /// is one, too.
    pub(super) fn goes_on(&mut self) {
        self.in_turn = true;
    }

    /// What was read after a refusal was a message, and the framing is known again.
    pub(super) fn recover(&mut self) {
        self.refused = false;
    }

    /// True while what is read may be part of what was refused.
    pub(super) fn is_after_refusal(&self) -> bool {
        self.refused
    }

    /// A head that will not end any more.
    pub(super) fn cut_head(&mut self, why: Incomplete, room: &mut Room<'_>) {
        if self.partial.is_empty() {
            return;
        }
        if self.partial.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            // Empty lines with which a header of the PROXY protocol might have begun.
            room.unread(self.side, Unread::BetweenMessages, self.partial.len());
            self.forget_partial(room);
        } else {
            let stats = room.side(self.side);
            stats.cut_heads.count(why);
            stats.unread.add(Unread::CutHead, self.partial.len() as u64);
            self.forget_partial(room);
        }
    }

    /// The side has said that it sends nothing more.
    pub(super) fn close(&mut self) {
        self.state = State::Closing;
    }

    /// Nothing more is to be read; bytes that come nevertheless are refused.
    pub(super) fn end(&mut self) {
        self.state = State::Ended { told: false };
    }
}

/// A head that was met, and how its body is framed.
pub(super) struct Begin {
    pub(super) start: StartLine,
    pub(super) flaws: Flaws,
    /// Its length with the empty line.
    pub(super) len: usize,
    pub(super) raw: Bytes,
    pub(super) framing: BodyLength,
    /// How it is framed if its first bytes show that it is not chunked.
    pub(super) unless_chunked: Option<BodyLength>,
    /// Whether its body may be absent.
    pub(super) absent: Absent,
}

/// What a gap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    /// What follows it can be read on.
    Within,
    /// It covers the rest of the body.
    End,
    /// Framing is lost.
    Lost,
}
