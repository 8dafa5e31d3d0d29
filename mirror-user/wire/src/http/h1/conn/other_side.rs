//! What one side says of how the other is to be read: whether a body comes, whether the connection
//! stays HTTP/1, and whether what was refused was a message.

use super::{Conn, Pairing, ResponseTo};
use crate::http::Context;
use crate::http::h1::reader::{Chosen, Held};
use crate::http::h1::start;
use crate::http::message::{BodyLength, Incomplete};
use crate::http::stats::NotHttp;
use crate::tcp::event::Side;

impl Conn {
    /// What a response with this code says of the body that the client has announced.
    pub(super) fn apply_to_client(&mut self, code: u16, cx: &mut Context<'_>) {
        match self.response_to {
            _ if matches!(code, 100 | 101) => self.client.continued(),
            ResponseTo::Interim => return,
            ResponseTo::Oldest | ResponseTo::Guessed => {
                let Some(waiting) = self.waiting.front() else { return };
                waiting.answered = true;
                if waiting.request.is_some() {
                    return;
                }
                self.client.responded_early(self.server.started());
            }
            // It may be the response to the request under way.
            ResponseTo::Nothing(_) if self.pairing != Pairing::Certain => {
                self.client.responded_early(self.server.started());
            }
            ResponseTo::Nothing(_) => return,
        }
        if let Some(chosen) = self.client.choose_again() {
            self.choose(Side::Client, &chosen, cx);
        }
    }

    /// What stands behind a head is known: it is read as such.
    pub(super) fn choose(&mut self, side: Side, chosen: &Chosen, cx: &mut Context<'_>) {
        let cut = self.reader(side).without_body();
        let held = self.reader(side).chosen(chosen, cx);
        match chosen {
            Chosen::NextMessage => {
                if side == Side::Server {
                    self.has_no_content();
                }
                self.end(side, cut, cx);
            }
            Chosen::Body(BodyLength::None | BodyLength::Length(0)) => self.end(side, None, cx),
            Chosen::Body(_) => {}
        }
        self.read_held(side, &held, cx);
    }

    /// Reads what was held, at its own time.
    pub(super) fn read_held(&mut self, side: Side, held: &Held, cx: &mut Context<'_>) {
        let now = std::mem::replace(&mut cx.at, held.since);
        if let Some(missing) = held.missing_before {
            self.pass_over(side, missing, Incomplete::Gap, cx);
        }
        self.read(side, &held.bytes, cx);
        if held.gap {
            self.pass_over(side, 0, Incomplete::Gap, cx);
        }
        cx.at = now;
    }

    /// True when everything before the request that has just begun has its response, what was
    /// refused of it included.
    pub(super) fn is_in_turn(&self) -> bool {
        self.last_response_at >= self.refused_at[Side::Client]
            && self.server.is_between_messages()
            && self.waiting.iter().all(|waiting| waiting.answered)
    }

    /// True when the client has gone on behind a response that could not be read.
    pub(super) fn takes_refused_response(&mut self) -> bool {
        let refused = self.refused_at[Side::Server];
        !self.pipelined
            && self.waiting.len() <= 1
            && self.waiting.front().is_none_or(|waiting| waiting.started <= refused)
    }

    /// The server stayed with HTTP/1: what the client sent meanwhile is read as such.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.client.release(cx) {
            self.read_held(Side::Client, &held, cx);
        }
    }

    /// No response says what the client's bytes after CONNECT or Upgrade are: their own pattern
    /// decides.
    pub(super) fn decide(&mut self, cx: &mut Context<'_>) {
        let Some(held) = self.client.held() else { return };
        if held.bytes.is_empty() || start::may_start(Side::Client, &held.bytes) {
            self.release(cx);
        } else {
            self.leave(NotHttp::Upgraded, cx);
        }
    }
}
