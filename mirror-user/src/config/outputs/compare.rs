//! Outputs that compare: one that keeps a candidate's recording, one that compares production's exchanges with it, and
//! a replay whose targets' responses are compared.

use std::io::Write;
use std::sync::Arc;

use super::replay::{Bodies, ReplayTarget, replay};
use super::{Open, Opened, OutputPlan, for_redaction};
use crate::pipeline::Outlet;
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
        Ok(Opened::of(CompareSink::new(recording, comparison, findings)))
    })
}

/// Sends requests to `targets`, whose observers are those of `meeting`, and compares.
pub(crate) fn live(
    targets: Vec<ReplayTarget>,
    bodies: Bodies,
    meeting: Arc<Meeting>,
    judge: Judge,
) -> OutputPlan {
    let OutputPlan { http, messages, sends, keeps_pace, file, connects, open } =
        replay(targets, bodies);
    let open: Open = Box::new(move |opening| {
        let mut opened = open(opening)?;
        // Behind the replays, so that it ends when all outcomes are known.
        opened.outlets.push(Outlet::of_all(Box::new(LiveSink::start(meeting, judge)?)));
        Ok(opened)
    });
    OutputPlan { http, messages, sends, keeps_pace, file, connects, open }
}
