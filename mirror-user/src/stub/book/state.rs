//! Reads that see what was written: which response of a stub was recorded after which write.
//!
//! A stub by itself counts how often it was asked. But whoever reads a cart, adds to it and reads again is to see the
//! addition then and not before. So each response of a read that a write to the same place preceded in the
//! recording waits for that write, and is given next once it was asked for.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hashbrown::HashMap;

use super::Stub;
use crate::packet::Timestamp;
use crate::stub::canonical::segments;

/// Writes that are looked at for one host; a recording with more is one of load, whose states are many clients'.
const MAX_WRITES: usize = 10_000;

/// Methods that change nothing (RFC 9110 §9.2.1).
const SAFE: [&[u8]; 4] = [b"GET", b"HEAD", b"OPTIONS", b"TRACE"];

/// What must have been asked before some of the responses of a stub.
#[derive(Debug, Default)]
pub(super) struct Gates {
    /// In the order of the responses.
    gates: Vec<Gate>,
    /// The response that is next if nothing else happens.
    next: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Gate {
    /// The response that waits.
    step: u64,
    /// The stub of the write, and how often it must have been asked.
    write: u32,
    times: u64,
}

/// A write in the recording.
struct Write {
    at: Timestamp,
    stub: u32,
    times: u64,
}

impl Gates {
    /// True if no response waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// The response whose turn it is, one more than before, unless a write brings it forward or holds it back.
    pub(super) fn turn(&self, stubs: &[Stub]) -> u64 {
        let is_open = |gate: &Gate| {
            let write = stubs.get(gate.write as usize);
            write.is_some_and(|stub| stub.asked.load(Relaxed) >= gate.times)
        };
        let open = self.gates.iter().take_while(|gate| is_open(gate)).count();
        let (open, closed) = self.gates.split_at_checked(open).unwrap_or_default();
        let first = open.last().map_or(0, |gate| gate.step);
        let last = closed.first().map_or(u64::MAX, |gate| gate.step.saturating_sub(1));
        let turn = self.next.load(Relaxed).clamp(first, last.max(first));
        self.next.store(turn.saturating_add(1), Relaxed);
        turn
    }
}

/// Finds the writes that responses wait for. Stubs have all their responses, in their order.
pub(super) fn find(stubs: &mut [Stub]) {
    let mut writes: HashMap<Box<[u8]>, Vec<Write>> = HashMap::new();
    for (place, stub) in (0..).zip(stubs.iter()).filter(|(_, stub)| !is_safe(stub)) {
        let of_host = writes.entry_ref(&*stub.host).or_default();
        let each = (1..).zip(&stub.steps);
        of_host.extend(each.map(|(times, step)| Write { at: step.at, stub: place, times }));
    }
    writes.retain(|_, writes| writes.len() <= MAX_WRITES);
    writes.values_mut().for_each(|writes| writes.sort_by_key(|write| write.at));
    let gates: Vec<Vec<Gate>> = stubs.iter().map(|stub| gates(stub, stubs, &writes)).collect();
    for (stub, gates) in stubs.iter_mut().zip(gates) {
        stub.gates.gates = gates;
    }
}

fn gates(stub: &Stub, stubs: &[Stub], writes: &HashMap<Box<[u8]>, Vec<Write>>) -> Vec<Gate> {
    let Some(writes) = writes.get(&stub.host).filter(|_| is_safe(stub)) else { return Vec::new() };
    let pairs = stub.steps.windows(2).zip(1..);
    let gate = |(pair, step): (&[super::Step], u64)| {
        let [before, after] = pair else { return None };
        let end = writes.partition_point(|write| write.at < after.at);
        let between = writes.get(..end)?.iter().rev().take_while(|write| write.at >= before.at);
        let concerns = |write: &&Write| {
            stubs.get(write.stub as usize).is_some_and(|other| {
                is_above(&other.path, &stub.path) || is_above(&stub.path, &other.path)
            })
        };
        let Write { stub: write, times, .. } = *between.into_iter().find(concerns)?;
        Some(Gate { step, write, times })
    };
    pairs.filter_map(gate).collect()
}

fn is_safe(stub: &Stub) -> bool {
    SAFE.contains(&&*stub.method)
}

/// True if `path` is `above` or below it.
fn is_above(above: &[u8], path: &[u8]) -> bool {
    let mut have = segments(path);
    segments(above)
        .filter(|segment| !segment.is_empty())
        .all(|segment| have.next() == Some(segment))
}
