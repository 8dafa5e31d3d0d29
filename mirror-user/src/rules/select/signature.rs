//! A prefilter for rules: four 64-bit words (Bloom filters) rule out most rules that cannot match a
//! request. There are false positives, but no false negatives.

use super::{Match, PathKind, RequestFacts, TextMatch};

/// What a request contains, or what a [`Match`] requires. Each word is a set in which several members
/// may share a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Names of fields, without case.
    fields: u64,
    /// Names of query parameters.
    parameters: u64,
    /// Pairs of neighbouring bytes of the path.
    path: u64,
    /// Pairs of neighbouring bytes of the host, without case.
    host: u64,
}

impl Signature {
    /// What a request must contain to match.
    #[must_use]
    pub fn needed(one: &Match) -> Self {
        let names = |list: &[(String, TextMatch)], bit: fn(&[u8]) -> u64| {
            let there = list.iter().filter(|(_, text)| !text.matches(None));
            there.fold(0, |bits, (name, _)| bits | bit(name.as_bytes()))
        };
        let path = one.path.as_ref().filter(|path| !path.ignore_case).map(|path| &path.kind);
        let path = match path {
            None => 0,
            Some(PathKind::Exact(text) | PathKind::Prefix(text)) => pairs(text.as_bytes(), false),
            Some(PathKind::Segments(text)) => {
                pairs(text.strip_suffix('/').unwrap_or(text).as_bytes(), false)
            }
            Some(PathKind::Regex(pattern)) => pairs(pattern.word(), false),
        };
        let host = match one.hosts.as_slice() {
            [host] => pairs(host.known_end().unwrap_or_default().as_bytes(), true),
            _ => 0,
        };
        Self {
            fields: names(&one.headers, field),
            parameters: names(&one.query, parameter),
            path,
            host,
        }
    }

    /// What this request contains. Computes only the words that `asked` uses.
    #[must_use]
    pub fn of(facts: &RequestFacts<'_>, asked: Self) -> Self {
        let mut had = Self::default();
        if asked.fields != 0 {
            had.fields = facts.field_names().fold(0, |bits, name| bits | field(name));
        }
        if asked.parameters != 0 {
            had.parameters = facts.parameter_names().fold(0, |bits, name| bits | parameter(name));
        }
        if asked.path != 0 {
            had.path = pairs(facts.path(), false);
        }
        if asked.host != 0 {
            had.host = pairs(facts.host(), true);
        }
        had
    }

    /// The union of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            fields: self.fields | other.fields,
            parameters: self.parameters | other.parameters,
            path: self.path | other.path,
            host: self.host | other.host,
        }
    }

    /// True if `had` contains everything that is required.
    #[must_use]
    pub fn may_match(self, had: Self) -> bool {
        (self.fields & !had.fields)
            | (self.parameters & !had.parameters)
            | (self.path & !had.path)
            | (self.host & !had.host)
            == 0
    }
}

/// Hashes a name by its length, first and last byte.
fn field(name: &[u8]) -> u64 {
    let ends = name.first().zip(name.last());
    let ends = ends.map_or(0, |(first, last)| {
        usize::from(first.to_ascii_lowercase()) * 5 + usize::from(last.to_ascii_lowercase()) * 11
    });
    1 << ((name.len() + ends) % 64)
}

/// The same, case-sensitive.
fn parameter(name: &[u8]) -> u64 {
    let ends = name.first().zip(name.last());
    let ends = ends.map_or(0, |(first, last)| usize::from(*first) * 5 + usize::from(*last) * 11);
    1 << ((name.len() + ends) % 64)
}

/// Hashes pairs of neighbouring bytes.
fn pairs(text: &[u8], without_case: bool) -> u64 {
    let mut bits = 0;
    for pair in text.windows(2) {
        let [a, b] = pair else { continue };
        let (a, b) = match without_case {
            true => (a.to_ascii_lowercase(), b.to_ascii_lowercase()),
            false => (*a, *b),
        };
        bits |= 1 << ((u32::from(a) * 7 + u32::from(b) * 3) % 64);
    }
    bits
}
