//! The output that keeps exchanges to answer from.

use super::{Opened, OutputPlan, both, keep};
use crate::stub::{Recording, StubSink};

/// Bytes of one body that are kept; a longer one than memory should hold is in a file.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// Fills a recording.
pub(crate) fn record(recording: Recording) -> OutputPlan {
    OutputPlan::new(both(keep(MAX_BODY_BYTES)), move |_| Ok(Opened::of(StubSink::new(recording))))
}
