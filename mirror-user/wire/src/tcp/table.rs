//! The table of connections: finds a segment's flow and forgets old ones.

use std::collections::VecDeque;

use super::clock::{Clock, Nanos, nanos};
use super::event::{CloseReason, StreamEvent};
use super::flow::{Context, Flow, FlowOrigin, State};
use super::key::{End, FlowKey, Index};
use super::limits::TcpLimits;
use super::lru::Lru;
use super::stats::{Disposition, Dropped, TcpStats};
use super::twins::Twins;
use crate::filter::Ports;
use crate::packet::Timestamp;
use crate::segment::{Flags, Segment};

/// Puts segments back into streams. See the [module](super) for what it promises.
#[derive(Debug)]
pub struct FlowTable {
    limits: TcpLimits,
    index: Index,
    flows: Slots,
    /// What only reporting and forgetting need, kept apart so that flows stay small.
    origins: Vec<FlowOrigin>,
    free: Vec<u32>,
    lists: Lists,
    /// Slots whose flow waits for something, with the time to look at it. Each slot at most once.
    timers: VecDeque<(Nanos, u32)>,
    clock: Clock,
    stats: TcpStats,
    held: usize,
    /// The last second of the clock in which idle connections were looked for.
    swept: u32,
    next_serial: u64,
    twins: Twins,
}

/// The flows by slot.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Flow>);

impl Slots {
    pub(super) fn at(&mut self, slot: u32) -> &mut Flow {
        self.0.get_mut(slot as usize).expect("slots are never taken away")
    }
}

/// One list for each kind of connection, in the order in which kinds are forgotten.
#[derive(Debug, Default)]
struct Lists {
    half_open: Lru,
    closed: Lru,
    live: Lru,
}

impl Lists {
    fn of(&mut self, state: State) -> &mut Lru {
        match state {
            State::HalfOpen => &mut self.half_open,
            State::Closed => &mut self.closed,
            State::Silent | State::Translated | State::Joined | State::Open => &mut self.live,
        }
    }
}

const SECOND: Nanos = 1_000_000_000;

fn second(now: Nanos) -> u32 {
    u32::try_from(now / SECOND).unwrap_or(u32::MAX)
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: TcpLimits) -> Self {
        // u32::MAX stands for "no slot".
        let connections = limits.connections.clamp(1, u32::MAX as usize - 1);
        Self {
            limits: TcpLimits { connections, ..limits },
            index: Index::default(),
            flows: Slots::default(),
            origins: Vec::new(),
            free: Vec::new(),
            lists: Lists::default(),
            timers: VecDeque::new(),
            clock: Clock::default(),
            stats: TcpStats::default(),
            held: 0,
            swept: 0,
            next_serial: 0,
            twins: Twins::default(),
        }
    }

    /// Sets the ports that servers listen on, for connections that begin from now on.
    pub fn watch_ports(&mut self, server_ports: Ports) {
        self.limits.server_ports = server_ports;
    }

    /// Takes a segment and emits what follows from it.
    pub fn push(&mut self, segment: Segment, out: &mut Vec<StreamEvent>) {
        let now = self.clock.advance(segment.at);
        self.stats.bytes_seen += segment.payload.len() as u64;
        let (key, from) = FlowKey::of(&segment);
        let known = self.index.get(&key).or_else(|| self.sibling(&key, &segment, from));
        let disposition = match known.or_else(|| self.admit(&key, &segment, out)) {
            Some(slot) => self.receive(slot, segment, from, out),
            None => Disposition::NoConnection,
        };
        self.stats.segments.count(disposition);
        self.run_timers(now, out);
    }

    /// Advances time: gives up overdue gaps and closes idle connections.
    pub fn expire(&mut self, now: Timestamp, out: &mut Vec<StreamEvent>) {
        let now = self.clock.advance(now);
        self.run_timers(now, out);
        // Idle times are counted in seconds: within one, nothing becomes idle.
        if second(now) != self.swept {
            self.swept = second(now);
            self.sweep(out);
        }
    }

    /// Closes the connections that have been idle too long.
    fn sweep(&mut self, out: &mut Vec<StreamEvent>) {
        for (state, limit) in [
            (State::HalfOpen, self.limits.half_open),
            (State::Closed, self.limits.linger),
            (State::Open, self.limits.idle),
        ] {
            let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
            while let Some(slot) = self.lists.of(state).first() {
                if self.swept.saturating_sub(self.flows.at(slot).heard) <= limit {
                    break;
                }
                self.remove(slot, CloseReason::Idle, out);
            }
        }
    }

    /// Ends every connection. The table is empty afterwards and may be used again.
    pub fn finish(&mut self, out: &mut Vec<StreamEvent>) {
        for state in [State::HalfOpen, State::Closed, State::Open] {
            while let Some(slot) = self.lists.of(state).first() {
                self.remove(slot, CloseReason::EndOfInput, out);
            }
        }
        self.timers.clear();
        self.flows.0.iter_mut().for_each(|flow| flow.timed = false);
    }

    /// What was counted so far.
    #[must_use]
    pub fn stats(&self) -> &TcpStats {
        &self.stats
    }

    /// How many connections are remembered, in any state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.origins.len() - self.free.len()
    }

    /// True when no connection is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that out-of-order segments take, with
    /// [`PIECE_OVERHEAD`](super::limits::PIECE_OVERHEAD) for each.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// The connection that a packet with other tags belongs to: a host may show each packet with
    /// and without a tag, or with a different tag in each direction, and the first of two copies
    /// counts. The sequence numbers show which of several tenants' connections it is.
    fn sibling(&self, key: &FlowKey, segment: &Segment, from: End) -> Option<u32> {
        let nearest = |slot: u32| {
            let theirs = self.origins.get(slot as usize)?.key.tag();
            let flow = self.flows.0.get(slot as usize)?;
            let same_network = theirs.may_be(segment.tag);
            flow.distance(segment, from, same_network, self.limits.window).map(|far| (far, slot))
        };
        self.index.siblings(key).filter_map(nearest).min().map(|(_, slot)| slot)
    }

    /// A slot for a new connection, if the segment begins one with a SYN or with payload.
    fn admit(
        &mut self,
        key: &FlowKey,
        segment: &Segment,
        out: &mut Vec<StreamEvent>,
    ) -> Option<u32> {
        let syn = segment.flags.contains(Flags::SYN);
        let carries = !segment.payload.is_empty() || segment.cut > 0;
        if segment.flags.contains(Flags::RST) || !(syn || carries) {
            self.stats.drop_bytes(Dropped::WithReset, segment.payload.len());
            return None;
        }
        if self.len() >= self.limits.connections {
            self.evict(out);
        }
        let origin = FlowOrigin { key: *key, interface: segment.interface };
        let slot = if let Some(slot) = self.free.pop() {
            *self.origins.get_mut(slot as usize).expect("a free slot has been used") = origin;
            slot
        } else {
            self.origins.push(origin);
            self.flows.0.push(Flow::default());
            u32::try_from(self.origins.len() - 1).expect("connections are limited below 2^32")
        };
        self.index.insert(*key, slot);
        self.flows.at(slot).heard = second(self.clock.now());
        self.lists.half_open.push(&mut self.flows, slot);
        Some(slot)
    }

    fn evict(&mut self, out: &mut Vec<StreamEvent>) {
        let first = [&self.lists.half_open, &self.lists.closed, &self.lists.live]
            .into_iter()
            .find_map(Lru::first)
            .expect("a full table has connections");
        if !self.flows.at(first).state.is_reported() {
            self.stats.evicted_unopened += 1;
        }
        self.remove(first, CloseReason::Evicted, out);
    }

    fn remove(&mut self, slot: u32, reason: CloseReason, out: &mut Vec<StreamEvent>) {
        let state = self.flows.at(slot).state;
        self.lists.of(state).remove(&mut self.flows, slot);
        self.index.remove(&self.origins.get(slot as usize).expect("every slot has its origin").key);
        if state != State::Closed {
            let at = self.clock.last();
            self.with_flow(slot, at, out, |flow, cx| flow.close(reason, cx));
        }
        self.flows.at(slot).forget();
        self.free.push(slot);
    }

    fn with_flow<T>(
        &mut self,
        slot: u32,
        at: Timestamp,
        out: &mut Vec<StreamEvent>,
        work: impl FnOnce(&mut Flow, &mut Context<'_>) -> T,
    ) -> T {
        let mut cx = Context {
            slot,
            now: self.clock.now(),
            at,
            origin: self.origins.get(slot as usize).expect("every slot has its origin"),
            limits: &self.limits,
            stats: &mut self.stats,
            held: &mut self.held,
            next_serial: &mut self.next_serial,
            twins: &mut self.twins,
            out,
        };
        work(self.flows.at(slot), &mut cx)
    }

    fn receive(
        &mut self,
        slot: u32,
        segment: Segment,
        from: End,
        out: &mut Vec<StreamEvent>,
    ) -> Disposition {
        let flow = self.flows.at(slot);
        let (before, heard) = (flow.state, flow.heard);
        let disposition = self.with_flow(slot, segment.at, out, |flow, cx| {
            if flow.expects(&segment, from) {
                flow.receive_expected(segment, from, cx)
            } else {
                flow.receive(segment, from, cx)
            }
        });
        // The list is ordered by seconds: that is exact enough, and spares its neighbours' cache
        // lines.
        let second = second(self.clock.now());
        let flow = self.flows.at(slot);
        if !flow.timed && flow.waits() {
            flow.timed = true;
            self.timers
                .push_back((self.clock.now().saturating_add(nanos(self.limits.grace)), slot));
        }
        if flow.state != before || heard != second {
            flow.heard = second;
            let after = flow.state;
            self.lists.of(before).remove(&mut self.flows, slot);
            self.lists.of(after).push(&mut self.flows, slot);
        }
        disposition
    }

    #[inline]
    fn run_timers(&mut self, now: Nanos, out: &mut Vec<StreamEvent>) {
        if self.timers.front().is_some_and(|(due, _)| *due <= now) {
            self.look_at_due(now, out);
        }
    }

    /// Looks at each flow that is due. All wait equally long, so the queue is in order.
    fn look_at_due(&mut self, now: Nanos, out: &mut Vec<StreamEvent>) {
        let again = now.saturating_add(nanos(self.limits.grace).max(1));
        // At most one round: at the end of time everything is due again at once.
        for _ in 0..self.timers.len() {
            let Some((due, slot)) = self.timers.front().copied() else { return };
            if due > now {
                return;
            }
            self.timers.pop_front();
            let before = self.flows.at(slot).state;
            let at = self.clock.last();
            let waits = self.with_flow(slot, at, out, |flow, cx| {
                flow.settle(cx);
                if flow.state != State::Closed && flow.halves.values().all(|h| h.fin) {
                    flow.close(CloseReason::Fin, cx);
                }
                flow.waits()
            });
            let flow = self.flows.at(slot);
            flow.timed = waits;
            let after = flow.state;
            if waits {
                self.timers.push_back((again, slot));
            }
            if after != before {
                self.lists.of(before).remove(&mut self.flows, slot);
                self.lists.of(after).push(&mut self.flows, slot);
            }
        }
    }
}
