//! A first look at a request that tells of most rules, at the price of four words of bits, that they
//! cannot match it. It never says so of one that could.

use super::{Facts, Match, PathKind, TextMatch};

/// What a request has, or what a [`Match`] cannot do without; each word of bits is a set in which
/// two members may share a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Names of fields, without case.
    fields: u64,
    /// Names of query parameters.
    parameters: u64,
    /// Pairs of neighbouring bytes of the path.
    path: u64,
    /// The same of the host, without case.
    host: u64,
}

impl Signature {
    /// What no request without can match.
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

    /// What this request has, as far as `asked` has any bit of it.
    #[must_use]
    pub fn of(facts: &Facts<'_>, asked: Self) -> Self {
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

    /// Everything that is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            fields: self.fields | other.fields,
            parameters: self.parameters | other.parameters,
            path: self.path | other.path,
            host: self.host | other.host,
        }
    }

    /// True unless something of it is not in `had`.
    #[must_use]
    pub fn may_match(self, had: Self) -> bool {
        (self.fields & !had.fields)
            | (self.parameters & !had.parameters)
            | (self.path & !had.path)
            | (self.host & !had.host)
            == 0
    }
}

/// A name by its length and its ends.
fn field(name: &[u8]) -> u64 {
    let ends = name.first().zip(name.last());
    let ends = ends.map_or(0, |(first, last)| {
        usize::from(first.to_ascii_lowercase()) * 5 + usize::from(last.to_ascii_lowercase()) * 11
    });
    1 << ((name.len() + ends) % 64)
}

/// The same in its case.
fn parameter(name: &[u8]) -> u64 {
    let ends = name.first().zip(name.last());
    let ends = ends.map_or(0, |(first, last)| usize::from(*first) * 5 + usize::from(*last) * 11);
    1 << ((name.len() + ends) % 64)
}

/// Pairs of neighbouring bytes.
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
