//! The message under way: from the end of its head to its own end.

use std::sync::Arc;

use bytes::Bytes;

use super::choice::{Absent, Choice};
use super::{Reader, State};
use crate::http::Context;
use crate::http::flaws::Flaws;
use crate::http::keep::{self, Keeper};
use crate::http::message::{Body, BodyLength, Flaw, Head, Incomplete, Message, StartLine};
use crate::packet::Timestamp;

/// What a message costs besides its bytes, for the budget.
const MESSAGE_COST: u64 = 512;

/// A head that was read, and how its body is framed.
pub(in crate::http::h1) struct Begin {
    pub(in crate::http::h1) start: StartLine,
    pub(in crate::http::h1) flaws: Flaws,
    /// Its length with the empty line.
    pub(in crate::http::h1) len: usize,
    pub(in crate::http::h1) raw: Bytes,
    pub(in crate::http::h1) framing: BodyLength,
    /// How it is framed if its first bytes show that it is not chunked.
    pub(in crate::http::h1) unless_chunked: Option<BodyLength>,
    /// Whether its body may be absent.
    pub(in crate::http::h1) absent: Absent,
}

impl Reader {
    /// Begins the message whose head was read. False when there is no space for it.
    pub(in crate::http::h1) fn begin(&mut self, head: Begin, cx: &mut Context<'_>) -> bool {
        let Begin { start, flaws, len, raw, framing, unless_chunked, absent } = head;
        let charge = MESSAGE_COST + raw.len() as u64;
        if !cx.budget.take(charge) {
            return false;
        }
        self.charged += charge;
        self.begun = true;
        self.guessed = false;
        self.gap = false;
        self.length = 0;
        self.finished = cx.at;
        self.flaws.join(flaws);
        if std::mem::take(&mut self.in_turn) {
            self.refused = false;
        }
        if self.refused {
            self.flaws.add(Flaw::AfterRefusal);
        }
        cx.read(self.side, len);
        cx.side(self.side).messages += 1;
        let headers = if cx.options.heads { cx.lines.clone() } else { Vec::new() };
        self.message = Some(Arc::new(Message {
            started: self.started,
            finished: cx.at,
            head: Head { raw, start, headers },
            body: Body { framing, ..Body::default() },
            incomplete: None,
            flaws: Flaws::default(),
        }));
        self.keeper = match framing {
            BodyLength::None | BodyLength::Length(0) => None,
            _ => Keeper::new(cx.options.keep(self.side)),
        };
        self.state = match Choice::new(framing, unless_chunked, absent) {
            Some(choice) => State::Choice(choice),
            None => State::body(framing),
        };
        true
    }

    /// The body of the message under way is framed so.
    pub(super) fn reframe(&mut self, framing: BodyLength) {
        if let Some(message) = self.message.as_mut().and_then(Arc::get_mut) {
            message.body.framing = framing;
        }
    }

    /// True while a message is under way, from the end of its head on.
    pub(in crate::http::h1) fn is_in_message(&self) -> bool {
        self.message.is_some()
    }

    /// True when neither a message nor a head is under way.
    pub(in crate::http::h1) fn is_between_messages(&self) -> bool {
        self.message.is_none() && self.partial.is_empty()
    }

    /// When the last byte of a message was seen, unless one is under way.
    pub(in crate::http::h1) fn rests_since(&self) -> Option<Timestamp> {
        self.message.is_none().then_some(self.finished)
    }

    /// True when the message that has just begun has no body to read.
    pub(in crate::http::h1) fn is_bodiless(&self) -> bool {
        matches!(self.state, State::Start | State::Length(0))
    }

    /// Adds a flaw to the message under way.
    pub(in crate::http::h1) fn flaw(&mut self, flaw: Flaw) {
        self.flaws.add(flaw);
    }

    /// Ends the message under way and hands it out, with the bytes of the budget that it holds.
    pub(in crate::http::h1) fn finish(
        &mut self,
        cut: Option<Incomplete>,
        cx: &mut Context<'_>,
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
            let kept = keeper.finish(cx.budget);
            charged += kept.charged;
            message.body.sha256 = kept.sha256;
            message.body.wire = kept.wire;
            if let Some(why) = kept.not_kept {
                cx.side(self.side).not_kept.count(why);
            }
        } else if cx.options.keep(self.side).digests() {
            message.body.sha256 = Some(keep::EMPTY_DIGEST);
        }
        let stats = cx.side(self.side);
        for flaw in flaws.iter() {
            stats.flaws.count(flaw);
        }
        match incomplete {
            None => stats.whole += 1,
            Some(why) => stats.incomplete.count(why),
        }
        Some((whole, charged))
    }
}
