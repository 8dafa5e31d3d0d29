//! Which request has waited longest, where that is the one that gives way.
//!
//! Requests in, in the order in which they came; out, which of those that still wait is the oldest of the
//! lowest class. Remembers one place for each that waits, and forgets those that went on their way.

use std::collections::VecDeque;
use std::time::Instant;

use enum_map::EnumMap;

use crate::rules::route::Priority;
use crate::sink::replay::key::SessionKey;

/// Places of requests that went on their way are forgotten when they are more than those that wait, and
/// than this.
const MAX_STALE: usize = 1024;

/// One request: when it came, and where it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) struct Place {
    pub(in crate::sink::replay) session: SessionKey,
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) arrived: u64,
}

/// Places of requests, the oldest first.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct Waiting(EnumMap<Priority, VecDeque<Place>>);

impl Waiting {
    /// Takes note of one among so many `outstanding` ones; `waits` tells those that still wait.
    pub(in crate::sink::replay) fn push(
        &mut self,
        priority: Priority,
        place: Place,
        outstanding: usize,
        waits: impl Fn(Place) -> bool,
    ) {
        let class = &mut self.0[priority];
        class.push_back(place);
        if class.len() > outstanding.saturating_mul(2).saturating_add(MAX_STALE) {
            class.retain(|place| waits(*place));
        }
    }

    /// The oldest one of the lowest class that waits.
    pub(in crate::sink::replay) fn pop(&mut self, waits: impl Fn(Place) -> bool) -> Option<Place> {
        // In the order of the classes, the lowest first.
        self.0
            .values_mut()
            .find_map(|class| std::iter::from_fn(|| class.pop_front()).find(|place| waits(*place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::ConnectionId;

    fn place(arrived: u64) -> Place {
        Place {
            session: SessionKey { connection: ConnectionId::local(arrived % 3), copy: 0 },
            due: None,
            arrived,
        }
    }

    #[test]
    fn the_oldest_of_the_lowest_class_comes_first() {
        let mut waiting = Waiting::default();
        for (arrived, priority) in
            [(1, Priority::High), (2, Priority::Normal), (3, Priority::Low), (4, Priority::Low)]
        {
            waiting.push(priority, place(arrived), 10, |_| true);
        }
        let mut order = Vec::new();
        while let Some(Place { arrived, .. }) = waiting.pop(|place| place.arrived != 3) {
            order.push(arrived);
        }
        assert_eq!(order, [4, 2, 1], "the third went on its way");
    }

    #[test]
    fn those_that_went_on_their_way_are_forgotten() {
        let mut waiting = Waiting::default();
        for arrived in 0..100_000 {
            // The first one waits for ever.
            waiting.push(Priority::Normal, place(arrived), 5, |place| place.arrived == 0);
        }
        assert!(waiting.0[Priority::Normal].len() <= 5 * 2 + MAX_STALE);
        assert_eq!(waiting.pop(|place| place.arrived == 0), Some(place(0)));
    }
}
