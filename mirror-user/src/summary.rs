//! The summary of a run: the sums that prove that nothing was lost in silence, and the results of
//! its replays.

use std::fmt;

use mirror_compare::gate::Outcome;
use mirror_compare::report::Report;
use mirror_compare::report::table::Table;
use serde::Serialize;

use crate::sink::replay::ReplayReport;
use crate::stats::{Account, Seam, Snapshot, grouped};

/// The result of a run. `--json` prints it as JSON.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// The counters at the end.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// The results of the replays, one for each target.
    pub replays: Vec<ReplayReport>,
    /// What the comparison of a target found, if one is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Box<Compared>>,
    /// What the operator should know, such as a file that was cut short.
    pub warnings: Vec<String>,
}

/// What a comparison found.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The endpoints and their fields.
    #[serde(flatten)]
    pub report: Report,
    /// What became of the gate of the rules.
    #[serde(skip)]
    pub outcome: Option<Outcome>,
}

impl Summary {
    /// True when a replay crossed one of its `--fail-on` bounds, or a comparison failed the gate of its rules.
    #[must_use]
    pub fn failed(&self) -> bool {
        let gate = self.comparison.as_ref().and_then(|compared| compared.outcome.as_ref());
        self.replays.iter().any(ReplayReport::failed) || matches!(gate, Some(Outcome::Failed(_)))
    }

    /// True when every account balances and nothing is in flight any more, but for what was left in
    /// the kernel's ring by a run that ended early.
    #[must_use]
    pub fn balances(&self) -> bool {
        let holds = |account: &Account| match account.seam {
            Seam::Kernel => account.balances(),
            _ => account.is_settled(),
        };
        self.snapshot.accounts.iter().all(holds)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { accounts, notes } = &self.snapshot;
        let titles = accounts.iter().map(|account| account.title().len());
        let width = titles.chain(notes.iter().map(|note| note.topic.name().len())).max();
        let width = width.unwrap_or(0);
        for account in accounts {
            writeln!(f, "{account:width$}")?;
        }
        for note in notes {
            let counts = note.titled().into_iter();
            let counts: Vec<_> = counts.map(|(name, n)| format!("{name} {}", grouped(n))).collect();
            writeln!(f, "{:width$}  {}", note.topic.name(), counts.join(", "))?;
        }
        self.replays.iter().try_for_each(|replay| replay.fmt(f))?;
        if let Some(Compared { report, outcome }) = self.comparison.as_deref() {
            write!(f, "{}", Table(report))?;
            if let Some(Outcome::Failed(reasons) | Outcome::NotEnough(reasons)) = outcome {
                reasons.iter().try_for_each(|why| writeln!(f, "gate: {why}"))?;
            }
        }
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
        let dropped = vec![("ring_full", 1), ("too_large", 0)];
        let whole = Account { seen: 3, delivered: 2, dropped, ..Account::new(Seam::Packets) };
        let torn = Account { seen: 3, delivered: 2, ..Account::new(Seam::Requests) };
        let mut summary = Summary::default();
        summary.snapshot.accounts.push(whole);
        assert_eq!(summary.to_string(), "packets  seen 3 = delivered 2 + ring_full 1\n");
        summary.snapshot.accounts.push(torn);
        assert!(!summary.balances());
        assert!(summary.to_string().contains("do not balance"));
    }

    #[test]
    fn at_the_end_nothing_may_be_in_flight_but_in_the_ring() {
        let with = |seam| {
            let account = Account { seen: 1, in_flight: 1, ..Account::new(seam) };
            let snapshot = Snapshot { accounts: vec![account], ..Snapshot::default() };
            Summary { snapshot, ..Summary::default() }.balances()
        };
        assert!(with(Seam::Kernel));
        assert!(!with(Seam::Requests));
    }
}
