//! One counter for each way in which something can be lost, and the sums that prove that nothing
//! was lost in silence: seen = delivered + in flight + the sum over dropped(reason).
//!
//! Each stage counts for itself, in plain numbers or in atomics where it has a thread of its own.
//! It shows them as an [`Account`] and as [`Note`]s; a [`Snapshot`] is those of all stages at one
//! moment, and a [`SnapshotSlot`] is where other threads get one from.

mod account;
mod note;
mod snapshot;
mod tally;

pub use self::account::{Account, Seam};
pub use self::note::{Note, Topic};
pub use self::snapshot::{Snapshot, SnapshotSlot};
pub use self::tally::Tally;

/// Responses, and how many of them say that the request was not for this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// All of them.
    pub all: u64,
    /// Those with 400, 404 or 421.
    pub refused: u64,
}

impl Responses {
    /// True for a status that a server gives for a host that it does not know.
    #[must_use]
    pub fn is_refusal(status: u16) -> bool {
        matches!(status, 400 | 404 | 421)
    }

    /// Counts one.
    pub fn count(&mut self, status: u16) {
        self.all = self.all.saturating_add(1);
        self.refused = self.refused.saturating_add(u64::from(Self::is_refusal(status)));
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }
}
