//! The open connections, each in its slot, within the budget. A connection costs its entry until
//! its first bytes, and its state from then on.

use std::sync::Arc;

use super::h1::conn::Conn;
use super::keep::Budget;
use crate::tcp::event::{ConnId, Peers};

/// What the state of one connection takes in memory, with what the allocator adds.
pub(super) const CONN_BYTES: u64 = size_of::<Conn>() as u64 + 16;

/// What the entry of one connection takes, and where the entries are kept, up to twice that.
pub(super) const ENTRY_BYTES: u64 = size_of::<Entry>() as u64;

/// Entries that are allocated with the first connection.
const LEAST: usize = 16;

/// By [`ConnId::slot`].
#[derive(Default)]
pub(super) struct Slots {
    entries: Vec<Entry>,
}

#[derive(Default)]
enum Entry {
    #[default]
    Free,
    /// No bytes came yet.
    Silent {
        serial: u64,
        peers: Arc<Peers>,
        midstream: bool,
    },
    Read(Box<Conn>),
    /// There was no space for its state.
    Unread {
        serial: u64,
    },
}

/// The state of a connection.
pub(super) enum Found<'a> {
    Read(&'a mut Conn),
    /// There is no space for it: since now, or since before.
    Unread {
        is_new: bool,
    },
    /// Not open.
    Nothing,
}

impl Slots {
    /// A connection has begun. False when there is no space for its entry.
    pub(super) fn open(
        &mut self,
        id: ConnId,
        peers: Arc<Peers>,
        midstream: bool,
        budget: &mut Budget,
    ) -> bool {
        let slot = id.slot as usize;
        self.free(slot, budget);
        if self.entries.len() <= slot {
            if !self.grow(slot + 1, budget) {
                return false;
            }
            self.entries.resize_with(slot + 1, Entry::default);
        }
        if let Some(entry) = self.entries.get_mut(slot) {
            *entry = Entry::Silent { serial: id.serial, peers, midstream };
        }
        true
    }

    /// Makes space for `needed` entries; false when the budget has none.
    fn grow(&mut self, needed: usize, budget: &mut Budget) -> bool {
        let capacity = self.entries.capacity();
        if needed <= capacity {
            return true;
        }
        let wanted = needed.max(2 * capacity).max(LEAST);
        if !budget.take(bytes(wanted) - bytes(capacity)) {
            return false;
        }
        self.entries.reserve_exact(wanted - self.entries.len());
        true
    }

    /// The state of a connection on which something happens.
    pub(super) fn find(&mut self, id: ConnId, budget: &mut Budget) -> Found<'_> {
        // An open connection without an entry is one for which there was no space.
        let Some(entry) = self.entries.get_mut(id.slot as usize) else {
            return Found::Unread { is_new: false };
        };
        let mut is_new = false;
        if let Entry::Silent { serial, peers, midstream } = entry
            && *serial == id.serial
        {
            is_new = true;
            *entry = if budget.take(CONN_BYTES) {
                Entry::Read(Box::new(Conn::new(*serial, Arc::clone(peers), *midstream)))
            } else {
                Entry::Unread { serial: *serial }
            };
        }
        match entry {
            Entry::Read(conn) if conn.serial() == id.serial => Found::Read(conn),
            Entry::Unread { serial } if *serial == id.serial => Found::Unread { is_new },
            _ => Found::Nothing,
        }
    }

    /// A connection has ended: its state, if any bytes came.
    pub(super) fn close(&mut self, id: ConnId, budget: &mut Budget) -> Option<Box<Conn>> {
        let slot = id.slot as usize;
        let is_open = match self.entries.get(slot)? {
            Entry::Free => false,
            Entry::Silent { serial, .. } | Entry::Unread { serial } => *serial == id.serial,
            Entry::Read(conn) => conn.serial() == id.serial,
        };
        let conn = if is_open { self.free(slot, budget) } else { None };
        while matches!(self.entries.last(), Some(Entry::Free)) {
            self.entries.pop();
        }
        let capacity = self.entries.capacity();
        if self.entries.len() <= capacity / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
            budget.give(bytes(capacity) - bytes(self.entries.capacity()));
        }
        conn
    }

    fn free(&mut self, slot: usize, budget: &mut Budget) -> Option<Box<Conn>> {
        match std::mem::take(self.entries.get_mut(slot)?) {
            Entry::Read(conn) => {
                budget.give(CONN_BYTES);
                Some(conn)
            }
            Entry::Free | Entry::Silent { .. } | Entry::Unread { .. } => None,
        }
    }
}

fn bytes(entries: usize) -> u64 {
    entries as u64 * ENTRY_BYTES
}
