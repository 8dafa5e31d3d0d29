//! The outcome of each request, while the replay runs and at its end: counts by reason, times,
//! verdicts, and the request log.

pub(in crate::sink::replay) mod buckets;
pub(in crate::sink::replay) mod figures;
pub(in crate::sink::replay) mod groups;
pub(in crate::sink::replay) mod log;
pub(in crate::sink::replay) mod misdirected;
pub(in crate::sink::replay) mod not_delivered;
pub(in crate::sink::replay) mod observer;
pub(in crate::sink::replay) mod progress;
pub(in crate::sink::replay) mod reasons;
pub(in crate::sink::replay) mod report;
pub(in crate::sink::replay) mod span;
pub(in crate::sink::replay) mod times;
pub(in crate::sink::replay) mod verdict;
