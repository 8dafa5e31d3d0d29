//! Finds the request that has waited longest, for `Victim::Oldest`.
//!
//! Requests are added in the order of arrival. `pop` returns the oldest waiting request of the
//! lowest priority. Keeps one entry for each waiting request, and discards entries of requests that
//! have left the queue.

use std::collections::VecDeque;
use std::time::Instant;

use enum_map::EnumMap;

use crate::rules::route::Priority;
use crate::sink::replay::key::SessionKey;

/// Entries of requests that have left the queue are discarded once there are more of them than
/// waiting requests, plus this number.
const MAX_STALE: usize = 1024;

/// Identifies a waiting request: its session, deadline and position of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink::replay) struct QueuedRequest {
    pub(in crate::sink::replay) session: SessionKey,
    pub(in crate::sink::replay) due: Option<Instant>,
    pub(in crate::sink::replay) arrived: u64,
}

/// Waiting requests of each priority, the oldest first.
#[derive(Debug, Default)]
pub(in crate::sink::replay) struct WaitingByAge(EnumMap<Priority, VecDeque<QueuedRequest>>);

impl WaitingByAge {
    /// Adds a request. `outstanding` is the number of requests without an outcome; `waits` says
    /// whether a request still waits.
    pub(in crate::sink::replay) fn push(
        &mut self,
        priority: Priority,
        queued: QueuedRequest,
        outstanding: usize,
        waits: impl Fn(QueuedRequest) -> bool,
    ) {
        let class = &mut self.0[priority];
        class.push_back(queued);
        if class.len() > outstanding.saturating_mul(2).saturating_add(MAX_STALE) {
            class.retain(|queued| waits(*queued));
        }
    }

    /// Removes and returns the oldest waiting request of the lowest priority.
    pub(in crate::sink::replay) fn pop(
        &mut self,
        waits: impl Fn(QueuedRequest) -> bool,
    ) -> Option<QueuedRequest> {
        // `EnumMap` iterates from the lowest priority.
        self.0.values_mut().find_map(|class| {
            std::iter::from_fn(|| class.pop_front()).find(|queued| waits(*queued))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::ConnectionId;

    fn queued(arrived: u64) -> QueuedRequest {
        QueuedRequest {
            session: SessionKey { connection: ConnectionId::local(arrived % 3), copy: 0 },
            due: None,
            arrived,
        }
    }

    #[test]
    fn the_oldest_of_the_lowest_class_comes_first() {
        let mut waiting = WaitingByAge::default();
        for (arrived, priority) in
            [(1, Priority::High), (2, Priority::Normal), (3, Priority::Low), (4, Priority::Low)]
        {
            waiting.push(priority, queued(arrived), 10, |_| true);
        }
        let mut order = Vec::new();
        while let Some(QueuedRequest { arrived, .. }) = waiting.pop(|queued| queued.arrived != 3) {
            order.push(arrived);
        }
        assert_eq!(order, [4, 2, 1], "the third has left the queue");
    }

    #[test]
    fn those_that_went_on_their_way_are_forgotten() {
        let mut waiting = WaitingByAge::default();
        for arrived in 0..100_000 {
            // The first one waits forever.
            waiting.push(Priority::Normal, queued(arrived), 5, |queued| queued.arrived == 0);
        }
        assert!(waiting.0[Priority::Normal].len() <= 5 * 2 + MAX_STALE);
        assert_eq!(waiting.pop(|queued| queued.arrived == 0), Some(queued(0)));
    }
}
