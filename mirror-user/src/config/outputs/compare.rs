//! Outputs that compare: one that keeps a candidate's recording, one that compares production's exchanges with it, and
//! a replay whose targets' responses are compared.

use std::io::Write;
use std::sync::Arc;

use super::replay::{Bodies, ReplayTarget, replay};
use super::{Open, Opened, OutputPlan, for_redaction};
use crate::pipeline::Outlet;
use crate::sink::compare::store::{Store, StoreSink};
use crate::sink::compare::{CompareSink, Judge, LiveSink, Meeting, RecordSink, Recording, Shared};

/// Keeps exchanges in memory.
pub(crate) fn record(recording: Recording) -> OutputPlan {
    OutputPlan::new(for_redaction(), move |_| Ok(Opened::of(RecordSink::new(recording))))
}

/// Compares exchanges with a recording; pairs that differ are also written as JSON lines.
pub(crate) fn compare(
    recording: Recording,
    comparison: Shared,
    findings: Option<Box<dyn Write + Send>>,
) -> OutputPlan {
    OutputPlan::new(for_redaction(), move |_| {
        let store = comparison.store().cloned();
        let mut opened = Opened::of(CompareSink::new(recording, comparison, findings));
        opened.keep_in(store)?;
        Ok(opened)
    })
}

/// Sends requests to `targets`, whose observers are those of `meeting`, and compares.
pub(crate) fn live(
    targets: Vec<ReplayTarget>,
    bodies: Bodies,
    meeting: Arc<Meeting>,
    judge: Judge,
) -> OutputPlan {
    let folder = judge.comparison.store().and_then(Store::folder);
    let OutputPlan { http, messages, sends, keeps_pace, file, connects, open, .. } =
        replay(targets, bodies);
    let open: Open = Box::new(move |opening| {
        let mut opened = open(opening)?;
        let store = judge.comparison.store().cloned();
        // Behind the replays, so that it ends when all outcomes are known.
        opened.outlets.push(Outlet::of_all(Box::new(LiveSink::start(meeting, judge)?)));
        opened.keep_in(store)?;
        Ok(opened)
    });
    OutputPlan { http, messages, sends, keeps_pace, file, folder, connects, open }
}

impl Opened {
    /// Starts a store behind the sinks that compare, so that it ends when all pairs are in it.
    fn keep_in(&mut self, store: Option<Store>) -> anyhow::Result<()> {
        if let Some(store) = store {
            self.outlets.push(Outlet::of_all(Box::new(StoreSink::start(store)?)));
        }
        Ok(())
    }
}
