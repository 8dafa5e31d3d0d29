//! The requests of one connection that wait for their responses, oldest first.

use std::collections::VecDeque;
use std::sync::Arc;

use enum_map::EnumMap;

use super::framing::Asked;
use crate::http::message::Message;
use crate::packet::Timestamp;
use crate::tcp::event::Side;

/// One exchange that has not ended.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its place on the connection.
    pub(super) index: u32,
    /// When its request started.
    pub(super) started: Timestamp,
    /// What was asked.
    pub(super) asked: Asked,
    /// The response decides whether the connection stays HTTP/1.
    pub(super) may_switch: bool,
    /// The head of its final response was seen.
    pub(super) answered: bool,
    /// Its request follows a refusal, and whether the server takes it for a request shows with its
    /// response: it is emitted as asked only then.
    pub(super) unconfirmed: bool,
    /// The request, when it has ended.
    pub(super) request: Option<Arc<Message>>,
    /// The response, when it ended before the request did.
    pub(super) response: Option<Arc<Message>>,
    /// Bytes of the budget that it holds.
    pub(super) charged: u64,
    /// Messages of these sides may have been lost since it started.
    pub(super) doubts: EnumMap<Side, bool>,
}

/// A queue whose first entry costs no allocation: most connections never have a second.
#[derive(Debug, Default)]
pub(super) struct Queue {
    first: Option<Waiting>,
    rest: VecDeque<Waiting>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        if self.first.is_none() {
            self.first = Some(waiting);
        } else {
            self.rest.push_back(waiting);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let popped = self.first.take();
        self.first = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > 8 {
            self.rest = VecDeque::new();
        }
        popped
    }

    pub(super) fn front(&mut self) -> Option<&mut Waiting> {
        self.first.as_mut()
    }

    pub(super) fn back(&mut self) -> Option<&mut Waiting> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.first.iter().chain(&self.rest)
    }
}
