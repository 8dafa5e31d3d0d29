//! A target that gets so many requests a second of what is live, and no more.
//!
//! Requests in, whether each may go on out. Chosen by captured connection, so that sessions stay whole: one
//! that is let in stays in, and new ones are let in while the rate is not reached. When those that are in
//! come to more than the rate, some of them are left out from then on. Where requests are independent
//! of one another, each is chosen by itself.
//!
//! Never waits and never looks at a clock: time is that of the capture, so that a pause of this process is no
//! burst of production's.

use std::time::Duration;

use hashbrown::HashSet;

use super::pace::Rate;
use crate::packet::Timestamp;

/// How much of the rate may be made up for later, as requests do not come evenly.
const CREDIT: Duration = Duration::from_millis(100);

/// How far those that are in may run ahead of the rate, so that a burst costs no session.
const DEBT: Duration = Duration::from_millis(400);

/// Connections that are remembered as let in, at most twice as many; 2 MiB. Those that asked for nothing
/// for the longest time are forgotten first, and are new when they ask again.
const MAX_LET_IN: usize = 64 * 1024;

/// What a rate is kept with.
pub(in crate::sink::replay) struct Cap {
    rate: Rate,
    /// Requests are chosen one by one, and not by connection.
    each: bool,
    /// When it was asked first and last.
    began: Option<Timestamp>,
    asked: Option<Timestamp>,
    /// How many requests may go on now; below 0, how many went on before their time.
    level: f64,
    let_in: LetIn,
}

impl Cap {
    /// At most `rate`, `each` request by itself or by connection.
    pub(in crate::sink::replay) fn new(rate: Rate, each: bool) -> Self {
        Self { rate, each, began: None, asked: None, level: 0.0, let_in: LetIn::default() }
    }

    /// Whether a request of this connection that was whole at `now` may go on; `is_first` says that none
    /// was seen before it.
    pub(in crate::sink::replay) fn admits(
        &mut self,
        connection: u64,
        is_first: bool,
        now: Timestamp,
    ) -> bool {
        let (credit, debt) = self.refill(now);
        let is_in = !self.each && self.let_in.contains(connection);
        let admits = if is_in {
            self.level > -debt
        } else if self.each || is_first {
            self.level >= 1.0
        } else {
            // A part of a session is better than a target that gets less than it may.
            self.level >= credit
        };
        if !self.each && admits {
            self.let_in.insert(connection);
        } else if is_in {
            self.let_in.remove(connection);
        }
        if admits {
            self.level -= 1.0;
        }
        admits
    }

    /// Adds what the time brought; how far the level may rise, and how far it may fall.
    fn refill(&mut self, now: Timestamp) -> (f64, f64) {
        let began = *self.began.get_or_insert(now);
        let rate = self.rate.per_second(now.since(began));
        // One at least, or nothing would ever go on.
        let (credit, debt) =
            ((rate * CREDIT.as_secs_f64()).max(1.0), (rate * DEBT.as_secs_f64()).max(1.0));
        self.level = match self.asked {
            Some(asked) => (self.level + rate * now.since(asked).as_secs_f64()).min(credit),
            None => credit,
        };
        // Connections are not in step to the microsecond.
        self.asked = self.asked.max(Some(now));
        (credit, debt)
    }
}

/// Connections in two generations, of which the older one is forgotten when the younger one is full.
#[derive(Default)]
struct LetIn {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl LetIn {
    fn contains(&self, connection: u64) -> bool {
        self.young.contains(&connection) || self.old.contains(&connection)
    }

    fn insert(&mut self, connection: u64) {
        if self.young.insert(connection) && self.young.len() >= MAX_LET_IN {
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

    /// Connections with so many requests a second each, in turns, for ten seconds; how many of the
    /// requests of each went on.
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
    fn what_is_below_the_rate_goes_on_whole() {
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
        assert!(cap.let_in.young.len() <= MAX_LET_IN && cap.let_in.old.len() <= MAX_LET_IN);
    }
}
