//! Counters between the front and the sinks, and snapshots of all counters of a run.

use super::front::Observed;
use super::outlet::Outlet;
use super::{Beside, Pipeline};
use crate::rules::NotCleared;
use crate::stats::{Account, Note, Responses, Seam, Snapshot, Tally};
use crate::summary::Summary;

/// The counters between the front and the sinks.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    /// Production's responses.
    pub(super) responses: Responses,
    pub(super) cleared: u64,
    pub(super) dropped: Tally<NotCleared>,
}

impl Counts {
    fn account(&self) -> Account {
        Account {
            seen: self.requests,
            delivered: self.cleared,
            dropped: self.dropped.counts(),
            ..Account::new(Seam::Cleared)
        }
    }
}

/// The counters of a sink.
pub(super) struct SinkCounts {
    pub(super) account: Account,
    pub(super) notes: Vec<Note>,
}

impl SinkCounts {
    pub(super) fn of(outlet: &Outlet) -> Self {
        Self { account: outlet.account(), notes: outlet.notes() }
    }
}

impl Pipeline {
    /// A snapshot of all counters, between two packets. Stages of this thread do not run at the
    /// same time; sinks with their own threads guarantee that their sums hold.
    pub(super) fn snapshot(&self) -> Snapshot {
        let Observed { mut accounts, copies, mut notes } = self.front.observe();
        let Beside { handover, guard, .. } = &self.beside;
        notes.extend(self.rules.notes());
        notes.extend(handover.as_ref().and_then(|handover| handover.note()));
        notes.extend(guard.as_ref().and_then(|guard| guard.note()));
        accounts.push(self.counts.account());
        for SinkCounts { account, notes: of_sink } in self.retired.counts() {
            accounts.push(account.clone());
            notes.extend(of_sink.iter().cloned());
        }
        for outlet in &self.outlets {
            accounts.push(outlet.account());
            notes.extend(outlet.notes());
        }
        accounts.extend(copies);
        Snapshot { accounts, notes }
    }

    /// The last snapshot, with warnings for the operator. The reports of replays are added by
    /// `run`.
    pub(super) fn summarize(&self) -> Summary {
        let mut warnings = self.front.warnings();
        if self.counts.requests == 0 {
            warnings.extend(self.front.when_nothing_was_seen());
        }
        warnings.extend(self.rules.warnings());
        warnings.extend(self.retired.warnings().cloned());
        warnings.extend(self.outlets.iter().flat_map(|outlet| outlet.sink.warnings()));
        Summary { snapshot: self.snapshot(), warnings, ..Summary::default() }
    }
}
