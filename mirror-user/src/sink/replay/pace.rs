//! When a request is due.

use std::time::Duration;

use tokio::time::Instant;

use crate::packet::Timestamp;

/// How the recorded times become the times of the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// At once: it is captured as it happens.
    Live,
    /// With the recorded gaps, divided by `speed`.
    Recorded {
        /// 2.0 is twice as fast. Finite and above 0.
        speed: f64,
    },
    /// As fast as the target answers; only the order within a connection is kept.
    Max,
}

/// Deadlines, counted from the first request that came, so that no wait adds to the next.
pub(super) struct Schedule {
    pace: Pace,
    origin: Option<(Timestamp, Instant)>,
}

impl Schedule {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, origin: None }
    }

    /// When a request that was captured at `started` is due; `None`: at once. The first one is due
    /// when it comes, and those captured before it too.
    pub(super) fn due(&mut self, started: Timestamp, now: Instant) -> Option<Instant> {
        let Pace::Recorded { speed } = self.pace else { return None };
        let (first, origin) = *self.origin.get_or_insert((started, now));
        let gap = started.since(first).as_secs_f64() / speed;
        // A speed near zero asks for a time that no clock reaches.
        let gap = Duration::try_from_secs_f64(gap).unwrap_or(Duration::MAX);
        Some(origin.checked_add(gap).unwrap_or_else(|| origin + FAR))
    }
}

/// Ten years.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Pace, Schedule};
    use crate::packet::Timestamp;

    fn gaps(pace: Pace, seconds: &[u64]) -> Vec<Option<Duration>> {
        let now = tokio::time::Instant::from_std(super::super::engine::now());
        let mut schedule = Schedule::new(pace);
        let due = |second: &u64| {
            let at: Option<Instant> =
                schedule.due(Timestamp::from_nanos(second * 1_000_000_000), now);
            at.map(|at| at.duration_since(now))
        };
        seconds.iter().map(due).collect()
    }

    #[test]
    fn recorded_gaps_are_kept_or_divided() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(
            gaps(Pace::Recorded { speed: 1.0 }, &[100, 110, 105, 99]),
            [seconds(0), seconds(10), seconds(5), seconds(0)]
        );
        assert_eq!(gaps(Pace::Recorded { speed: 2.0 }, &[100, 110]), [seconds(0), seconds(5)]);
    }

    #[test]
    fn live_and_max_are_due_at_once() {
        assert_eq!(gaps(Pace::Live, &[1, 2]), [None, None]);
        assert_eq!(gaps(Pace::Max, &[1, 2]), [None, None]);
    }

    #[test]
    fn absurd_speed_is_no_panic() {
        assert!(gaps(Pace::Recorded { speed: 1e-300 }, &[1, 2])[1].is_some());
    }
}
