//! What was taken from a shard and is not settled yet, and the lease that says so to others.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::lease::Lease;

/// The messages of a shard that this process owns.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) lease: Lease,
    /// The last message that was taken.
    cursor: u64,
    /// In the order of the stream; settled ones stay until those before them are.
    open: BTreeMap<u64, Entry>,
    /// The place that each run's next message has, in the order in which messages are taken.
    places: HashMap<Bytes, u64>,
    /// Not written yet.
    pub(super) changed: bool,
}

#[derive(Debug)]
struct Entry {
    run: Bytes,
    place: u64,
    is_request: bool,
    is_again: bool,
    /// Its share of the memory that messages may take.
    weight: u32,
    outcome: Option<Outcome>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was delivered.
    Delivered,
    /// It was dropped.
    Dropped,
    /// It was parked.
    Parked,
}

/// A message that is taken.
pub(super) struct Take<'a> {
    pub(super) sequence: u64,
    pub(super) run: &'a Bytes,
    pub(super) place: u64,
    pub(super) is_request: bool,
    pub(super) weight: u32,
}

/// How a message was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    First,
    /// It may have been delivered before.
    Again,
    /// The publisher sent it twice; it is dropped.
    Duplicate,
}

impl Ledger {
    pub(super) fn new(lease: Lease) -> Self {
        let places = lease.runs.iter();
        let places =
            places.map(|(run, counts)| (Bytes::copy_from_slice(run.as_bytes()), counts.place));
        Self {
            cursor: lease.floor,
            open: BTreeMap::new(),
            places: places.collect(),
            lease,
            changed: false,
        }
    }

    /// The last message that was taken; the next one comes after it.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Takes a message, which comes after all that were taken.
    pub(super) fn take(&mut self, take: Take<'_>) -> Taken {
        let Take { sequence, run, place, is_request, weight } = take;
        self.cursor = sequence;
        let is_again = sequence <= self.lease.again;
        let next = self.places.get(run).copied();
        let is_duplicate = next.is_some_and(|next| place < next);
        if !is_duplicate {
            self.places.insert(run.clone(), place.saturating_add(1));
        }
        let entry = Entry { run: run.clone(), place, is_request, is_again, weight, outcome: None };
        if is_duplicate {
            // Nothing of its run is counted: it was, when it came first.
            self.open.insert(sequence, Entry { run: Bytes::new(), is_request: false, ..entry });
            return Taken::Duplicate;
        }
        self.open.insert(sequence, entry);
        if is_again { Taken::Again } else { Taken::First }
    }

    /// A message is settled. Returns the memory that it gives back.
    pub(super) fn settle(&mut self, sequence: u64, outcome: Outcome) -> u32 {
        let Some(entry) = self.open.get_mut(&sequence).filter(|entry| entry.outcome.is_none())
        else {
            return 0;
        };
        entry.outcome = Some(outcome);
        let weight = std::mem::take(&mut entry.weight);
        while let Some(first) = self.open.first_entry()
            && let Some(outcome) = first.get().outcome
        {
            let (sequence, entry) = first.remove_entry();
            self.lease.floor = sequence;
            self.changed = true;
            self.count(sequence, &entry, outcome);
        }
        weight
    }

    fn count(&mut self, sequence: u64, entry: &Entry, outcome: Outcome) {
        let Ok(run) = std::str::from_utf8(&entry.run) else { return };
        if run.is_empty() {
            return;
        }
        let counts = self.lease.run(run);
        // A run that was joined in its middle began before the shard was first taken.
        if counts.last > 0 {
            let missing = entry.place.saturating_sub(counts.place);
            counts.missing = counts.missing.saturating_add(missing);
        }
        (counts.place, counts.last) = (entry.place.saturating_add(1), sequence);
        if !entry.is_request {
            return;
        }
        let count = match outcome {
            Outcome::Delivered => &mut counts.delivered,
            Outcome::Dropped => &mut counts.dropped,
            Outcome::Parked => &mut counts.parked,
        };
        *count = count.saturating_add(1);
        if entry.is_again {
            counts.redelivered = counts.redelivered.saturating_add(1);
        }
    }

    /// The messages from this one on were not handed on: they are taken again, by whoever owns the shard then. Returns
    /// the memory that this gives back.
    pub(super) fn withdraw(&mut self, from: u64) -> u32 {
        let withdrawn = self.open.split_off(&from);
        for entry in withdrawn.values().rev().filter(|entry| !entry.run.is_empty()) {
            self.places.insert(entry.run.clone(), entry.place);
        }
        self.cursor = self.open.last_key_value().map_or(self.lease.floor, |(last, _)| *last);
        withdrawn.values().fold(0, |sum, entry| sum.saturating_add(entry.weight))
    }

    /// The shard is nobody's; what was handed on and is not settled may be delivered yet.
    pub(super) fn give_back(&mut self) {
        self.lease.owner.clear();
        self.lease.upto = self.cursor.max(self.lease.floor);
        self.lease.again = self.lease.again.max(self.lease.upto);
        self.changed = true;
    }

    /// True when everything that was taken is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// The memory that is given back when the shard is lost.
    pub(super) fn weight(&self) -> u32 {
        self.open.values().fold(0, |sum, entry| sum.saturating_add(entry.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ledger: &mut Ledger, sequence: u64, run: &'static str, place: u64) -> Taken {
        let run = Bytes::from_static(run.as_bytes());
        ledger.take(Take { sequence, run: &run, place, is_request: true, weight: 2 })
    }

    #[test]
    fn the_floor_is_below_the_first_that_is_not_settled() {
        let mut ledger = Ledger::new(Lease { floor: 10, again: 12, ..Lease::default() });
        let taken: Vec<_> =
            [(11, 0), (12, 1), (15, 2)].map(|(s, p)| take(&mut ledger, s, "a", p)).into();
        assert_eq!(taken, [Taken::Again, Taken::Again, Taken::First]);
        assert_eq!((ledger.cursor(), ledger.weight()), (15, 6));
        assert_eq!(ledger.settle(12, Outcome::Delivered), 2);
        assert_eq!(ledger.settle(12, Outcome::Delivered), 0, "once is enough");
        assert_eq!(ledger.lease.floor, 10);
        ledger.settle(11, Outcome::Dropped);
        assert_eq!(ledger.lease.floor, 12);
        ledger.settle(15, Outcome::Delivered);
        assert!(ledger.is_settled());
        let counts = ledger.lease.runs["a"];
        assert_eq!((counts.delivered, counts.dropped, counts.redelivered), (2, 1, 2));
        assert_eq!((counts.place, counts.missing), (3, 0));
    }

    #[test]
    fn what_was_not_handed_on_is_taken_again_and_counted_once() {
        let mut ledger = Ledger::new(Lease { owner: "a".into(), ..Lease::default() });
        for sequence in 1..=4 {
            take(&mut ledger, sequence, "a", sequence - 1);
        }
        ledger.settle(1, Outcome::Delivered);
        assert_eq!((ledger.withdraw(3), ledger.cursor()), (4, 2));
        ledger.settle(2, Outcome::Delivered);
        ledger.give_back();
        let lease = ledger.lease.clone();
        assert_eq!((lease.floor, lease.upto, lease.owner.as_str()), (2, 2, ""));
        let (lease, _) = lease.taken_over("b");
        let mut next = Ledger::new(lease);
        assert_eq!(take(&mut next, 3, "a", 2), Taken::First);
        next.settle(3, Outcome::Delivered);
        assert_eq!((next.lease.runs["a"].delivered, next.lease.runs["a"].missing), (3, 0));
    }

    #[test]
    fn what_was_sent_twice_is_told_from_what_is_missing() {
        let mut ledger = Ledger::new(Lease::default());
        // Joined in the middle of a run, whose messages 0 to 4 came earlier.
        assert_eq!(take(&mut ledger, 1, "a", 5), Taken::First);
        assert_eq!(take(&mut ledger, 2, "b", 0), Taken::First);
        assert_eq!(take(&mut ledger, 3, "a", 5), Taken::Duplicate);
        assert_eq!(take(&mut ledger, 4, "a", 8), Taken::First);
        (1..=4).for_each(|sequence| {
            ledger.settle(sequence, Outcome::Delivered);
        });
        let (a, b) = (ledger.lease.runs["a"], ledger.lease.runs["b"]);
        assert_eq!((a.delivered, a.missing, b.delivered, b.missing), (2, 2, 1, 0));
        // The next owner goes on where this one was.
        let mut next = Ledger::new(ledger.lease.clone());
        assert_eq!(take(&mut next, 5, "a", 8), Taken::Duplicate);
        assert_eq!(take(&mut next, 6, "a", 9), Taken::First);
    }
}
