//! Opens a database, and refuses what is none of ours; closes it.

use std::collections::HashMap;
use std::path::{self, Path};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use jiff::Timestamp;
use rusqlite::{Connection, Error, OpenFlags, Result, params};

use super::super::{Limits, Place, RunFacts};
use super::{Database, Known, not_ours, told};
use crate::files;

/// Marks a database as ours: `mirr`.
const APPLICATION: i64 = 0x6d69_7272;
/// The version of the tables, and of the pairs in them.
const VERSION: i64 = 1;
/// How long another process may hold the lock, as one that just ends.
const PATIENCE: Duration = Duration::from_millis(500);
/// KiB of pages that are kept in memory.
const CACHE_KIB: i64 = 16 * 1024;

const SCHEMA: &str = include_str!("schema.sql");

/// The hour since 1970.
pub(super) fn hour() -> i64 {
    Timestamp::now().as_second().div_euclid(3_600)
}

/// What a database says that it is.
struct Header {
    pages: i64,
    application: i64,
    version: i64,
}

impl Database {
    /// # Errors
    /// Why it cannot be used.
    pub(in super::super) fn open(place: &Place, limits: Limits) -> anyhow::Result<Self> {
        let connection = match place {
            Place::Memory => Connection::open_in_memory().map_err(|error| told(&error))?,
            Place::File(path) => {
                // Readable by its owner alone, as captured data is.
                files::open_private(path).context("it cannot be created")?;
                connect(path)?
            }
            Place::ReadOnly(path) => {
                ensure!(path.is_file(), "there is no such file");
                connect(path)?
            }
        };
        let mut database = Self {
            connection,
            limits,
            reads_only: matches!(place, Place::ReadOnly(_)),
            is_file: matches!(place, Place::File(_)),
            hour: hour(),
            run: 0,
            next: 1,
            kinds: HashMap::new(),
            kinds_of: HashMap::new(),
            sweeping: None,
            expired: i64::MIN,
        };
        let header = database.look().map_err(|error| told(&error))?;
        let is_new = header.pages == 0 && !database.reads_only;
        if !is_new {
            header.check()?;
            database.check_length(place).map_err(|error| told(&error))?;
            database.check_pages().map_err(|error| told(&error))?;
        }
        if !database.reads_only {
            database.prepare(is_new).map_err(|error| told(&error))?;
        }
        Ok(database)
    }

    fn look(&self) -> Result<Header> {
        let connection = &self.connection;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "temp_store", "memory")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // What a schema says is not ours until it was checked.
        connection.pragma_update(None, "trusted_schema", false)?;
        let mode = if self.reads_only { "query_only" } else { "locking_mode" };
        connection.pragma_update(None, mode, if self.reads_only { "on" } else { "exclusive" })?;
        Ok(Header {
            pages: self.number("page_count")?,
            application: self.number("application_id")?,
            version: self.number("user_version")?,
        })
    }

    /// A file of SQLite is whole pages; a part of one, at its end, is not noticed before it is read.
    fn check_length(&self, place: &Place) -> Result<()> {
        let (Place::File(path) | Place::ReadOnly(path)) = place else { return Ok(()) };
        let page = self.number("page_size")?.max(1).cast_unsigned();
        let is_whole = std::fs::metadata(path).is_ok_and(|file| file.len().is_multiple_of(page));
        if is_whole { Ok(()) } else { Err(corrupt()) }
    }

    /// A damaged index leads past pairs without an error, so that a report would miss them. What is only read is read as a
    /// whole anyway.
    fn check_pages(&self) -> Result<()> {
        if !self.reads_only {
            return Ok(());
        }
        let said: String =
            self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if said == "ok" { Ok(()) } else { Err(corrupt()) }
    }

    /// Makes it ready to be added to.
    fn prepare(&mut self, is_new: bool) -> Result<()> {
        let connection = &self.connection;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        if is_new {
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
        }
        connection.execute_batch("COMMIT")?;
        let last = "SELECT coalesce(max(sequence), 0) FROM pair";
        self.next = connection.query_row(last, [], |row| row.get::<_, i64>(0))?.saturating_add(1);
        let mut kinds = connection.prepare("SELECT endpoint, fields, id, threshold FROM kind")?;
        let mut rows = kinds.query([])?;
        while let Some(row) = rows.next()? {
            let (endpoint, fields): (String, i64) = (row.get(0)?, row.get(1)?);
            *self.kinds_of.entry(endpoint.clone()).or_default() += 1;
            let known = Known { id: row.get(2)?, threshold: row.get(3)? };
            self.kinds.insert((endpoint, fields.cast_unsigned()), known);
        }
        Ok(())
    }

    /// A number that SQLite tells.
    pub(super) fn number(&self, pragma: &str) -> Result<i64> {
        self.connection.pragma_query_value(None, pragma, |row| row.get(0))
    }

    /// What the last run said of itself.
    pub(in super::super) fn last_run(&self) -> RunFacts {
        let last = "SELECT facts FROM run ORDER BY id DESC LIMIT 1";
        let text = self.connection.query_row(last, [], |row| row.get::<_, String>(0));
        text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Pairs that follow are of a new run.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(in super::super) fn begin_run(&mut self, facts: &RunFacts) -> anyhow::Result<()> {
        if self.reads_only {
            return Ok(());
        }
        let begin = "INSERT INTO run (begun, facts) VALUES (?1, ?2)";
        let facts = serde_json::to_string(facts)?;
        let begun = Timestamp::now().as_second();
        self.connection.execute(begin, params![begun, facts]).map_err(|error| told(&error))?;
        self.run = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Closes it: one file remains.
    ///
    /// # Errors
    /// If what was written last cannot be brought to the disk.
    pub(in super::super) fn close(self) -> anyhow::Result<()> {
        if self.is_file {
            let single = self.connection.pragma_update(None, "journal_mode", "delete");
            single.map_err(|error| told(&error))?;
        }
        self.connection.close().map_err(|(_, error)| told(&error))
    }
}

impl Header {
    fn check(&self) -> anyhow::Result<()> {
        let Self { pages, application, version } = *self;
        if pages == 0 || application != APPLICATION {
            return Err(not_ours());
        }
        let newer = || {
            anyhow!(
                "a newer mirror wrote it: its version is {version}, and this one reads {VERSION}"
            )
        };
        if version <= VERSION { Ok(()) } else { Err(newer()) }
    }
}

/// What SQLite says of a file that is damaged.
fn corrupt() -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None)
}

/// Names a file, and never what SQLite takes for something else, such as `:memory:`.
fn connect(path: &Path) -> anyhow::Result<Connection> {
    let path = path::absolute(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| told(&error))
}
