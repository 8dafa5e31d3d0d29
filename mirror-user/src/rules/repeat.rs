//! Recognizes a proxy's retries of a request that was already cleared.
//!
//! A service mesh mirrors a request once, however often its proxy retries; on the server's side every
//! attempt is a request of its own. Envoy (and so Istio) numbers attempts in `x-envoy-attempt-count`,
//! from 1, with a common `x-request-id`. An attempt above the first is a repeat if another with the
//! same id was captured completely. If none was (it went to another host, or was cut off), this is the
//! first attempt that can be mirrored, and it is cleared.
//!
//! Services propagate the id, so one capture may contain it in requests that are not repeats of each
//! other: therefore method, target and host are compared, too.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashSet;

use crate::http::message::{Exchange, Head, Moment};

/// Maximum number of remembered requests: 6 s of 10,000 requests/s; Envoy retries after 25 ms to
/// 250 ms. Later repeats are not recognized.
const MAX_RECENT: usize = 65_536;

/// Recently cleared requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    hasher: RandomState,
    /// Digests of cleared requests: 64 bits of a keyed hash, so that collisions cannot be provoked.
    recent: HashSet<u64>,
    /// The same, oldest first.
    order: VecDeque<u64>,
}

impl Repeats {
    /// True if this repeats a request that was captured completely.
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

/// The request id and the number of the attempt, if both are present.
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
    fn the_first_captured_attempt_is_cleared() {
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
        assert!(!repeats.is_repeat(&try_at(9, "x", "2")), "forgotten, so it is cleared");
    }
}
