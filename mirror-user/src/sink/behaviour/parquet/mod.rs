//! Rows as Parquet: one file, a series of files, or a folder by hours as Hive has it, `date=2026-11-28/hour=21/`. The only
//! module that names the library.
//!
//! Cleared exchanges in. A file is written beside its place under a hidden name, and gets its name when it is whole: who
//! reads the folder meanwhile sees whole files only. A row is in the folder of the hour in which its exchange began, however
//! late it ended.
//!
//! Remembers the rows of one row group for each open file (`group`). Refuses rows beyond [`MAX_FILES`] files.

mod group;
mod layout;
mod table;

use std::path::PathBuf;

use anyhow::Context;
use strum::IntoStaticStr;

pub use self::layout::{Layout, MAX_FILES};
use self::layout::{Open, TooMany};
use self::table::Schema;
use super::field::Fields;
use super::row::Rows;
use crate::http::message::Moment;
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::lines::started_at;
use crate::sink::{Event, Sink};
use crate::stats::{Account, Seam};

/// Why a row is in no file: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum NotWritten {
    /// Of an hour that would need one more file than [`MAX_FILES`].
    TooManyFiles,
    /// Not taken: the disk is full. All rows of that file are lost with it.
    WriteFailed,
}

/// Writes a row when an exchange has ended.
pub struct ParquetSink {
    rows: Rows,
    open: Open,
    name: PathBuf,
    interfaces: Vec<String>,
    seen: u64,
    too_many: u64,
}

impl ParquetSink {
    /// Rows of these fields, in files of this layout.
    ///
    /// # Errors
    /// If the first file cannot be created.
    pub fn create(fields: &Fields, layout: Layout) -> anyhow::Result<Self> {
        let name = layout.path().to_owned();
        let file_bytes = layout.rotation().and_then(|rotation| rotation.bytes);
        let open = Open::new(layout, Schema::new(fields, file_bytes)?)?;
        let rows = Rows::new(fields);
        Ok(Self { rows, open, name, interfaces: Vec::new(), seen: 0, too_many: 0 })
    }

    fn write(&mut self, cleared: &Cleared, at: Timestamp) -> anyhow::Result<()> {
        let interface = self.interfaces.get(cleared.exchange().peers.interface.0 as usize);
        let interface = interface.map_or("", String::as_str);
        self.open.complete_due(Some(at))?;
        let table = match self.open.table(at)? {
            Ok(table) => table,
            Err(TooMany) => {
                self.too_many += 1;
                return Ok(());
            }
        };
        let pushed = table.push((cleared, at), interface, &mut self.rows);
        if pushed.is_err() {
            self.open.abandon(at);
        }
        pushed
    }

    fn named<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        outcome.with_context(|| format!("{}: it takes no more", self.name.display()))
    }
}

impl Sink for ParquetSink {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Interfaces(names) = event {
            self.interfaces = names.to_vec();
        }
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        let written = self.write(cleared, started_at(exchange));
        self.named(written)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let completed = self.open.complete_due(None);
        self.named(completed)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let completed = self.open.complete_all();
        self.named(completed)
    }

    fn account(&self) -> Account {
        // A row that is in no whole file yet is under way.
        let (delivered, in_flight) = (self.open.delivered(), self.open.rows());
        let known = delivered + in_flight + self.too_many;
        let dropped = vec![
            (NotWritten::TooManyFiles.into(), self.too_many),
            (NotWritten::WriteFailed.into(), self.seen.saturating_sub(known)),
        ];
        let seen = self.seen;
        Account { seen, delivered, in_flight, dropped, ..Account::new(Seam::Exchanges) }
    }

    fn warnings(&self) -> Vec<String> {
        let text = |rows| {
            format!(
                "{rows} rows are in no file, because a run writes at most {MAX_FILES}; capture in parts"
            )
        };
        (self.too_many > 0).then(|| text(self.too_many)).into_iter().collect()
    }
}
