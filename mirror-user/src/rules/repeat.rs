//! Further attempts at a request that was already let out.
//!
//! A mesh mirrors one request once, however often its proxy tries; on the server's wire every
//! attempt is a request of its own. Envoy (and so Istio) counts them in `x-envoy-attempt-count`,
//! from 1, and gives all of them one `x-request-id`. An attempt above the first is a repeat when
//! another with its id was seen whole; when none was (it went to another host, or was cut off), the
//! attempt is the first that can be shadowed, and is.
//!
//! The id is handed on from service to service, so that one capture may see it in requests that
//! are no repeats of each other: method, target and host count with it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashSet;

use crate::http::message::{Exchange, Head, Moment};

/// How many recent requests are remembered: 6 s of 10,000 requests/s, where Envoy waits 25 ms to
/// 250 ms before it tries again. A repeat that comes later is let out.
const MAX_RECENT: usize = 65_536;

/// What was let out a short time ago.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    hasher: RandomState,
    /// Digests of the requests that were let out. A digest is 64 bits of a keyed hash, so that
    /// no one can make two requests share one on purpose.
    recent: HashSet<u64>,
    /// The same, oldest first.
    order: VecDeque<u64>,
}

impl Repeats {
    /// True when this is a repeat of a request that was seen whole.
    pub(super) fn is_repeat(&mut self, exchange: &Exchange) -> bool {
        let (Moment::Asked, Some(request)) = (exchange.moment, exchange.request.as_deref()) else {
            return false;
        };
        let Some((request_id, attempt)) = attempt(&request.head) else {
            return false;
        };
        let digest = self.digest(request_id, &request.head);
        if attempt > 1 && self.recent.contains(&digest) {
            return true;
        }
        self.remember(digest);
        false
    }

    fn remember(&mut self, digest: u64) {
        if !self.recent.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > MAX_RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    fn digest(&self, request_id: &[u8], head: &Head) -> u64 {
        self.hasher.hash_one((request_id, head.method(), head.target(), head.field("host")))
    }
}

/// The request's id and the number of the attempt, where both were sent.
fn attempt(head: &Head) -> Option<(&[u8], u32)> {
    let attempt = head.field("x-envoy-attempt-count")?;
    let attempt = std::str::from_utf8(attempt).ok()?.parse().ok()?;
    let id = head.field("x-request-id").filter(|id| !id.is_empty())?;
    Some((id, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Incomplete;
    use crate::rules::tests::{asked, with};

    fn try_at(connection: u64, id: &str, attempt: &str) -> Exchange {
        let request = format!(
            "GET /a HTTP/1.1\r\nHost: shop\r\nx-request-id: {id}\r\n\
             x-envoy-attempt-count: {attempt}\r\n\r\n"
        );
        asked(connection, 0, request.as_bytes())
    }

    fn ended(mut exchange: Exchange) -> Exchange {
        exchange.moment = Moment::Ended;
        exchange
    }

    #[test]
    fn a_further_attempt_is_a_repeat() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeat(&try_at(1, "x", "1")));
        assert!(repeats.is_repeat(&try_at(2, "x", "2")));
        assert!(repeats.is_repeat(&try_at(3, "x", "3")));
    }

    #[test]
    fn the_first_attempt_that_is_seen_is_let_out() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeat(&try_at(1, "x", "2")));
        assert!(repeats.is_repeat(&try_at(2, "x", "3")));
    }

    #[test]
    fn an_attempt_that_was_cut_off_does_not_stand_for_the_next() {
        let mut repeats = Repeats::default();
        let cut = with(try_at(1, "x", "1"), |request| request.incomplete = Some(Incomplete::Reset));
        assert!(!repeats.is_repeat(&ended(cut)));
        assert!(!repeats.is_repeat(&try_at(2, "x", "2")));
    }

    #[test]
    fn only_the_same_request_is_repeated() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeat(&try_at(1, "x", "1")));
        assert!(!repeats.is_repeat(&try_at(2, "y", "2")));
        for odd in ["1", "0", "-2", "two", "99999999999", ""] {
            assert!(!repeats.is_repeat(&try_at(3, "x", odd)), "{odd:?}");
        }
        let elsewhere =
            "GET /b HTTP/1.1\r\nHost: shop\r\nx-request-id: x\r\nx-envoy-attempt-count: 2\r\n\r\n";
        assert!(!repeats.is_repeat(&asked(4, 0, elsewhere.as_bytes())));
        let nameless = "GET /a HTTP/1.1\r\nHost: shop\r\nx-envoy-attempt-count: 2\r\n\r\n";
        assert!(!repeats.is_repeat(&asked(5, 0, nameless.as_bytes())));
    }

    #[test]
    fn no_more_than_the_recent_ones_are_remembered() {
        let mut repeats = Repeats::default();
        assert!(!repeats.is_repeat(&try_at(1, "x", "1")));
        assert!(repeats.is_repeat(&try_at(2, "x", "2")));
        for other in 0..MAX_RECENT as u64 {
            assert!(!repeats.is_repeat(&try_at(3 + other, &other.to_string(), "1")));
        }
        assert_eq!(repeats.recent.len(), MAX_RECENT);
        assert_eq!(repeats.order.len(), MAX_RECENT);
        assert!(!repeats.is_repeat(&try_at(9, "x", "2")), "forgotten, so it is let out");
    }
}
