//! What is said at the end of a run: the sums that prove that nothing was lost in silence.

use std::fmt;

use serde::Serialize;

use crate::sink::replay::ReplayReport;
use crate::stats::{Account, Note, grouped};

/// The end of a run. Its JSON form is that of `--json`.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// One account for each seam, in the order in which a packet meets them.
    pub accounts: Vec<Account>,
    /// Further counts that are no losses, by name.
    pub notes: Vec<Note>,
    /// What the replays came to, one for each target.
    pub replays: Vec<ReplayReport>,
    /// What the operator should know, such as a file that was cut short.
    pub warnings: Vec<String>,
}

impl Summary {
    /// True when a replay crossed a bound that it was given.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.replays.iter().any(ReplayReport::failed)
    }

    /// True when every account balances.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.accounts.iter().all(Account::balances)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .accounts
            .iter()
            .map(|account| account.name.len())
            .chain(self.notes.iter().map(|note| note.name.len()))
            .max()
            .unwrap_or(0);
        for account in &self.accounts {
            writeln!(f, "{account:width$}")?;
        }
        for Note { name, counts } in &self.notes {
            let counts: Vec<String> =
                counts.iter().map(|(name, n)| format!("{name} {}", grouped(*n))).collect();
            writeln!(f, "{name:width$}  {}", counts.join(", "))?;
        }
        self.replays.iter().try_for_each(|replay| replay.fmt(f))?;
        if !self.balances() {
            writeln!(f, "the sums do not balance: please report this with the summary")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_when_a_sum_does_not_hold() {
        let whole =
            Account { name: "packets", seen: 3, delivered: 2, dropped: vec![("ring_full", 1)] };
        let torn = Account { name: "requests", seen: 3, delivered: 2, dropped: vec![] };
        let mut summary = Summary { accounts: vec![whole], ..Summary::default() };
        assert_eq!(summary.to_string(), "packets  seen 3 = delivered 2 + ring_full 1\n");
        summary.accounts.push(torn);
        assert!(!summary.balances());
        assert!(summary.to_string().contains("do not balance"));
    }
}
