//! Which values are the most frequent in a stream, in a table of fixed size.
//!
//! The space-saving algorithm (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and
//! Top-k Elements in Data Streams", 2005): when the table is full, a new value takes over the place
//! and the count of the rarest one. The inherited part of a count is kept apart and not reported,
//! so that no reported count is too large.

use std::cmp::Reverse;

/// Values that are counted one by one. With more of them, a reported count may be too small, by at
/// most the length of the stream divided by this.
pub const MAX_COUNTED_KINDS: usize = 64;

/// Values that are reported by name.
pub const MAX_NAMED_KINDS: usize = 8;

/// Counts of the most frequent values.
pub(super) struct Frequent<T> {
    places: Vec<Place<T>>,
    total: u64,
}

struct Place<T> {
    value: T,
    count: u64,
    /// How much of `count` was inherited from earlier values.
    taken_over: u64,
}

impl<T> Place<T> {
    fn own(&self) -> u64 {
        self.count.saturating_sub(self.taken_over)
    }
}

impl<T: Copy + Eq> Frequent<T> {
    /// An empty table. It allocates here, and never again.
    pub(super) fn new() -> Self {
        Self { places: Vec::with_capacity(MAX_COUNTED_KINDS), total: 0 }
    }

    /// Counts one.
    pub(super) fn count(&mut self, value: T) {
        self.total = self.total.saturating_add(1);
        if let Some(place) = self.places.iter_mut().find(|place| place.value == value) {
            place.count = place.count.saturating_add(1);
        } else if self.places.len() < MAX_COUNTED_KINDS {
            self.places.push(Place { value, count: 1, taken_over: 0 });
        } else if let Some(rarest) = self.places.iter_mut().min_by_key(|place| place.count) {
            let taken_over = rarest.count;
            *rarest = Place { value, count: taken_over.saturating_add(1), taken_over };
        }
    }

    /// The most frequent values, in descending order, and the count of all others. The sum is the
    /// total count.
    pub(super) fn most(&self) -> (Vec<(T, u64)>, u64) {
        let mut most: Vec<_> = self.places.iter().map(|place| (place.value, place.own())).collect();
        most.sort_by_key(|(_, count)| Reverse(*count));
        most.truncate(MAX_NAMED_KINDS);
        let named = most.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        (most, self.total.saturating_sub(named))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn counted(values: impl IntoIterator<Item = u16>) -> Frequent<u16> {
        let mut frequent = Frequent::new();
        values.into_iter().for_each(|value| frequent.count(value));
        frequent
    }

    #[test]
    fn few_values_are_counted_exactly_and_the_most_frequent_comes_first() {
        let (most, others) = counted([5, 7, 7, 9, 7, 9]).most();
        assert_eq!((most, others), (vec![(7, 3), (9, 2), (5, 1)], 0));
        let (most, others) = counted(0..20).most();
        assert_eq!((most.len(), others), (MAX_NAMED_KINDS, 12));
    }

    /// A scan of all ports, before and between the packets of one flow.
    #[test]
    fn a_frequent_value_is_found_among_ever_new_ones() {
        let scan = (1..10_000).chain((10_000..20_000).flat_map(|port| [port, 0]));
        let frequent = counted(scan);
        let (most, others) = frequent.most();
        let (first, count) = most[0];
        let total = 9_999 + 20_000;
        assert_eq!(first, 0);
        assert!((10_000 - total / MAX_COUNTED_KINDS as u64..=10_000).contains(&count), "{count}");
        assert_eq!(most.iter().map(|(_, n)| n).sum::<u64>() + others, total);
        assert_eq!(frequent.places.capacity(), MAX_COUNTED_KINDS);
    }

    proptest! {
        #[test]
        fn no_count_is_too_large_and_none_is_short_by_more_than_its_share(
            values in prop::collection::vec(prop_oneof![0..4_u16, 0..200_u16], 0..2_000)
        ) {
            let mut exact = HashMap::new();
            values.iter().for_each(|value| *exact.entry(*value).or_insert(0_u64) += 1);
            let total = values.len() as u64;
            let frequent = counted(values);
            let (most, others) = frequent.most();
            for (value, count) in &most {
                let missing = exact[value].checked_sub(*count);
                prop_assert!(missing.is_some_and(|n| n <= total / MAX_COUNTED_KINDS as u64));
            }
            prop_assert_eq!(most.iter().map(|(_, n)| n).sum::<u64>() + others, total);
            for (value, count) in exact {
                let is_there = frequent.places.iter().any(|place| place.value == value);
                prop_assert!(is_there || count <= total / MAX_COUNTED_KINDS as u64);
            }
        }
    }
}
