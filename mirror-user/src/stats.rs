//! One counter for each way in which something can be lost, and the sums that prove that nothing
//! was lost in silence: seen = delivered + the sum over dropped(reason).

use std::fmt;

use enum_map::{EnumArray, EnumMap};
use serde::Serialize;

/// A counter for each reason of one enum. The reason's name is its counter's name.
pub struct Tally<R: EnumArray<u64>>(EnumMap<R, u64>);

impl<R: EnumArray<u64>> Default for Tally<R> {
    fn default() -> Self {
        Self(EnumMap::default())
    }
}

impl<R: EnumArray<u64> + Into<&'static str>> Tally<R> {
    /// Counts one.
    pub fn count(&mut self, reason: R) {
        self.add(reason, 1);
    }

    /// Counts `n`.
    pub fn add(&mut self, reason: R, n: u64) {
        let counter = &mut self.0[reason];
        *counter = counter.saturating_add(n);
    }

    /// Takes back one that turned out not to be.
    pub fn take_back(&mut self, reason: R) {
        let counter = &mut self.0[reason];
        *counter = counter.saturating_sub(1);
    }

    /// How many were counted for `reason`.
    #[must_use]
    pub fn get(&self, reason: R) -> u64 {
        self.0[reason]
    }

    /// How many were counted for all reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Every reason and its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (R, u64)> + '_ {
        self.0.iter().map(|(reason, n)| (reason, *n))
    }

    /// Every reason that was counted at least once, with its name.
    pub fn non_zero(&self) -> impl Iterator<Item = (&'static str, u64)> + '_
    where
        R: Copy,
    {
        self.0.iter().filter(|(_, n)| **n > 0).map(|(reason, n)| (reason.into(), *n))
    }
}

impl<R: EnumArray<u64> + Into<&'static str> + Copy> fmt::Debug for Tally<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.non_zero()).finish()
    }
}

/// Responses, and how many of them say that the request was not for this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// All of them.
    pub all: u64,
    /// Those with 400, 404 or 421.
    pub refused: u64,
}

impl Responses {
    /// True for a status that a server gives for a host that it does not know.
    #[must_use]
    pub fn is_refusal(status: u16) -> bool {
        matches!(status, 400 | 404 | 421)
    }

    /// Counts one.
    pub fn count(&mut self, status: u16) {
        self.all = self.all.saturating_add(1);
        self.refused = self.refused.saturating_add(u64::from(Self::is_refusal(status)));
    }
}

/// One line of the final proof: so many came in, so many went on, the others were dropped and why.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Account {
    /// What is counted and where: `packets`, `requests`, `shadow requests`.
    pub name: &'static str,
    /// How many came in.
    pub seen: u64,
    /// How many went on.
    pub delivered: u64,
    /// The others, by the name of the reason; zeros are left out.
    pub dropped: Vec<(&'static str, u64)>,
}

impl Account {
    /// Adds what another one counted of the same.
    pub fn add(&mut self, part: Self) {
        self.seen = self.seen.saturating_add(part.seen);
        self.delivered = self.delivered.saturating_add(part.delivered);
        for (reason, n) in part.dropped {
            match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, total)) => *total = total.saturating_add(n),
                None => self.dropped.push((reason, n)),
            }
        }
    }

    /// True when seen = delivered + the sum over dropped(reason).
    #[must_use]
    pub fn balances(&self) -> bool {
        let dropped: u64 = self.dropped.iter().map(|(_, n)| n).sum();
        self.delivered.checked_add(dropped) == Some(self.seen)
    }
}

/// `requests  seen 3 = delivered 2 + incomplete 1`; a width pads the name.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = f.width().unwrap_or(0);
        let (seen, delivered) = (grouped(self.seen), grouped(self.delivered));
        write!(f, "{:width$}  seen {seen} = delivered {delivered}", self.name)?;
        for (reason, n) in &self.dropped {
            write!(f, " + {reason} {}", grouped(*n))?;
        }
        Ok(())
    }
}

/// Counts of one room that explain its account.
#[derive(Debug, Serialize)]
pub struct Note {
    /// What is counted.
    pub name: &'static str,
    /// Each count by its name.
    pub counts: Vec<(String, u64)>,
}

impl Note {
    /// A note without its zeros; `None` when nothing is left.
    pub fn new<N: Into<String>>(
        name: &'static str,
        counts: impl IntoIterator<Item = (N, u64)>,
    ) -> Option<Self> {
        let counts: Vec<_> =
            counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.into(), n)).collect();
        (!counts.is_empty()).then_some(Self { name, counts })
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
