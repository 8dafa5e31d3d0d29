//! What the bucket of a group says: who is alive, and who owns which shard.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::lease::{Lease, quota};

/// An owner that was not heard of for so long has lost its shards. Long enough for a server to come back.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// What a member says of itself, each time that it says that it is alive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// The version of mirror that it runs.
    pub version: String,
    /// Messages that it took since it started.
    pub taken: u64,
    /// Those that it handed on.
    pub handed_on: u64,
    /// Those of them that may have been delivered before.
    pub redelivered: u64,
}

impl Member {
    /// What a key holds; nothing known if that is none.
    pub(super) fn read(value: &[u8]) -> Self {
        serde_json::from_slice(value).unwrap_or_default()
    }

    pub(super) fn write(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// The keys, as last seen.
#[derive(Debug, Default)]
pub(super) struct View {
    /// When each member was last heard of, by this process's clock.
    members: HashMap<String, Instant>,
    /// Read when they are needed: owners write them all the time.
    shards: HashMap<u32, (Bytes, u64)>,
}

/// What a member does next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Take these, with the lease that is there and its revision; 0: none was there.
    pub(super) claim: Vec<u32>,
    /// Give these back.
    pub(super) release: Vec<u32>,
}

pub(super) fn member_key(id: &str) -> String {
    format!("member.{id}")
}

pub(super) fn shard_key(shard: u32) -> String {
    format!("shard.{shard}")
}

impl View {
    /// A key has this value now; `None`: it was deleted.
    pub(super) fn see(&mut self, key: &str, value: Option<Bytes>, revision: u64, now: Instant) {
        if let Some(id) = key.strip_prefix("member.") {
            match &value {
                Some(_) => self.members.insert(id.to_owned(), now),
                None => self.members.remove(id),
            };
        }
        let shard = key.strip_prefix("shard.").and_then(|shard| shard.parse().ok());
        if let (Some(shard), Some(value)) = (shard, value) {
            self.shards.insert(shard, (value, revision));
        }
    }

    /// The lease of a shard and its revision; 0: there is none.
    pub(super) fn lease(&self, shard: u32) -> (Lease, u64) {
        let found = self.shards.get(&shard);
        found.map(|(value, revision)| (Lease::read(value), *revision)).unwrap_or_default()
    }

    /// What `me` does next, who owns `owned` of `shards`.
    pub(super) fn moves(
        &self,
        me: &str,
        owned: &BTreeSet<u32>,
        shards: u32,
        now: Instant,
    ) -> Moves {
        let is_alive = |id: &str| {
            let seen = self.members.get(id);
            id == me || seen.is_some_and(|seen| now.saturating_duration_since(*seen) < LEASE)
        };
        let mut alive: BTreeSet<&str> = self.members.keys().map(String::as_str).collect();
        alive.insert(me);
        alive.retain(|id| is_alive(id));
        let place = alive.iter().take_while(|id| **id < me).count();
        let quota = quota(alive.len(), place, shards);
        let release = owned.iter().rev().take(owned.len().saturating_sub(quota)).copied().collect();
        let is_free = |shard: &u32| {
            let owner = self.lease(*shard).0.owner;
            !owned.contains(shard) && (owner.is_empty() || owner == me || !is_alive(&owner))
        };
        let claim = (0..shards).filter(is_free).take(quota.saturating_sub(owned.len())).collect();
        Moves { claim, release }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets every member move until nobody does; the shards of each.
    fn settle(view: &mut View, alive: &[&str], now: Instant) -> Vec<BTreeSet<u32>> {
        let owned = |view: &View, id: &str| -> BTreeSet<u32> {
            (0..16).filter(|shard| view.lease(*shard).0.owner == id).collect()
        };
        for id in alive {
            view.see(&member_key(id), Some(Bytes::new()), 0, now);
        }
        for _ in 0..32 {
            let mut moved = false;
            for id in alive {
                let Moves { claim, release } = view.moves(id, &owned(view, id), 16, now);
                for (shards, owner) in [(claim, *id), (release, "")] {
                    for shard in shards {
                        let lease = Lease { owner: owner.to_owned(), ..Lease::default() };
                        view.see(&shard_key(shard), Some(lease.write()), 1, now);
                        moved = true;
                    }
                }
            }
            if !moved {
                return alive.iter().map(|id| owned(view, id)).collect();
            }
        }
        panic!("the shards never come to rest: {view:?}");
    }

    #[test]
    fn shards_are_shared_evenly_and_come_to_rest_whoever_comes_and_goes() {
        let mut view = View::default();
        let start = crate::broker::clock::now();
        assert_eq!(settle(&mut view, &["a"], start)[0].len(), 16);
        let three = settle(&mut view, &["a", "b", "c"], start);
        assert_eq!(three.iter().map(BTreeSet::len).collect::<Vec<_>>(), [6, 5, 5]);
        // One dies without a word: nobody touches its shards before its time is over.
        let soon = start + LEASE / 2;
        view.see(&member_key("a"), Some(Bytes::new()), 0, soon);
        view.see(&member_key("c"), Some(Bytes::new()), 0, soon);
        assert_eq!(settle(&mut view, &["a", "c"], soon), [three[0].clone(), three[2].clone()]);
        let later = start + LEASE;
        let two = settle(&mut view, &["a", "c"], later);
        assert_eq!(two.iter().map(BTreeSet::len).collect::<Vec<_>>(), [8, 8]);
        // One leaves in order: its shards are free at once.
        view.see(&member_key("c"), None, 0, later);
        assert_eq!(settle(&mut view, &["a"], later)[0].len(), 16);
    }

    #[test]
    fn what_others_wrote_into_the_bucket_is_passed_over() {
        let mut view = View::default();
        let now = crate::broker::clock::now();
        view.see("shard.x", Some(Bytes::from_static(b"{")), 1, now);
        view.see("elsewhere", Some(Bytes::from_static(b"{")), 1, now);
        view.see("shard.3", Some(Bytes::from_static(b"no lease")), 4, now);
        assert_eq!(view.lease(3), (Lease::default(), 4));
    }
}
