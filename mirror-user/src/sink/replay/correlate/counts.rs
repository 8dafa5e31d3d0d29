//! What is counted of values that differ.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(in super::super) enum Count {
    /// Pairs that were learned.
    Learned,
    /// Pairs that took the place of others because such values change.
    Renewed,
    /// Pairs that contradict others, which hold.
    Conflicts,
    /// Requests in which values were replaced.
    Requests,
    /// Values that were replaced.
    Values,
    /// Values that were left, as they may be several.
    Ambiguous,
    /// Requests whose body may hold values and was not looked into.
    BodiesLeft,
    /// Requests that waited for the answer with a value that is in them.
    Waited,
    /// Those of them for which it did not come in time.
    WaitedInVain,
    /// Answers of production that were not looked at, as too many waited or were awaited.
    AnswersDropped,
    /// Answers without their other half that were forgotten.
    HalvesForgotten,
    /// Pairs that were forgotten.
    PairsForgotten,
}

/// The counts, written by the engine and read when it has ended.
#[derive(Default)]
pub(in super::super) struct Counts(EnumMap<Count, AtomicU64>);

impl Counts {
    pub(in super::super) fn add(&self, count: Count, n: u64) {
        if n > 0 {
            self.0[count].fetch_add(n, Relaxed);
        }
    }

    /// Those that are not 0.
    pub(in super::super) fn non_zero(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = self.0.iter().map(|(count, n)| (count.into(), n.load(Relaxed)));
        all.filter(|(_, n)| *n > 0)
    }
}
