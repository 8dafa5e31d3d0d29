//! A set of TCP ports.

use std::fmt;
use std::ops::RangeInclusive;

/// A set of ports; where it is asked for what is watched, empty means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(
    /// First and last port of each range, ascending, with gaps between them.
    Vec<(u16, u16)>,
);

impl Ports {
    /// The set of these ports.
    #[must_use]
    pub fn new(ports: Vec<u16>) -> Self {
        Self::of_ranges(ports.into_iter().map(|port| port..=port))
    }

    /// The set of all ports in these ranges.
    #[must_use]
    pub fn of_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut ranges: Vec<(u16, u16)> = ranges
            .into_iter()
            .filter(|range| !range.is_empty())
            .map(|range| (*range.start(), *range.end()))
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            if joins {
                kept.1 = kept.1.max(next.1);
            }
            joins
        });
        Self(ranges)
    }

    /// True when `port` is one of the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= port);
        behind
            .checked_sub(1)
            .and_then(|place| self.0.get(place))
            .is_some_and(|(_, last)| port <= *last)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

/// `80, 9000-9010`, as `--port` takes them but for the space.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let ports = Ports::of_ranges([9000..=9010, 80..=80, 9005..=9020, 9021..=9021]);
        assert_eq!(ports.0, [(80, 80), (9000, 9021)]);
        assert!(ports.contains(80) && ports.contains(9021));
        assert!(!ports.contains(81) && !ports.contains(9022) && !ports.contains(0));
        assert_eq!(ports.to_string(), "80, 9000-9021");
        assert_eq!(Ports::new(vec![8080, 80, 80]).iter().collect::<Vec<_>>(), [80, 8080]);
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(
            ranges in prop::collection::vec((0_u16..300, 0_u16..300), 0..8), port in 0_u16..310
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b)| a..=b).collect();
            let expected = ranges.iter().any(|range| range.contains(&port));
            prop_assert_eq!(Ports::of_ranges(ranges).contains(port), expected);
        }
    }
}
