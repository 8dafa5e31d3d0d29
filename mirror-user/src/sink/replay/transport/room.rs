//! Memory for the bodies of responses while they are read, shared by all connections to a target.
//!
//! A body that does not fit is not kept, as one that is too long, and counted. What was read to its
//! end is no longer held here: whoever looks at it has its own limit.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::sink::replay::engine::queue::Queue;

/// Bytes of bodies that all connections of a replay hold at the same time: enough for 64 of the
/// longest, and a quarter of what 256 connections could otherwise take.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// What is left for all connections.
pub(in crate::sink::replay) struct Room {
    left: Cell<usize>,
    /// For its counters.
    queue: Arc<Queue>,
}

impl Room {
    /// All of it is left.
    pub(in crate::sink::replay) fn new(queue: Arc<Queue>) -> Self {
        Self { left: Cell::new(MAX_KEPT_BYTES), queue }
    }
}

/// What one connection holds; given back when this is dropped.
pub(in crate::sink::replay) struct Share {
    room: Rc<Room>,
    held: usize,
}

impl Share {
    /// Nothing is held at first.
    pub(in crate::sink::replay) fn new(room: Rc<Room>) -> Self {
        Self { room, held: 0 }
    }

    /// Holds so many bytes in all. If there are not so many, it holds none, counts that, and returns
    /// false.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let left = self.room.left.get().saturating_add(self.held);
        let fits = bytes <= left;
        self.held = if fits { bytes } else { 0 };
        self.room.left.set(left.saturating_sub(self.held));
        if !fits {
            self.room.queue.counters.no_room.fetch_add(1, Relaxed);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}
