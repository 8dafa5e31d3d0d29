//! Limits a live replay to a rate of requests.
//!
//! Decides about each request, by captured connection, so that sessions stay complete: an admitted
//! connection stays admitted, and new ones are admitted while the rate is not reached. If the
//! admitted connections exceed the rate, some of them are dropped from then on. If requests are
//! independent of one another, each is decided by itself.
//!
//! Never waits and never reads a clock: it uses the time of the capture, so that a pause of this
//! process does not look like a burst of production's traffic.

use std::time::Duration;

use hashbrown::HashSet;

use super::pace::Rate;
use crate::packet::Timestamp;

/// How much unused rate may be used later, because requests do not arrive evenly.
const MAX_CREDIT: Duration = Duration::from_millis(100);

/// How far admitted connections may exceed the rate, so that a burst does not break a session.
const MAX_DEBT: Duration = Duration::from_millis(400);

/// Connections in one generation of admitted ones. At most two generations are kept; 2 MiB.
/// Connections without requests for the longest time are discarded first, and count as new if they
/// send another.
const MAX_ADMITTED: usize = 64 * 1024;

/// Keeps a rate (a token bucket).
pub(in crate::sink::replay) struct Cap {
    rate: Rate,
    /// Requests are decided one by one, not by connection.
    each: bool,
    /// The times of the first and the latest request.
    began: Option<Timestamp>,
    last_seen: Option<Timestamp>,
    /// How many requests may be admitted now. Negative: how many were admitted ahead of the rate.
    level: f64,
    admitted: Admitted,
}

impl Cap {
    /// Keeps `rate`; decides about `each` request by itself, or by connection.
    pub(in crate::sink::replay) fn new(rate: Rate, each: bool) -> Self {
        Self { rate, each, began: None, last_seen: None, level: 0.0, admitted: Admitted::default() }
    }

    /// Whether a request of this connection that was complete at `now` is admitted. `is_first`: it
    /// is the first request of its connection.
    pub(in crate::sink::replay) fn admits(
        &mut self,
        connection: u64,
        is_first: bool,
        now: Timestamp,
    ) -> bool {
        let (credit, debt) = self.refill(now);
        let is_admitted = !self.each && self.admitted.contains(connection);
        let admits = if is_admitted {
            self.level > -debt
        } else if self.each || is_first {
            self.level >= 1.0
        } else {
            // A partial session is better than a target that gets less than the rate.
            self.level >= credit
        };
        if !self.each && admits {
            self.admitted.insert(connection);
        } else if is_admitted {
            self.admitted.remove(connection);
        }
        if admits {
            self.level -= 1.0;
        }
        admits
    }

    /// Adds the credit of the time since the last request. Returns the largest credit and the
    /// largest debt.
    fn refill(&mut self, now: Timestamp) -> (f64, f64) {
        let began = *self.began.get_or_insert(now);
        let rate = self.rate.per_second(now.since(began));
        // At least one, or nothing would ever be admitted.
        let (credit, debt) =
            ((rate * MAX_CREDIT.as_secs_f64()).max(1.0), (rate * MAX_DEBT.as_secs_f64()).max(1.0));
        self.level = match self.last_seen {
            Some(last_seen) => (self.level + rate * now.since(last_seen).as_secs_f64()).min(credit),
            None => credit,
        };
        // Times of different connections may be slightly out of order.
        self.last_seen = self.last_seen.max(Some(now));
        (credit, debt)
    }
}

/// Connections in two generations. When the younger one is full, the older one is discarded.
#[derive(Default)]
struct Admitted {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Admitted {
    fn contains(&self, connection: u64) -> bool {
        self.young.contains(&connection) || self.old.contains(&connection)
    }

    fn insert(&mut self, connection: u64) {
        if self.young.insert(connection) && self.young.len() >= MAX_ADMITTED {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn remove(&mut self, connection: u64) {
        self.young.remove(&connection);
        self.old.remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_nanos((seconds * 1e9) as u64)
    }

    /// Sends `each` requests per second on each of `connections`, in turn, for ten seconds. Returns
    /// how many of each connection were admitted.
    fn ten_seconds(cap: &mut Cap, connections: u64, each: u64) -> Vec<u64> {
        let mut admitted = vec![0; usize::try_from(connections).unwrap()];
        for n in 0..each * 10 {
            for (place, admitted) in (0..).zip(&mut admitted) {
                let turn = (n * connections + place) as f64 / (connections * each) as f64;
                *admitted += u64::from(cap.admits(place, n == 0, at(turn)));
            }
        }
        admitted
    }

    fn cap(rate: &str, each: bool) -> Cap {
        Cap::new(rate.parse().unwrap(), each)
    }

    #[test]
    fn sessions_stay_whole_and_the_rate_is_kept() {
        let admitted = ten_seconds(&mut cap("500/s", false), 100, 10);
        let sum: u64 = admitted.iter().sum();
        assert!((4_500..=5_250).contains(&sum), "{sum} of 10,000");
        let whole = admitted.iter().filter(|n| **n == 100).count();
        assert!(whole >= 40, "{whole} of 100 sessions are whole: {admitted:?}");
        let parts = admitted.iter().filter(|n| (20..95).contains(*n)).count();
        assert!(parts <= 5, "{parts} sessions were cut in the middle: {admitted:?}");
    }

    #[test]
    fn load_below_the_rate_is_admitted_completely() {
        assert_eq!(ten_seconds(&mut cap("500/s", false), 20, 20), [200; 20]);
    }

    #[test]
    fn short_connections_are_sampled_to_the_rate() {
        let mut cap = cap("100/s", false);
        let at = |n: u64| Timestamp::from_nanos(n * 1_000_000);
        let admitted = (0..10_000).filter(|n| cap.admits(*n, true, at(*n))).count();
        assert!((1_000..=1_011).contains(&admitted), "{admitted} in ten seconds");
    }

    #[test]
    fn one_large_connection_gets_its_rate_in_parts() {
        let admitted = ten_seconds(&mut cap("100/s", false), 1, 1_000)[0];
        assert!((900..=1_060).contains(&admitted), "{admitted} in ten seconds");
        let each = ten_seconds(&mut cap("100/s", true), 2, 1_000);
        let sum: u64 = each.iter().sum();
        assert!((1_000..=1_011).contains(&sum), "{sum} in ten seconds");
    }

    #[test]
    fn a_rate_below_one_and_one_that_grows_hold_too() {
        let slow: u64 = ten_seconds(&mut cap("0.5/s", false), 10, 10).iter().sum();
        assert!((5..=7).contains(&slow), "{slow}");
        let grows: u64 = ten_seconds(&mut cap("0..200/10s", true), 10, 100).iter().sum();
        assert!((980..=1_030).contains(&grows), "{grows}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut cap = cap("1000000000/s", false);
        for n in 0..200_000 {
            assert!(cap.admits(n, true, Timestamp::from_nanos(n * 1_000)));
        }
        assert!(cap.admitted.young.len() <= MAX_ADMITTED && cap.admitted.old.len() <= MAX_ADMITTED);
    }
}
