//! What became of the packets that the kernel programs saw.

use mirror_common::Outcome;
use strum::IntoStaticStr;

use crate::stats::{Account, Seam};

/// Why an entry of the ring gave no packet: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Entry {
    /// Not a packet record; never, unless the two halves differ.
    UnreadableRecord,
}

/// The proof from what the kernel counted, read after what the reader did. What it copied and the
/// reader has not handed over is in flight: in the ring, or a packet of which parts are missing.
pub(super) fn account(outcomes: &[(Outcome, u64)], handed_over: u64, unreadable: u64) -> Account {
    let sum = |sum: u64, n: u64| sum.saturating_add(n);
    let is_copied = |outcome: &Outcome| *outcome == Outcome::Copied;
    let copied =
        outcomes.iter().filter(|(outcome, _)| is_copied(outcome)).map(|(_, n)| *n).fold(0, sum);
    let taken = handed_over.saturating_add(unreadable);
    // A CPU counts a packet after it is in the ring, so that the reader can be before it.
    let copied = copied.max(taken);
    let refused = outcomes.iter().filter(|(outcome, _)| !is_copied(outcome));
    let mut dropped: Vec<_> = refused.map(|(outcome, n)| (outcome.name(), *n)).collect();
    let seen = dropped.iter().map(|(_, n)| *n).fold(copied, sum);
    dropped.push((Entry::UnreadableRecord.into(), unreadable));
    Account {
        seen,
        delivered: handed_over,
        in_flight: copied.saturating_sub(taken),
        dropped,
        ..Account::new(Seam::Kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_the_ring_is_in_flight() {
        let outcomes = [(Outcome::Copied, 10), (Outcome::NotTcp, 3), (Outcome::RingFull, 0)];
        let account = account(&outcomes, 6, 1);
        assert!(account.balances());
        assert_eq!((account.seen, account.delivered, account.in_flight), (13, 6, 3));
        assert_eq!(account.losses(), [("not_tcp", 3), ("unreadable_record", 1)]);
        assert_eq!(account.dropped_for(Outcome::RingFull.name()), 0);
        assert_eq!(account.dropped.len(), 3, "zeros included");
    }

    #[test]
    fn a_packet_that_was_read_before_it_was_counted_tears_no_sum() {
        let account = account(&[(Outcome::Copied, 4), (Outcome::NotTcp, 1)], 5, 0);
        assert!(account.is_settled(), "{account}");
        assert_eq!(account.seen, 6);
    }
}
