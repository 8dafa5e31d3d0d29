//! The store of compared pairs as it is configured.

use anyhow::ensure;
use jiff::Timestamp;

use super::file::File;
use crate::cli::StoreArgs;
use crate::settings::StoreSettings;
use crate::sink::compare::store::{Limits, MEMORY_BYTES, MIN_BYTES, Place, Range, RunFacts, Store};
use crate::units::Bytes;

/// What opens a store.
pub(super) struct Wanted {
    /// It is only read.
    pub(super) reads_only: bool,
    /// A page shows what is compared: without a file, some memory is taken.
    pub(super) shown: bool,
    /// Whoever compares waits, so that no pair is shed, as where recordings are read.
    pub(super) waits: bool,
    /// Facts of this run.
    pub(super) facts: RunFacts,
}

/// The store of a comparison, if there is to be one.
///
/// # Errors
/// If it is too small, or the file cannot be used.
pub(super) fn open(settings: &StoreSettings, wanted: Wanted) -> anyhow::Result<Option<Store>> {
    let place = match &settings.file {
        Some(path) if wanted.reads_only => Place::ReadOnly(path.clone()),
        Some(path) => Place::File(path.clone()),
        None if wanted.shown && cfg!(feature = "store") => Place::Memory,
        None => return Ok(None),
    };
    let default = match place {
        Place::Memory => Limits { bytes: MEMORY_BYTES, ..Limits::default() },
        Place::File(_) | Place::ReadOnly(_) => Limits::default(),
    };
    let limits = Limits {
        bytes: settings.size.map_or(default.bytes, |Bytes(bytes)| bytes),
        age: settings.age.unwrap_or(default.age),
    };
    ensure!(
        limits.bytes >= MIN_BYTES,
        "--store-size {}: a store takes at least {}",
        Bytes(limits.bytes),
        Bytes(MIN_BYTES)
    );
    Store::open(&place, limits, wanted.facts, wanted.waits).map(Some)
}

/// The store of a page that keeps nothing in a file: some memory.
///
/// # Errors
/// If there is none to be had.
pub(super) fn for_page() -> anyhow::Result<Option<Store>> {
    let facts = RunFacts::default();
    let wanted = Wanted { reads_only: false, shown: true, waits: false, facts };
    open(&StoreSettings::default(), wanted)
}

/// The store of a run whose targets are compared as the file says.
///
/// # Errors
/// If nothing is compared, or the file cannot be used.
pub(super) fn of_run(file: &File) -> anyhow::Result<Option<Store>> {
    let compared = file.targets.iter().find(|target| target.compare.is_some());
    ensure!(
        file.store.file.is_none() || compared.is_some(),
        "store: nothing is compared; add `compare: true` to a target of the file"
    );
    let url = compared.map(|target| {
        let given = target.compare.as_ref().and_then(|how| how.curl_url.clone());
        given.unwrap_or_else(|| target.url.clone())
    });
    let facts = RunFacts { base_url: url.unwrap_or_default(), ..RunFacts::default() };
    let shown = file.dashboard.listen.is_some();
    open(&file.store, Wanted { reads_only: false, shown, waits: false, facts })
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

    #[test]
    fn a_store_is_neither_too_small_nor_of_no_time() {
        let refused = |size: u64| {
            let file = Some("/nowhere/f.db".into());
            let settings = StoreSettings { file, size: Some(Bytes(size)), age: None };
            let facts = RunFacts::default();
            let opened =
                open(&settings, Wanted { reads_only: false, shown: false, waits: true, facts });
            opened.err().map_or_else(String::new, |error| format!("{error:#}"))
        };
        assert_eq!(refused(1 << 20), "--store-size 1MiB: a store takes at least 16MiB");
        let missing = refused(16 << 20);
        assert!(missing.starts_with("--store /nowhere/f.db: it cannot be created"), "{missing}");
        let [since, until] = [5, 4].map(|at| Some(Timestamp::from_second(at).unwrap()));
        assert!(range(&StoreArgs { since, until, ..StoreArgs::default() }).is_err());
        assert!(range(&StoreArgs::default()).unwrap().is_all());
    }
}
