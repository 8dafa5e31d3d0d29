//! Maps values of production to values of the target.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// The result of learning a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is new.
    New,
    /// It was known.
    Known,
    /// One of its values already has another partner from the same pass over the capture. The old
    /// pair stays.
    Conflict,
    /// As `Conflict`, but the old pair is from an earlier pass, or such values usually change. The
    /// new pair replaces it.
    Renewed,
}

/// The other value of a pair, with its kind.
#[derive(Debug)]
struct Partner {
    kind: Box<str>,
    value: Box<str>,
    pass: u32,
}

/// Pairs of values, one to one within a kind. Limited in bytes; discards the oldest first.
#[derive(Debug)]
pub(super) struct Table {
    forward: HashMap<Box<str>, Vec<Partner>>,
    backward: HashMap<Box<str>, Vec<Partner>>,
    /// The values of production, in the order in which they were first learned.
    order: VecDeque<Box<str>>,
    bytes: usize,
    max_bytes: usize,
    pub(super) forgotten: u64,
}

/// A pair that is learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// The kind of thing that both name; empty for a unique value.
    pub(super) kind: &'a str,
    pub(super) recorded: &'a str,
    pub(super) shadow: &'a str,
    /// The pass over the capture that it is from.
    pub(super) pass: u32,
    /// Such values usually change: cookies, tokens.
    pub(super) renews: bool,
}

/// The result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup<'a> {
    /// It was never learned.
    Unknown,
    /// The target's value.
    Value(&'a str),
    /// There are several, and it is not known which one is meant.
    Ambiguous,
}

/// Memory of a pair besides its two values, which are in both maps, in bytes.
const PAIR_OVERHEAD_BYTES: usize = 160;

impl Table {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            forward: HashMap::new(),
            backward: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            max_bytes,
            forgotten: 0,
        }
    }

    pub(super) fn learn(&mut self, pair: Pair<'_>) -> Learned {
        let Pair { kind, recorded, shadow, pass, renews } = pair;
        let there = partner(&self.forward, recorded, kind);
        let back = partner(&self.backward, shadow, kind);
        let moved = [
            there.filter(|it| &*it.value != shadow).map(|it| it.pass),
            back.filter(|it| &*it.value != recorded).map(|it| it.pass),
        ];
        let learned = match moved {
            [None, None] if there.is_none() => Learned::New,
            [None, None] => Learned::Known,
            _ if renews || moved.iter().flatten().all(|then| *then < pass) => Learned::Renewed,
            _ => Learned::Conflict,
        };
        if learned == Learned::Conflict {
            return learned;
        }
        if let Some(former) = there.map(|it| it.value.clone()) {
            self.bytes = self.bytes.saturating_sub(size_of_pair(recorded, &former));
            drop_partner(&mut self.backward, &former, kind, recorded);
        } else if !self.forward.contains_key(recorded) {
            self.order.push_back(recorded.into());
        }
        self.bytes += size_of_pair(recorded, shadow);
        put(&mut self.forward, recorded, kind, shadow, pass);
        put(&mut self.backward, shadow, kind, recorded, pass);
        self.forget_the_oldest();
        learned
    }

    /// The target's value for a value of this kind.
    pub(super) fn get(&self, recorded: &str, kind: &str) -> Option<&str> {
        partner(&self.forward, recorded, kind).map(|it| &*it.value)
    }

    /// True if this pass over the capture has learned a pair with this value.
    pub(super) fn is_known(&self, recorded: &str, kind: &str, pass: u32) -> bool {
        partner(&self.forward, recorded, kind).is_some_and(|it| it.pass == pass)
    }

    /// The target's value for a value of any kind.
    pub(super) fn get_any_kind(&self, recorded: &str) -> Lookup<'_> {
        let Some(partners) = self.forward.get(recorded) else { return Lookup::Unknown };
        match partners.split_first() {
            None => Lookup::Unknown,
            Some((first, rest)) if rest.iter().all(|it| it.value == first.value) => {
                Lookup::Value(&first.value)
            }
            Some(_) => Lookup::Ambiguous,
        }
    }

    fn forget_the_oldest(&mut self) {
        while self.bytes > self.max_bytes {
            let Some(recorded) = self.order.pop_front() else { return };
            for partner in self.forward.remove(&recorded).unwrap_or_default() {
                self.bytes = self.bytes.saturating_sub(size_of_pair(&recorded, &partner.value));
                self.forgotten += 1;
                drop_partner(&mut self.backward, &partner.value, &partner.kind, &recorded);
            }
        }
    }
}

fn size_of_pair(recorded: &str, shadow: &str) -> usize {
    2 * (recorded.len() + shadow.len()) + PAIR_OVERHEAD_BYTES
}

fn partner<'a>(
    map: &'a HashMap<Box<str>, Vec<Partner>>,
    value: &str,
    kind: &str,
) -> Option<&'a Partner> {
    map.get(value)?.iter().find(|it| &*it.kind == kind)
}

/// Removes `value` from the partners of `key` in a kind.
fn drop_partner(map: &mut HashMap<Box<str>, Vec<Partner>>, key: &str, kind: &str, value: &str) {
    if let Some(partners) = map.get_mut(key) {
        partners.retain(|it| (&*it.kind, &*it.value) != (kind, value));
        if partners.is_empty() {
            map.remove(key);
        }
    }
}

fn put(map: &mut HashMap<Box<str>, Vec<Partner>>, key: &str, kind: &str, value: &str, pass: u32) {
    let partners = map.entry_ref(key).or_default();
    let value = value.into();
    match partners.iter_mut().find(|it| &*it.kind == kind) {
        Some(partner) => (partner.value, partner.pass) = (value, pass),
        None => partners.push(Partner { kind: kind.into(), value, pass }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair<'a>(recorded: &'a str, shadow: &'a str) -> Pair<'a> {
        Pair { kind: "order", recorded, shadow, pass: 0, renews: false }
    }

    #[test]
    fn pairs_are_one_to_one() {
        let mut table = Table::new(1 << 20);
        assert_eq!(table.learn(pair("5001", "1000000001")), Learned::New);
        assert_eq!(table.learn(pair("5001", "1000000001")), Learned::Known);
        assert_eq!(table.get("5001", "order"), Some("1000000001"));
        assert_eq!(table.learn(pair("5001", "1000000002")), Learned::Conflict);
        assert_eq!(table.learn(pair("5002", "1000000001")), Learned::Conflict);
        assert_eq!(table.get("5001", "order"), Some("1000000001"), "it keeps its partner");
        assert_eq!(table.get("5002", "order"), None);
        let next = Pair { pass: 1, ..pair("5001", "1000000009") };
        assert_eq!(table.learn(next), Learned::Renewed, "another reading of the capture");
        assert_eq!(table.get("5001", "order"), Some("1000000009"));
        assert_eq!(table.get_any_kind("50011"), Lookup::Unknown);
    }

    #[test]
    fn the_same_number_may_name_two_things() {
        let mut table = Table::new(1 << 20);
        table.learn(pair("7", "9"));
        assert_eq!(table.get_any_kind("7"), Lookup::Value("9"), "it names one thing alone");
        assert_eq!(table.learn(Pair { kind: "user", ..pair("7", "8") }), Learned::New);
        assert_eq!(table.get("7", "order"), Some("9"));
        assert_eq!(table.get("7", "user"), Some("8"));
        assert_eq!(table.get_any_kind("7"), Lookup::Ambiguous);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut table = Table::new(10 * size_of_pair("1000", "2000"));
        for n in 1000..1100 {
            table.learn(pair(&n.to_string(), &(n + 1000).to_string()));
        }
        assert_eq!(table.forgotten, 90);
        assert_eq!(table.get("1000", "order"), None);
        assert_eq!(table.get("1099", "order"), Some("2099"));
        assert_eq!((table.forward.len(), table.backward.len(), table.order.len()), (10, 10, 10));
    }
}
