//! Computes when each request is due. Deadlines are absolute, counted from the first request, so
//! that delays do not add up.

pub(in crate::sink::replay) mod cap;
pub(in crate::sink::replay) mod copies;
pub(in crate::sink::replay) mod pace;
pub(in crate::sink::replay) mod timer;
pub(in crate::sink::replay) mod window;

use std::time::{Duration, Instant};

use self::pace::Pace;
use crate::packet::Timestamp;

/// How long after its arrival the first request is due: time for the reader to get ahead and for
/// the first connections to be made.
const HEAD_START: Duration = crate::sink::replay::engine::session::CONNECT_AHEAD;

/// Ten years: replaces a deadline that cannot be computed. No replay reaches it.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The deadlines of one replay.
pub(in crate::sink::replay) struct Schedule {
    pace: Pace,
    /// A captured time and when it is due. For a rate only the second is used.
    origin: Option<(Timestamp, Instant)>,
    /// How many requests have a deadline so far.
    scheduled: u64,
    /// The latest deadline so far.
    latest: Option<Instant>,
    gaps: Gaps,
}

/// Shortens long pauses.
#[derive(Default)]
struct Gaps {
    longest: Option<Duration>,
    /// Distance of the latest request from the origin, before any cut.
    latest: Duration,
    /// Where the last pause that was cut began, before any cut.
    last_cut: Duration,
    /// How much was cut in all before that pause.
    cut_before: Duration,
    cut: Duration,
}

impl Gaps {
    /// The distance from the origin after cuts, for a request at distance `at`.
    fn position(&mut self, at: Duration) -> Duration {
        let Some(longest) = self.longest else { return at };
        let gap = at.saturating_sub(self.latest);
        if gap > longest {
            (self.last_cut, self.cut_before) = (self.latest, self.cut);
            self.cut = self.cut.saturating_add(gap.saturating_sub(longest));
        }
        self.latest = self.latest.max(at);
        // A request that began before the end of the pause may have been completed after it.
        let resumed = self.last_cut.saturating_sub(self.cut_before).saturating_add(longest);
        at.saturating_sub(self.cut).max(at.saturating_sub(self.cut_before).min(resumed))
    }
}

impl Schedule {
    /// With `max_gap`, longer pauses between recorded times are cut to it.
    pub(in crate::sink::replay) fn new(pace: Pace, max_gap: Option<Duration>) -> Self {
        let gaps = Gaps { longest: max_gap, ..Gaps::default() };
        Self { pace, origin: None, scheduled: 0, latest: None, gaps }
    }

    /// When a request that was captured at `started` is due, plus `offset`; `None`: at once. The
    /// first request is due [`HEAD_START`] after it arrives, as are requests that were captured
    /// before it. A rate ignores the offset: each request is due one interval after the one before.
    ///
    /// `now` is called only for the first request, and for live requests with an offset.
    pub(in crate::sink::replay) fn due(
        &mut self,
        started: Timestamp,
        offset: Duration,
        now: impl Fn() -> Instant,
    ) -> Option<Instant> {
        let latest = self.latest;
        let origin = &mut self.origin;
        let mut origin = || {
            *origin.get_or_insert_with(|| (started, latest.unwrap_or_else(|| now() + HEAD_START)))
        };
        let due = match self.pace {
            Pace::Max => return None,
            Pace::Live if offset.is_zero() => return None,
            Pace::Live => later(now(), offset),
            Pace::Recorded { speed } => {
                let (first, origin) = origin();
                let gap = started.since(first).as_secs_f64() / speed;
                // A speed near zero leads to a time that no clock reaches.
                let gap = Duration::try_from_secs_f64(gap).unwrap_or(FAR);
                later(origin, self.gaps.position(gap).saturating_add(offset))
            }
            Pace::Rate(rate) => {
                let (_, origin) = origin();
                later(origin, rate.offset(self.scheduled))
            }
        };
        self.scheduled = self.scheduled.saturating_add(1);
        self.latest = Some(latest.map_or(due, |latest| latest.max(due)));
        Some(due)
    }

    /// The capture is read again: its first request is due at the latest deadline so far.
    pub(in crate::sink::replay) fn restart(&mut self) {
        if matches!(self.pace, Pace::Recorded { .. }) {
            self.origin = None;
            self.gaps = Gaps { longest: self.gaps.longest, ..Gaps::default() };
        }
    }

    /// Nothing further is due before [`HEAD_START`] after `now`; gaps and rate stay as they are.
    pub(in crate::sink::replay) fn resume(&mut self, now: Instant) {
        let earliest = now + HEAD_START;
        self.latest = self.latest.map(|latest| latest.max(earliest));
        if let (Pace::Rate(rate), Some((_, origin))) = (self.pace, &mut self.origin) {
            let next = later(*origin, rate.offset(self.scheduled));
            *origin = later(*origin, earliest.saturating_duration_since(next));
        }
    }
}

fn later(origin: Instant, gap: Duration) -> Instant {
    origin.checked_add(gap).unwrap_or_else(|| origin + FAR)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{HEAD_START, Schedule};
    use crate::packet::Timestamp;
    use crate::sink::replay::Pace;
    use crate::sink::replay::clock::now;

    const fn second(n: u64) -> Timestamp {
        Timestamp::from_nanos(n * 1_000_000_000)
    }

    fn gaps(pace: Pace, seconds: &[u64]) -> Vec<Option<Duration>> {
        let now = now();
        let mut schedule = Schedule::new(pace, None);
        let due = |n: &u64| schedule.due(second(*n), Duration::ZERO, || now);
        let since_first = |at: Instant| at.duration_since(now + HEAD_START);
        seconds.iter().map(due).map(|at| at.map(since_first)).collect()
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
    fn rate_counts_requests_and_not_gaps() {
        let millis = |n| Some(Duration::from_millis(n));
        let rate = Pace::Rate("100".parse().unwrap());
        assert_eq!(gaps(rate, &[100, 200, 150]), [millis(0), millis(10), millis(20)]);
    }

    #[test]
    fn live_and_max_are_due_at_once() {
        assert_eq!(gaps(Pace::Live, &[1, 2]), [None, None]);
        assert_eq!(gaps(Pace::Max, &[1, 2]), [None, None]);
    }

    #[test]
    fn absurd_speed_does_not_panic() {
        assert!(gaps(Pace::Recorded { speed: 1e-300 }, &[1, 2])[1].is_some());
    }

    #[test]
    fn second_pass_begins_where_the_first_ends() {
        let start = now();
        let mut schedule = Schedule::new(Pace::Recorded { speed: 1.0 }, None);
        let due = |schedule: &mut Schedule, n| {
            // The current time does not change later deadlines.
            let now = || start + Duration::from_secs(n);
            let at: Option<Instant> = schedule.due(second(n), Duration::ZERO, now);
            at.map(|at| at.duration_since(start + HEAD_START).as_secs())
        };
        assert_eq!(due(&mut schedule, 0), Some(0));
        assert_eq!(due(&mut schedule, 7), Some(7));
        schedule.restart();
        assert_eq!(due(&mut schedule, 0), Some(7));
        assert_eq!(due(&mut schedule, 7), Some(14));
    }

    #[test]
    fn after_a_hold_up_nothing_is_late() {
        let start = now();
        let held_up = start + Duration::from_secs(60);
        let since = |at: Option<Instant>| at.map(|at| at.duration_since(held_up).as_millis());
        let mut rate = Schedule::new(Pace::Rate("10".parse().unwrap()), None);
        let mut recorded = Schedule::new(Pace::Recorded { speed: 1.0 }, None);
        for n in 0..10 {
            rate.due(second(0), Duration::ZERO, || start);
            recorded.due(second(n), Duration::ZERO, || start);
        }
        for schedule in [&mut rate, &mut recorded] {
            schedule.restart();
            schedule.resume(held_up);
        }
        let head_start = HEAD_START.as_millis();
        let due =
            |schedule: &mut Schedule, n| since(schedule.due(second(n), Duration::ZERO, || start));
        let rates = [due(&mut rate, 0), due(&mut rate, 0)];
        assert_eq!(rates, [Some(head_start), Some(head_start + 100)]);
        let recorded = [due(&mut recorded, 0), due(&mut recorded, 1)];
        assert_eq!(recorded, [Some(head_start), Some(head_start + 1_000)]);
        // One that was not held up for long keeps its times.
        let mut short = Schedule::new(Pace::Rate("10".parse().unwrap()), None);
        let first = short.due(second(0), Duration::ZERO, || start).unwrap();
        short.due(second(0), Duration::ZERO, || start);
        short.resume(start);
        let third = short.due(second(0), Duration::ZERO, || start).unwrap();
        assert_eq!(third - first, Duration::from_millis(200));
    }

    #[test]
    fn long_pauses_are_cut_and_later_requests_keep_their_gaps() {
        let came = now();
        let recorded = Pace::Recorded { speed: 2.0 };
        let mut schedule = Schedule::new(recorded, Some(Duration::from_secs(5)));
        let mut due = |n| {
            let at = schedule.due(second(n), Duration::ZERO, || came).unwrap();
            at.duration_since(came + HEAD_START).as_secs()
        };
        // 8 s of the capture are 4 s here, 1,000 s are cut to 5, and a request that began before
        // that pause stays before it.
        let captured = [100, 108, 1_108, 110, 106, 1_110, 1_120, 2_120];
        assert_eq!(captured.map(&mut due), [0, 4, 9, 5, 3, 10, 15, 20]);
        schedule.restart();
        let mut due = |n| schedule.due(second(n), Duration::ZERO, || came).unwrap();
        let first = due(100);
        assert_eq!(due(1_108).duration_since(first), Duration::from_secs(5));
    }

    #[test]
    fn offset_moves_a_request_and_no_other() {
        let came = now();
        let start = came + HEAD_START;
        let mut schedule = Schedule::new(Pace::Recorded { speed: 1.0 }, None);
        let offset = Duration::from_secs(3);
        let mut due = |n, offset| schedule.due(second(n), offset, || came);
        assert_eq!(due(0, Duration::ZERO), Some(start));
        assert_eq!(due(0, offset), Some(start + offset));
        assert_eq!(due(1, Duration::ZERO), Some(start + Duration::from_secs(1)));
    }
}
