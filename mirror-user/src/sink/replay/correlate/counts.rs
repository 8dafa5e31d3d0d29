//! The counters of correlation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(in super::super) enum Count {
    /// Pairs that were learned.
    Learned,
    /// Pairs that replaced others, because such values change.
    Renewed,
    /// Pairs that were discarded because they contradict others.
    Conflicts,
    /// Requests in which values were replaced.
    Requests,
    /// Values that were replaced.
    Values,
    /// Values that were left as they are, because they are ambiguous.
    Ambiguous,
    /// Requests whose body may contain values but could not be searched.
    BodiesLeft,
    /// Requests that waited for a response with a value that they use.
    Waited,
    /// Requests whose wait timed out.
    WaitedInVain,
    /// Responses of production that were dropped, because too many were queued or expected.
    #[strum(serialize = "answers_dropped")]
    ResponsesDropped,
    /// Responses without a counterpart that were discarded.
    HalvesForgotten,
    /// Pairs that were discarded.
    PairsForgotten,
}

/// The counters, written by the engine and read after it has ended.
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
