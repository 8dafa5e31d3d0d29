//! Which file a row is in, and when that file is whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

use super::table::{Schema, Table};
use crate::files::part::Part;
use crate::files::rotate::{Complete, Rotation};
use crate::files::{self, Destination};
use crate::packet::Timestamp;

/// Files of a run. A capture whose times are in disorder must not fill a disk with small ones.
pub const MAX_FILES: u64 = 100_000;

/// Files that are open at once: that of this hour, and that of the hour before, for what began in it.
const MAX_OPEN: usize = 2;

/// How long after an hour its file stays open for exchanges that began in it. Of those that end later, there is another
/// file.
const GRACE: Duration = Duration::from_secs(300);

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// How rows are spread over files.
#[derive(Clone, Debug)]
pub enum Layout {
    /// One file, or a series of files.
    File(Destination),
    /// `date=2026-11-28/hour=21/` in this folder. Files that are there stay, whatever they are.
    Hours(PathBuf, Option<Rotation>),
}

impl Layout {
    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(file) => &file.path,
            Self::Hours(folder, _) => folder,
        }
    }

    pub(super) fn rotation(&self) -> Option<Rotation> {
        match self {
            Self::File(file) => file.rotation,
            Self::Hours(_, rotation) => *rotation,
        }
    }

    /// What is in one file: an hour since 1970, or everything.
    fn key(&self, at: Timestamp) -> u64 {
        match self {
            Self::File(_) => 0,
            Self::Hours(..) => at.as_nanos() / HOUR,
        }
    }

    /// What the names of files with this key are derived from. Its folder is there afterwards.
    fn place(&self, key: u64) -> anyhow::Result<PathBuf> {
        match self {
            Self::File(file) => Ok(file.path.clone()),
            Self::Hours(folder, _) => {
                let folder = folder.join(partition(key));
                files::make_folder(&folder)?;
                Ok(folder.join("part.parquet"))
            }
        }
    }
}

/// `date=2026-11-28/hour=3`, in UTC. Without a zero in front, so that every reader takes the hour for a number.
fn partition(hour: u64) -> String {
    let seconds = i64::try_from(hour.saturating_mul(3_600)).unwrap_or_default();
    let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("date=%Y-%m-%d/hour=%-H").to_string()
}

/// There are as many files as there may be.
pub(super) struct TooMany;

/// The files that are being written.
pub(super) struct Open {
    layout: Layout,
    schema: Schema,
    tables: Vec<(u64, Table)>,
    complete: Complete,
    begun: u64,
    /// Rows in whole files.
    delivered: u64,
}

impl Open {
    /// None yet. A file that a run always leaves is begun at once, so that what is wrong is known at the start.
    ///
    /// # Errors
    /// If it cannot be created, or what is there must stay.
    pub(super) fn new(layout: Layout, schema: Schema) -> anyhow::Result<Self> {
        let complete = match (&layout, layout.rotation()) {
            (_, None) => Complete::default(),
            (Layout::File(file), Some(rotation)) => Complete::of(file, rotation),
            (Layout::Hours(..), Some(rotation)) => Complete::keeping(rotation.keep),
        };
        let mut open =
            Self { layout, schema, tables: Vec::new(), complete, begun: 0, delivered: 0 };
        if let Layout::File(file) = &open.layout {
            if file.rotation.is_none() {
                files::ensure_free(&file.path, file.existing)?;
            }
            open.begin(0)?;
        }
        Ok(open)
    }

    fn begin(&mut self, key: u64) -> anyhow::Result<()> {
        let table = Table::begin(&self.layout.place(key)?, &self.schema)?;
        self.begun += 1;
        self.tables.push((key, table));
        Ok(())
    }

    /// The file for a row of this time, begun if need be.
    ///
    /// # Errors
    /// If a file cannot be created, or another one not completed.
    pub(super) fn table(&mut self, at: Timestamp) -> anyhow::Result<Result<&mut Table, TooMany>> {
        let key = self.layout.key(at);
        if !self.tables.iter().any(|(have, _)| *have == key) {
            if self.begun >= MAX_FILES {
                return Ok(Err(TooMany));
            }
            if self.tables.len() >= MAX_OPEN
                && let Some(oldest) = self.tables.iter().map(|(have, _)| *have).min()
            {
                self.complete_where(|have, _| have == oldest)?;
            }
            self.begin(key)?;
        }
        let table = self.tables.iter_mut().find(|(have, _)| *have == key);
        Ok(table.map(|(_, table)| table).ok_or(TooMany))
    }

    /// Completes the files that take no more rows at this time, or now.
    ///
    /// # Errors
    /// If one cannot be completed.
    pub(super) fn complete_due(&mut self, at: Option<Timestamp>) -> anyhow::Result<()> {
        let key = at.map(|at| self.layout.key(at));
        let rotation = self.layout.rotation();
        let by_hours = matches!(self.layout, Layout::Hours(..));
        if !by_hours && rotation.is_none() && self.tables.iter().any(|(_, it)| it.is_full()) {
            bail!("a Parquet file has too many row groups; say --rotate, such as --rotate 1GiB");
        }
        self.complete_where(|have, table| {
            let is_over = by_hours && is_over(have, table.part(), at);
            // A row of another hour says nothing of how old this file is.
            let is_of_it = key.is_none_or(|key| key == have);
            let is_due = rotation.is_some_and(|rotation| table.is_due(rotation, at));
            is_over || table.is_full() || (is_of_it && is_due)
        })
    }

    /// Completes all files.
    ///
    /// # Errors
    /// If one cannot be completed; the others are.
    pub(super) fn complete_all(&mut self) -> anyhow::Result<()> {
        self.complete_where(|_, _| true)
    }

    fn complete_where(&mut self, ends: impl Fn(u64, &Table) -> bool) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for (key, table) in self.tables.extract_if(.., |(key, table)| ends(*key, table)) {
            let rows = table.rows();
            let completed =
                table.end().and_then(|part| named(part, &self.layout, key, &mut self.complete));
            self.delivered += if completed.is_ok() { rows } else { 0 };
            outcome = outcome.and(completed);
        }
        outcome
    }

    /// Gives up the file of this time, which could not be written.
    pub(super) fn abandon(&mut self, at: Timestamp) {
        let key = self.layout.key(at);
        for (_, table) in self.tables.extract_if(.., |(have, _)| *have == key) {
            table.abandon();
        }
    }

    /// Rows in whole files.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Rows in files that are not whole yet.
    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.rows()).sum()
    }
}

/// True if this hour has been over for [`GRACE`].
fn is_over(hour: u64, part: &Part, at: Option<Timestamp>) -> bool {
    let now = at.map(Timestamp::as_nanos).or_else(|| {
        let age = u64::try_from(part.age(None)?.as_nanos()).unwrap_or(u64::MAX);
        Some(part.first()?.as_nanos().saturating_add(age))
    });
    let end = hour.saturating_add(1).saturating_mul(HOUR);
    let grace = GRACE.as_secs().saturating_mul(SECOND);
    now.is_some_and(|now| now >= end.saturating_add(grace))
}

/// Gives a whole file its name.
fn named(part: Part, layout: &Layout, key: u64, complete: &mut Complete) -> anyhow::Result<()> {
    match layout {
        Layout::File(Destination { path, existing, rotation: None }) => part.named(path, *existing),
        _ => complete.push(part.named_by_time(&layout.place(key)?)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_named_as_hive_has_them() {
        assert_eq!(partition(0), "date=1970-01-01/hour=0");
        assert_eq!(partition(1_767_323_045 / 3_600), "date=2026-01-02/hour=3");
        // What no calendar has.
        assert_eq!(partition(u64::MAX), "date=1970-01-01/hour=0");
    }

    #[test]
    fn times_in_disorder_open_few_files_and_lose_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::Hours(folder.path().to_owned(), None);
        let schema = Schema::new(&"time".parse().unwrap(), None).unwrap();
        let mut open = Open::new(layout, schema).unwrap();
        let hours = [7, 3, 9, 7, 3, 8, 7];
        for hour in hours {
            assert!(open.table(Timestamp::from_nanos(hour * HOUR)).unwrap().is_ok());
            assert!(open.tables.len() <= MAX_OPEN);
        }
        open.complete_all().unwrap();
        assert!(open.tables.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        open.begun = MAX_FILES;
        assert!(open.table(Timestamp::from_nanos(20 * HOUR)).unwrap().is_err());
    }
}
