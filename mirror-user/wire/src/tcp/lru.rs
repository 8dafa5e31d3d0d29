//! Connections in the order of their last segments.

use super::table::Slots;

/// A doubly linked list through the flows themselves: longest idle first.
#[derive(Debug)]
pub(super) struct Lru {
    head: u32,
    tail: u32,
}

/// No flow.
pub(super) const NONE: u32 = u32::MAX;

/// A flow's neighbours in its list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    before: u32,
    after: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { before: NONE, after: NONE }
    }
}

impl Default for Lru {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

impl Lru {
    /// The longest idle flow.
    pub(super) fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// Appends a flow that is in no list, as the most recent one.
    pub(super) fn push(&mut self, flows: &mut Slots, slot: u32) {
        flows.at(slot).link = Link { before: self.tail, after: NONE };
        match self.tail {
            NONE => self.head = slot,
            tail => flows.at(tail).link.after = slot,
        }
        self.tail = slot;
    }

    /// Removes a flow that is in this list.
    pub(super) fn remove(&mut self, flows: &mut Slots, slot: u32) {
        let Link { before, after } = std::mem::take(&mut flows.at(slot).link);
        match before {
            NONE => self.head = after,
            before => flows.at(before).link.after = after,
        }
        match after {
            NONE => self.tail = before,
            after => flows.at(after).link.before = before,
        }
    }
}
