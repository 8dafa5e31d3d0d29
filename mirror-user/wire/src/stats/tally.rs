//! A counter for each reason of one enum.

use std::fmt;

use enum_map::{EnumArray, EnumMap};

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

    /// Every reason's name and its count, zeros included: what an [`Account`](super::Account) lists.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.iter().map(|(reason, n)| (reason.into(), n)).collect()
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
