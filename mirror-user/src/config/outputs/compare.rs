//! Outputs that compare: one that keeps a candidate's recording, and one that compares production's exchanges with it.

use std::io::Write;

use super::{Opened, OutputPlan, for_redaction};
use crate::sink::compare::{CompareSink, RecordSink, Recording, Shared};

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
