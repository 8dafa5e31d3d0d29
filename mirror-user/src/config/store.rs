//! The store of compared pairs as it is configured.

use anyhow::ensure;
use jiff::Timestamp;

use crate::cli::StoreArgs;
use crate::settings::DashboardSettings;
use crate::sink::compare::store::{Limits, MEMORY_BYTES, MIN_BYTES, Place, Range, RunFacts, Store};
use crate::units::Bytes;

/// The store of a comparison, if there is to be one: the file, or for a dashboard (`shown`) some memory. `facts` are of
/// this run; `waits`: no pair is shed, as where recordings are read.
///
/// # Errors
/// If it is too small, or the file cannot be used.
pub(super) fn open(
    args: &StoreArgs,
    shown: bool,
    facts: RunFacts,
    waits: bool,
) -> anyhow::Result<Option<Store>> {
    let place = match &args.store {
        Some(path) if args.report => Place::ReadOnly(path.clone()),
        Some(path) => Place::File(path.clone()),
        None if shown && cfg!(feature = "store") => Place::Memory,
        None => return Ok(None),
    };
    let default = match place {
        Place::Memory => Limits { bytes: MEMORY_BYTES, ..Limits::default() },
        Place::File(_) | Place::ReadOnly(_) => Limits::default(),
    };
    let limits = Limits {
        bytes: args.store_size.map_or(default.bytes, |Bytes(bytes)| bytes),
        age: args.store_age.unwrap_or(default.age),
    };
    ensure!(
        limits.bytes >= MIN_BYTES,
        "--store-size {}: a store takes at least {}",
        Bytes(limits.bytes),
        Bytes(MIN_BYTES)
    );
    Store::open(&place, limits, facts, waits).map(Some)
}

/// The store of a run that keeps nothing in a file: some memory, if a page shows what is compared.
///
/// # Errors
/// If there is none to be had.
pub(super) fn for_page(dashboard: &DashboardSettings) -> anyhow::Result<Option<Store>> {
    open(&StoreArgs::default(), dashboard.listen.is_some(), RunFacts::default(), false)
}

/// The part of the time that is judged.
pub(super) fn range(args: &StoreArgs) -> anyhow::Result<Range> {
    let nanos = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    if let (Some(since), Some(until)) = (args.since, args.until) {
        ensure!(since < until, "--since {since}: it is not before --until {until}");
    }
    Ok(Range::new(args.since.map(nanos), args.until.map(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(size: u64) -> StoreArgs {
        StoreArgs {
            store: Some("/nowhere/f.db".into()),
            store_size: Some(Bytes(size)),
            ..StoreArgs::default()
        }
    }

    #[test]
    fn a_store_is_neither_too_small_nor_of_no_time() {
        let refused = |args: &StoreArgs| {
            let opened = open(args, false, RunFacts::default(), true);
            opened.err().map_or_else(String::new, |error| format!("{error:#}"))
        };
        assert_eq!(refused(&args(1 << 20)), "--store-size 1MiB: a store takes at least 16MiB");
        let missing = refused(&args(16 << 20));
        assert!(missing.starts_with("--store /nowhere/f.db: it cannot be created"), "{missing}");
        let [since, until] = [5, 4].map(|at| Some(Timestamp::from_second(at).unwrap()));
        assert!(range(&StoreArgs { since, until, ..args(0) }).is_err());
        assert!(range(&args(0)).unwrap().is_all());
    }
}
