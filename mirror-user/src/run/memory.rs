//! Shares a memory limit out, so that the tables which grow with what is captured end below it: the guard, which
//! looks once a second, is for what is left. Without a limit each table has its default.

use crate::http::HttpOptions;
use crate::tcp::TcpLimits;

/// What a table keeps however small the limit is.
const LEAST_BYTES: u64 = 4 << 20;

/// Lowers the limits of the stages to shares of what `limit` leaves beside the ring: half for messages, an eighth for
/// bytes out of order. The rest is for queues, which have their own limit (`max-queue`), and for the program.
pub(super) fn share(limit: u64, ring: u64, http: &mut HttpOptions, tcp: &mut TcpLimits) {
    let budget = limit.saturating_sub(ring);
    let part = |of: u64| (budget / of).max(LEAST_BYTES);
    http.max_held = http.max_held.min(part(2));
    let held = usize::try_from(part(8)).unwrap_or(usize::MAX);
    tcp.held_in_all = tcp.held_in_all.min(held);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_only_fall_and_never_to_nothing() {
        let shared = |limit: u64| {
            let (mut http, mut tcp) = (HttpOptions::default(), TcpLimits::default());
            share(limit, 64 << 20, &mut http, &mut tcp);
            (http.max_held >> 20, tcp.held_in_all >> 20)
        };
        assert_eq!(shared(256 << 20), (96, 24));
        assert_eq!(shared(0), (4, 4));
        assert_eq!(shared(64 << 30), (256, 64));
    }
}
