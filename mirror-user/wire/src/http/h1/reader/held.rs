//! Bytes that wait: what they are depends on what the other side says.

use super::{ReadEvent, Reader, State};
use crate::http::Context;
use crate::packet::Timestamp;

/// Bytes that wait until it is known what they are.
#[derive(Debug, Default)]
pub(in crate::http) struct Held {
    pub(in crate::http) bytes: Vec<u8>,
    /// When the first of them were seen.
    pub(in crate::http) since: Timestamp,
    /// How many bytes before them were never seen; `Some(0)`: an unknown number.
    pub(in crate::http) missing_before: Option<u64>,
    /// Bytes after them are missing.
    pub(in crate::http) gap: bool,
    /// Bytes taken from the budget.
    charged: u64,
}

impl Held {
    /// Takes `data`, unless that makes more than `most`, or more than the budget has.
    pub(super) fn push(&mut self, data: &[u8], most: usize, cx: &mut Context<'_>) -> bool {
        if self.gap || self.bytes.len() + data.len() > most {
            return false;
        }
        if self.bytes.is_empty() {
            self.since = cx.at;
        }
        let capacity = self.bytes.capacity();
        self.bytes.reserve(data.len());
        let grown = (self.bytes.capacity() - capacity) as u64;
        if !cx.budget.take(grown) {
            self.bytes.shrink_to(capacity);
            return false;
        }
        self.charged += grown;
        self.bytes.extend_from_slice(data);
        true
    }

    /// Hands them out, to be read.
    pub(super) fn release(&mut self, cx: &mut Context<'_>) -> Self {
        cx.budget.give(std::mem::take(&mut self.charged));
        std::mem::take(self)
    }
}

/// More than this many bytes after a CONNECT or Upgrade request are not held.
const MAX_HELD: usize = 16 * 1024;

impl Reader {
    /// Takes bytes that may be another protocol.
    pub(super) fn hold_until_response(
        &mut self,
        data: &mut &[u8],
        cx: &mut Context<'_>,
    ) -> ReadEvent {
        let State::Await(held) = &mut self.state else { return ReadEvent::Nothing };
        if !held.push(data, MAX_HELD, cx) {
            return ReadEvent::HeldTooMuch;
        }
        *data = &[];
        ReadEvent::Nothing
    }

    /// What comes may be another protocol, until [`release`](Self::release).
    pub(in crate::http) fn await_response(&mut self) {
        self.state = State::Await(Box::default());
    }

    /// What comes, and what was held, is HTTP/1 after all.
    pub(in crate::http) fn release(&mut self, cx: &mut Context<'_>) -> Option<Held> {
        let held = match &mut self.state {
            State::Await(held) => held.release(cx),
            _ => return None,
        };
        self.state = State::Start;
        Some(held)
    }

    /// What is held until the response comes.
    pub(in crate::http) fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Await(held) => Some(held),
            _ => None,
        }
    }
}
