//! What was never seen, and what cannot be read: what is lost with it, and where reading goes on.

use super::{Reader, State};
use crate::http::Context;
use crate::http::flaws::Flaws;
use crate::http::message::Incomplete;
use crate::http::stats::{Refusal, Unread};
use crate::packet::Timestamp;

/// What a gap did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::h1) enum Gap {
    /// What follows it can be read on.
    Within,
    /// It covers the rest of the body.
    End,
    /// Framing is lost.
    Lost,
}

impl Reader {
    /// Passes over `n` bytes that were never seen (0: an unknown number), now.
    pub(in crate::http::h1) fn gap(&mut self, n: u64, at: Timestamp) -> Gap {
        if self.passes_over(n, at) {
            return Gap::Within;
        }
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
        Gap::Lost
    }

    /// Passes over `n` bytes of a body that nobody wants; false where they may be something else.
    pub(in crate::http::h1) fn omit(&mut self, n: u64) -> bool {
        // A digest of what is left would be a wrong one.
        if self.keeper.is_some() {
            return false;
        }
        let passed = match &mut self.state {
            State::Length(left) if n <= *left => {
                *left -= n;
                true
            }
            State::Chunked(chunks) => chunks.skip(n),
            State::UntilClose => true,
            _ => false,
        };
        if passed {
            self.length = self.length.saturating_add(n);
        }
        passed
    }

    /// Framing is lost: the next message is looked for. A head under way is cut.
    pub(in crate::http::h1) fn lose(&mut self, why: Incomplete, cx: &mut Context<'_>) {
        self.cut_head(why, cx);
        self.flaws = Flaws::default();
        self.state = State::Resync;
    }

    /// The side cannot be read on after what was refused.
    pub(in crate::http::h1) fn refuse(
        &mut self,
        data: &mut &[u8],
        refusal: Refusal,
        cx: &mut Context<'_>,
    ) {
        cx.side(self.side).refused.count(refusal);
        cx.drop_all(self.side, Unread::Refused, data);
        self.flaws = Flaws::default();
        self.distrust();
        if !self.has_ended() {
            self.state = State::Resync;
        }
    }

    /// What comes may be part of what was not read.
    pub(in crate::http::h1) fn distrust(&mut self) {
        self.refused = true;
    }

    /// The other side took what was refused for a message and has gone on: what this side sends next
    /// is one, too.
    pub(in crate::http::h1) fn goes_on(&mut self) {
        self.in_turn = true;
    }

    /// What was read after a refusal was a message, and the framing is known again.
    pub(in crate::http::h1) fn recover(&mut self) {
        self.refused = false;
    }

    /// True while what is read may be part of what was refused.
    pub(in crate::http::h1) fn is_after_refusal(&self) -> bool {
        self.refused
    }

    /// A head that will not end any more.
    pub(in crate::http::h1) fn cut_head(&mut self, why: Incomplete, cx: &mut Context<'_>) {
        if self.partial.is_empty() {
            return;
        }
        if self.partial.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            // Empty lines with which a header of the PROXY protocol might have begun.
            cx.unread(self.side, Unread::BetweenMessages, self.partial.len());
            self.forget_partial(cx);
        } else {
            let stats = cx.side(self.side);
            stats.cut_heads.count(why);
            stats.unread.add(Unread::CutHead, self.partial.len() as u64);
            self.forget_partial(cx);
        }
    }
}
