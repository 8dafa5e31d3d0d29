//! The lease of a shard: who owns it, and how far everything on it is settled. One key of a bucket holds it, and every
//! write names the revision that it replaces, so that of two who want a shard one gets it.
//!
//! Before an owner hands a message on, it has written that it may (`upto`). Whoever takes over knows therefore which
//! messages may have been delivered before, and counts those as redelivered; and an owner that lost its shard without
//! knowing is told so by its next write, before it hands on anything more. No clock is compared with another's.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How often a shard may be taken over from an owner that died while its first message was not settled. Then messages
/// are handed on one by one, and the one during which an owner dies again is parked.
pub(super) const MAX_TRIES: u32 = 3;

/// Runs that a lease counts one by one; those that were idle longest are added up beyond.
const MAX_RUNS: usize = 1024;

/// The name of the sum of the others.
const OTHERS: &str = "others";

/// What the key of a shard holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Lease {
    /// Its owner; empty: nobody.
    pub(super) owner: String,
    /// Every message up to this sequence number of the stream is settled.
    pub(super) floor: u64,
    /// No message beyond this one was handed on by the owner.
    pub(super) upto: u64,
    /// No message beyond this one was ever handed on.
    pub(super) again: u64,
    /// How often owners died since the floor last moved.
    pub(super) tries: u32,
    /// The floor at that time.
    pub(super) tried_at: u64,
    /// Messages are handed on one by one.
    pub(super) careful: bool,
    /// What became of the requests of each run.
    pub(super) runs: BTreeMap<String, RunCounts>,
}

/// What became of one run's requests on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RunCounts {
    /// The place of the next message.
    pub(super) place: u64,
    /// Requests that were delivered.
    pub(super) delivered: u64,
    /// Requests that were dropped, by the rules or because they could not be delivered.
    pub(super) dropped: u64,
    /// Requests among them that may have been delivered before.
    pub(super) redelivered: u64,
    /// Requests that were parked.
    pub(super) parked: u64,
    /// Messages that were published and never came, because the stream did not keep them for so long.
    pub(super) missing: u64,
    /// The last message of the stream.
    pub(super) last: u64,
}

impl RunCounts {
    fn add(&mut self, other: &Self) {
        self.delivered = self.delivered.saturating_add(other.delivered);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.redelivered = self.redelivered.saturating_add(other.redelivered);
        self.parked = self.parked.saturating_add(other.parked);
        self.missing = self.missing.saturating_add(other.missing);
    }
}

impl Lease {
    /// What a key holds; an empty lease if that is none.
    pub(super) fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    pub(super) fn write(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The lease as `owner` takes it over, and the message that is parked.
    pub(super) fn taken_over(mut self, owner: &str) -> (Self, Option<u64>) {
        self.again = self.again.max(self.upto);
        let mut parked = None;
        // Left in order, everything that was handed on is settled.
        if self.upto > self.floor && !self.owner.is_empty() {
            if self.careful {
                // It was the only one.
                parked = Some(self.upto);
                (self.tries, self.tried_at) = (0, 0);
            } else if self.tried_at == self.floor {
                self.tries = self.tries.saturating_add(1);
            } else {
                (self.tries, self.tried_at) = (1, self.floor);
            }
            self.careful = self.tries >= MAX_TRIES;
        }
        self.upto = self.floor;
        self.owner = owner.to_owned();
        (self, parked)
    }

    /// The counts of a run.
    pub(super) fn run(&mut self, run: &str) -> &mut RunCounts {
        if !self.runs.contains_key(run) && self.runs.len() >= MAX_RUNS {
            let named = self.runs.iter().filter(|(name, _)| *name != OTHERS);
            let oldest = named.min_by_key(|(_, counts)| counts.last).map(|(name, _)| name.clone());
            if let Some(counts) = oldest.and_then(|name| self.runs.remove(&name)) {
                self.runs.entry(OTHERS.to_owned()).or_default().add(&counts);
            }
        }
        self.runs.entry(run.to_owned()).or_default()
    }
}

/// How many of `shards` each of the members owns, given in one order everywhere; the first ones one more.
pub(super) fn quota(members: usize, place: usize, shards: u32) -> usize {
    let (shards, members) = (shards as usize, members.max(1));
    shards / members + usize::from(place < shards % members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_its_place_with_however_many_members() {
        for members in 1..40 {
            let all: usize = (0..members).map(|place| quota(members, place, 16)).sum();
            assert_eq!(all, 16);
        }
    }

    #[test]
    fn a_message_that_kills_its_owners_is_found_and_parked() {
        let dead = |lease: Lease, upto| Lease { upto, ..lease };
        let (lease, parked) = Lease::default().taken_over("a");
        assert_eq!((lease.owner.as_str(), lease.tries, parked), ("a", 0, None));
        let mut lease = dead(lease, 40);
        for tries in 1..=MAX_TRIES {
            let (next, parked) = lease.taken_over("b");
            assert_eq!((next.tries, next.again, next.floor, parked), (tries, 40, 0, None));
            lease = dead(next, 40);
        }
        // One by one, until it dies with one alone.
        assert!(lease.careful);
        let (lease, parked) = dead(lease, 3).taken_over("c");
        assert_eq!((parked, lease.again), (Some(3), 40));
        assert!(!lease.careful && lease.tries == 0);
    }

    #[test]
    fn who_leaves_in_order_leaves_no_doubt() {
        let lease = Lease { owner: String::new(), floor: 9, upto: 9, ..Lease::default() };
        let (lease, parked) = lease.taken_over("a");
        assert_eq!((lease.tries, lease.again, parked), (0, 9, None));
    }

    #[test]
    fn runs_beyond_the_limit_are_added_up() {
        let mut lease = Lease::default();
        for run in 0..MAX_RUNS as u64 + 10 {
            let counts = lease.run(&format!("{run}"));
            (counts.delivered, counts.last) = (1, run);
        }
        assert!(lease.runs.len() <= MAX_RUNS + 1);
        assert_eq!(lease.runs.values().map(|run| run.delivered).sum::<u64>(), MAX_RUNS as u64 + 10);
    }

    #[test]
    fn what_is_no_lease_is_an_empty_one() {
        assert_eq!(Lease::read(b"{\"floor\":-1}"), Lease::default());
        let lease = Lease { floor: 7, ..Lease::default() };
        assert_eq!(Lease::read(&lease.write()), lease);
    }
}
