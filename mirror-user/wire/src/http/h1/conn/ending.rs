//! Gaps and ends: of a side, of the connection, and of HTTP/1 on it.

use super::Conn;
use crate::http::Context;
use crate::http::h1::reader::Gap;
use crate::http::message::Incomplete;
use crate::http::stats::{NotHttp, Unpaired, Unread};
use crate::tcp::event::{CloseReason, Side};

impl Conn {
    /// Bytes of one side were never seen.
    pub(in crate::http) fn gap(&mut self, side: Side, missing: u64, cx: &mut Context<'_>) {
        if self.over {
            return;
        }
        let gap_bytes = &mut cx.side(side).gap_bytes;
        *gap_bytes = gap_bytes.saturating_add(missing);
        self.pass_over(side, missing, Incomplete::Gap, cx);
    }

    /// Bytes of one side were left out on purpose. Within a body whose framing reaches beyond them nothing is lost; anywhere
    /// else it is as with a gap.
    pub(in crate::http) fn omitted(&mut self, side: Side, n: u64, cx: &mut Context<'_>) {
        if self.over {
            return;
        }
        if !self.reader(side).omit(n) {
            self.pass_over(side, n, Incomplete::Omitted, cx);
        } else if self.reader(side).is_bodiless() {
            self.end(side, None, cx);
        }
    }

    /// Reads on behind bytes that were never seen and have been counted.
    pub(super) fn pass_over(
        &mut self,
        side: Side,
        missing: u64,
        why: Incomplete,
        cx: &mut Context<'_>,
    ) {
        // What is released may hold what is behind it again.
        while let Some(chosen) = self.reader(side).choose_before_gap(missing) {
            self.choose(side, &chosen, cx);
        }
        match self.reader(side).gap(missing, cx.at) {
            Gap::Within => {}
            Gap::End => self.end(side, None, cx),
            Gap::Lost => {
                cx.side(side).lost_framing += 1;
                self.end(side, Some(why), cx);
                self.reader(side).lose(why, cx);
                self.doubt(side);
            }
        }
    }

    /// One side has sent everything.
    pub(in crate::http) fn finished(&mut self, side: Side, cx: &mut Context<'_>) {
        if self.over {
            return;
        }
        self.stop(side, Incomplete::Closed, side == Side::Server, cx);
        if side == Side::Server {
            while self.waiting.front().is_some_and(|waiting| waiting.request.is_some()) {
                self.give_up_oldest(Unpaired::Unanswered, cx);
            }
        }
    }

    /// Nothing more comes of `side`; a body that ends with it is whole where that is `ordered`.
    pub(super) fn stop(
        &mut self,
        side: Side,
        why: Incomplete,
        ordered: bool,
        cx: &mut Context<'_>,
    ) {
        while let Some(chosen) = self.reader(side).choose_at_last() {
            self.choose(side, &chosen, cx);
        }
        if self.reader(side).held().is_some() {
            // The response may still come.
            return;
        }
        let whole = ordered && self.reader(side).is_until_close();
        self.reader(side).cut_head(why, cx);
        self.end(side, (!whole).then_some(why), cx);
        self.reader(side).end();
    }

    /// The connection has ended.
    pub(in crate::http) fn closed(&mut self, reason: CloseReason, cx: &mut Context<'_>) {
        let why = match reason {
            CloseReason::Fin | CloseReason::Reused | CloseReason::SidesChanged => {
                Incomplete::Closed
            }
            CloseReason::Reset => Incomplete::Reset,
            CloseReason::Idle => Incomplete::Idle,
            CloseReason::Evicted => Incomplete::Evicted,
            CloseReason::EndOfInput => Incomplete::EndOfInput,
        };
        // What is released may ask for an upgrade again, and hold what is left.
        while !self.over {
            if let Some(chosen) = self.client.choose_at_last() {
                self.choose(Side::Client, &chosen, cx);
            } else if self.client.held().is_some() {
                self.decide(cx);
            } else {
                break;
            }
        }
        if !self.over {
            for side in [Side::Client, Side::Server] {
                self.stop(side, why, false, cx);
            }
        }
        while self.waiting.len() > 0 {
            self.give_up_oldest(Unpaired::Unanswered, cx);
        }
    }

    /// It is not HTTP/1, or not any more: what is under way ends.
    pub(super) fn leave(&mut self, why: NotHttp, cx: &mut Context<'_>) {
        cx.stats.not_http.count(why);
        self.over = true;
        if let Some(held) = self.client.release(cx) {
            cx.unread(Side::Client, Unread::NotHttp, held.bytes.len());
        }
        for side in [Side::Client, Side::Server] {
            if let Some(chosen) = self.reader(side).choose_at_last() {
                let held = self.reader(side).chosen(&chosen, cx);
                cx.unread(side, Unread::NotHttp, held.bytes.len());
            }
            self.reader(side).cut_head(Incomplete::Closed, cx);
            self.end(side, Some(Incomplete::Closed), cx);
        }
        while self.waiting.len() > 0 {
            self.give_up_oldest(Unpaired::Unanswered, cx);
        }
    }
}
