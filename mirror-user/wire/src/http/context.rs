//! What the connections share while one event is processed.

use super::HttpOptions;
use super::keep::Budget;
use super::message::{Exchange, HeaderLine};
use super::stats::{HttpStats, NotHttp, SideStats, Unread};
use crate::packet::Timestamp;
use crate::tcp::event::{Change, Side};

/// Options, counters and output of the table, lent to one connection.
pub(super) struct Context<'a> {
    pub(super) options: &'a HttpOptions,
    pub(super) stats: &'a mut HttpStats,
    pub(super) budget: &'a mut Budget,
    /// The field lines of the head that was read last.
    pub(super) lines: &'a mut Vec<HeaderLine>,
    pub(super) out: &'a mut Vec<Exchange>,
    pub(super) at: Timestamp,
}

impl Context<'_> {
    pub(super) fn side(&mut self, side: Side) -> &mut SideStats {
        match side {
            Side::Client => &mut self.stats.requests,
            Side::Server => &mut self.stats.responses,
        }
    }

    /// Counts bytes of messages.
    pub(super) fn read(&mut self, side: Side, n: usize) {
        self.side(side).message_bytes += n as u64;
    }

    /// Counts bytes that are part of no message.
    pub(super) fn unread(&mut self, side: Side, why: Unread, n: usize) {
        self.side(side).unread.add(why, n as u64);
    }

    /// Counts what happens on a connection for whose state there was no space.
    pub(super) fn no_room(&mut self, is_new: bool, change: &Change) {
        if is_new {
            self.stats.not_http.count(NotHttp::NoRoom);
        }
        match change {
            Change::Data(side, bytes) => {
                self.side(*side).bytes += bytes.len() as u64;
                self.unread(*side, Unread::NoRoom, bytes.len());
            }
            Change::Gap(side, missing) => {
                let gap_bytes = &mut self.side(*side).gap_bytes;
                *gap_bytes = gap_bytes.saturating_add(*missing);
            }
            _ => {}
        }
    }

    /// Counts and drops all the bytes that are left.
    pub(super) fn drop_all(&mut self, side: Side, why: Unread, data: &mut &[u8]) {
        self.unread(side, why, data.len());
        *data = &[];
    }
}
