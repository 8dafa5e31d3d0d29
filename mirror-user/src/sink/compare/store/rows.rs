//! What goes into a database, and what comes out of it.

use std::sync::Arc;

use mirror_compare::report::Finding;

/// Nanoseconds in a minute.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// A compared pair to store.
pub(super) struct Row<'r> {
    pub(super) finding: &'r Arc<Finding>,
    /// The pair, compressed.
    pub(super) data: Vec<u8>,
}

/// A stored pair.
pub(super) struct StoredPair {
    /// Its place among all.
    pub(super) sequence: i64,
    /// The kind that it stands for, together with others.
    pub(super) kind: i64,
    /// The run that compared it.
    pub(super) run: i64,
    /// The pair, compressed.
    pub(super) data: Vec<u8>,
}

/// Pairs that were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    /// To make space.
    pub(super) thinned: u64,
    /// By their age.
    pub(super) expired: u64,
}

/// When production responded: whole minutes, from the first one to before the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Range {
    /// The minutes that these moments are in, in nanoseconds since 1970; `None`: no bound.
    #[must_use]
    pub fn new(from: Option<i64>, to: Option<i64>) -> Self {
        let to = to.map(|to| to.saturating_add(MINUTE - 1).div_euclid(MINUTE));
        Self { from: from.map(|from| from.div_euclid(MINUTE)), to }
    }

    /// True if it is all of the time.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The first minute, and the one behind the last.
    pub(super) fn minutes(&self) -> (i64, i64) {
        (self.from.unwrap_or(i64::MIN / MINUTE), self.to.unwrap_or(i64::MAX / MINUTE))
    }
}

/// Which stored pairs are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) range: Range,
    /// Behind this place.
    pub(super) after: i64,
    /// Up to this one.
    pub(super) upto: i64,
}

/// What is stored, as far as it was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    /// The last place.
    pub(super) upto: i64,
    /// Runs that added to it.
    pub(super) runs: u64,
    /// Pairs that they compared and could not store, and that have no kind.
    pub(super) lost: u64,
    /// Each kind: how many pairs of it were compared, and how many of the wanted ones are stored.
    pub(super) kinds: Vec<Kind>,
}

/// One kind of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) id: i64,
    pub(super) seen: u64,
    pub(super) stored: u64,
}

/// A field of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    /// The endpoint's name.
    pub endpoint: String,
    /// As [`Shown::path`](mirror_compare::report::Shown::path).
    pub path: String,
    /// The name of its class.
    pub class: String,
}
