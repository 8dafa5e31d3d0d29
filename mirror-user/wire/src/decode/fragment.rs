//! Reassembly of fragmented IP datagrams.
//!
//! As Linux does since 4.20 for both versions of IP (RFC 5722 for IPv6): a repeated
//! fragment is ignored, and a partial overlap drops the whole datagram. etherparse's own pool lets
//! the later bytes win and grows without bound.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use enum_map::Enum;
use hashbrown::HashMap;
use strum::IntoStaticStr;

use super::Skip;
use super::ip::Carrier;
use super::rest::Rest;
use crate::packet::Timestamp;
use crate::segment::Tag;
use crate::stats::Tally;

/// Bytes that unfinished datagrams may take together; Linux's `ipfrag_high_thresh`.
pub const MAX_FRAGMENT_BYTES: usize = 4 * 1024 * 1024;

/// Unfinished datagrams; bounds the tables if there are many small ones.
pub const MAX_FRAGMENTED_DATAGRAMS: usize = 1024;

/// How long a datagram waits for its other parts; Linux's `ipfrag_time`.
pub const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest IP payload.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// Separate runs of bytes of one datagram. Sixteen kilobytes in 256 pieces, every other one
/// missing: only an attacker sends that.
const MAX_RUNS: usize = 128;

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) id: u32,
    pub(super) tag: Tag,
    pub(super) protocol: u8,
}

/// A part of a datagram.
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    pub(super) carrier: Carrier,
    /// Its offset in the datagram's payload, in bytes.
    pub(super) offset: usize,
    /// Others come after it.
    pub(super) more: bool,
    pub(super) rest: Rest<'a>,
}

/// How a fragmented datagram ended: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DatagramEnd {
    /// Reassembled.
    Whole,
    /// Still waiting for parts after [`FRAGMENT_TIMEOUT`].
    Expired,
    /// Given up because parts overlapped or disagreed about its length.
    Overlapping,
    /// Given up because the table was full and it was the oldest.
    Evicted,
}

struct Partial {
    since: Timestamp,
    /// Distinguishes this datagram from an earlier one with the same key in `order`.
    serial: u64,
    data: Vec<u8>,
    /// The ranges of `data` that have arrived: ascending, with gaps between them.
    runs: Vec<(usize, usize)>,
    /// The datagram's length, once its last part was seen.
    end: Option<usize>,
    /// From the part with offset 0 (RFC 8200 §4.5).
    carrier: Option<Carrier>,
}

/// The datagrams of which parts are missing.
pub(super) struct Fragments {
    max_bytes: usize,
    max_datagrams: usize,
    partials: HashMap<Key, Partial>,
    /// Oldest first; may name datagrams that ended.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    serial: u64,
    ends: Tally<DatagramEnd>,
}

impl Fragments {
    pub(super) fn new(max_bytes: usize, max_datagrams: usize) -> Self {
        let (partials, order, ends) = (HashMap::new(), VecDeque::new(), Tally::default());
        Self { max_bytes, max_datagrams, partials, order, bytes: 0, serial: 0, ends }
    }

    pub(super) fn ends(&self) -> &Tally<DatagramEnd> {
        &self.ends
    }

    /// Adds a part. Returns the whole datagram if nothing is missing any more.
    pub(super) fn push(
        &mut self,
        at: Timestamp,
        fragment: &Fragment<'_>,
    ) -> Result<(Carrier, Bytes), Skip> {
        self.expire(at);
        if fragment.rest.beyond > 0 {
            return Err(Skip::Truncated);
        }
        let mut part = fragment.rest.bytes;
        if fragment.more {
            // Offsets are in units of 8 bytes; like Linux, cut what does not fit.
            part = part.get(..part.len() & !7).unwrap_or_default();
        }
        let (start, end) = (fragment.offset, fragment.offset.saturating_add(part.len()));
        if part.is_empty() || end > MAX_DATAGRAM_BYTES {
            return Err(Skip::Malformed);
        }
        let partial = self.partial(at, fragment.key);
        let before = partial.data.len();
        let outcome = partial.insert(fragment, part, start, end);
        let grown = partial.data.len().saturating_sub(before);
        let whole = partial.is_whole();
        self.bytes = self.bytes.saturating_add(grown);
        if outcome.is_err() {
            self.remove(&fragment.key, DatagramEnd::Overlapping);
            return Err(Skip::Fragment);
        }
        if !whole {
            self.make_room();
            return Err(Skip::Fragment);
        }
        let done = self.remove(&fragment.key, DatagramEnd::Whole).ok_or(Skip::Fragment)?;
        let carrier = done.carrier.ok_or(Skip::Malformed)?;
        Ok((carrier, Bytes::from(done.data)))
    }

    fn partial(&mut self, at: Timestamp, key: Key) -> &mut Partial {
        let (serial, order) = (&mut self.serial, &mut self.order);
        self.partials.entry(key).or_insert_with(|| {
            *serial = serial.wrapping_add(1);
            order.push_back((key, *serial));
            let (data, runs) = (Vec::new(), Vec::new());
            Partial { since: at, serial: *serial, data, runs, end: None, carrier: None }
        })
    }

    fn remove(&mut self, key: &Key, end: DatagramEnd) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.bytes = self.bytes.saturating_sub(partial.data.len());
        self.ends.count(end);
        // Keys of ended datagrams leave the queue with the oldest ones; a queue that consists
        // mostly of them is cleaned up.
        if self.order.len() > self.max_datagrams.saturating_mul(2) {
            let partials = &self.partials;
            self.order.retain(|(k, serial)| partials.get(k).is_some_and(|p| p.serial == *serial));
        }
        Some(partial)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((key, serial)) = self.order.front().copied() {
            match self.partials.get(&key) {
                Some(partial) if partial.serial == serial => {
                    if now.since(partial.since) < FRAGMENT_TIMEOUT {
                        return;
                    }
                    self.remove(&key, DatagramEnd::Expired);
                }
                _ => {}
            }
            self.order.pop_front();
        }
    }

    fn make_room(&mut self) {
        while self.bytes > self.max_bytes || self.partials.len() > self.max_datagrams {
            let Some((key, serial)) = self.order.pop_front() else { return };
            if self.partials.get(&key).is_some_and(|partial| partial.serial == serial) {
                self.remove(&key, DatagramEnd::Evicted);
            }
        }
    }
}

/// Parts that contradict each other.
struct Overlap;

impl Partial {
    fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        part: &[u8],
        start: usize,
        end: usize,
    ) -> Result<(), Overlap> {
        let reached = self.runs.last().map_or(0, |run| run.1);
        match (self.end, fragment.more) {
            (Some(known), false) if known != end => return Err(Overlap),
            (Some(known), true) if end > known => return Err(Overlap),
            (None, false) if reached > end => return Err(Overlap),
            _ => {}
        }
        // The first run that does not lie wholly before this part.
        let place = self.runs.partition_point(|run| run.1 <= start);
        if let Some(&(run_start, run_end)) = self.runs.get(place) {
            if run_start <= start && end <= run_end {
                return Ok(());
            }
            if run_start < end {
                return Err(Overlap);
            }
        }
        if !fragment.more {
            self.end = Some(end);
        }
        if start == 0 {
            self.carrier = Some(fragment.carrier);
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        if let Some(hole) = self.data.get_mut(start..end) {
            hole.copy_from_slice(part);
        }
        self.runs.insert(place, (start, end));
        self.runs.dedup_by(|later, earlier| {
            let joined = earlier.1 == later.0;
            if joined {
                earlier.1 = later.1;
            }
            joined
        });
        if self.runs.len() > MAX_RUNS { Err(Overlap) } else { Ok(()) }
    }

    fn is_whole(&self) -> bool {
        self.end.is_some_and(|end| self.runs == [(0, end)])
    }
}
