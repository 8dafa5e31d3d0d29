//! What one side says of how the other is to be read: whether a body comes, whether the connection
//! stays HTTP/1, and whether what was refused was a message.

use super::{Answering, Conn, Pairing};
use crate::http::Room;
use crate::http::h1::reader::{Chosen, Held};
use crate::http::h1::start;
use crate::http::message::BodyLength;
use crate::http::stats::NotHttp;
use crate::tcp::event::Side;

impl Conn {
    /// What a response with this code says of the body that the client has announced.
    pub(super) fn tell_client(&mut self, code: u16, room: &mut Room<'_>) {
        match self.answering {
            _ if matches!(code, 100 | 101) => self.client.continued(),
            Answering::Interim => return,
            Answering::Oldest => {
                let Some(waiting) = self.waiting.front() else { return };
                waiting.answered = true;
                if waiting.request.is_some() {
                    return;
                }
                self.client.answered_early(self.server.started());
            }
            // It may be the response to the request under way.
            Answering::Nothing(_) if self.pairing != Pairing::Certain => {
                self.client.answered_early(self.server.started());
            }
            Answering::Nothing(_) => return,
        }
        if let Some(chosen) = self.client.choose_again() {
            self.choose(Side::Client, &chosen, room);
        }
    }

    /// What stands behind a head is known: it is read as such.
    pub(super) fn choose(&mut self, side: Side, chosen: &Chosen, room: &mut Room<'_>) {
        let cut = self.reader(side).without_body();
        let held = self.reader(side).chosen(chosen, room);
        match chosen {
            Chosen::NextMessage => self.end(side, cut, room),
            Chosen::Body(BodyLength::None | BodyLength::Length(0)) => self.end(side, None, room),
            Chosen::Body(_) => {}
        }
        self.read_held(side, &held, room);
    }

    /// Reads what was held, at its own time.
    pub(super) fn read_held(&mut self, side: Side, held: &Held, room: &mut Room<'_>) {
        let now = std::mem::replace(&mut room.at, held.since);
        self.read(side, &held.bytes, room);
        if held.gap {
            self.gap(side, 0, room);
        }
        room.at = now;
    }

    /// True when all that came before the request that has just begun was answered, what was refused
    /// of it included.
    pub(super) fn is_in_turn(&self) -> bool {
        self.answered_at >= self.refused_at[Side::Client]
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
    pub(super) fn release(&mut self, room: &mut Room<'_>) {
        if let Some(held) = self.client.release(room) {
            self.read_held(Side::Client, &held, room);
        }
    }

    /// No answer tells what the client's bytes after CONNECT or Upgrade are: their looks must.
    pub(super) fn decide(&mut self, room: &mut Room<'_>) {
        let Some(held) = self.client.held() else { return };
        if held.bytes.is_empty() || start::may_start(Side::Client, &held.bytes) {
            self.release(room);
        } else {
            self.leave(NotHttp::Upgraded, room);
        }
    }
}
