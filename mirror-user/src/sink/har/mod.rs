//! Writes exchanges as HTTP Archive 1.2, for browsers' tools and whatever else reads it.
//!
//! Cleared exchanges in, entries out, each when it has ended. The file is a whole HAR whenever the process stops
//! (`file`). Content is written decoded, as HAR has it, and as text where it is UTF-8, else in base64. Fields that HAR has
//! no place for begin with `_`: `_client` and `_server`, `_target`, `_incomplete`, `_requestBodyStatus`, and `_content` for a
//! request body that `postData` cannot hold.
//!
//! Refuses responses whose request was not seen: an entry has both. Remembers the entries of one write.

mod cookies;
mod entry;
mod file;
mod message;

use std::path::Path;

use anyhow::Context;
use strum::IntoStaticStr;

use self::entry::Entry;
use self::file::HarFile;
use crate::files::rotate::Series;
use crate::files::{self, Destination};
use crate::http::message::{Exchange, Moment};
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Seam};

/// What goes into the files besides the exchanges.
#[derive(Clone, Debug, Default)]
pub struct HarOptions {
    /// Leaves the content of bodies out.
    pub no_bodies: bool,
    /// The comment of the log.
    pub comment: Option<String>,
}

/// Writes each exchange when it has ended.
pub struct HarSink {
    options: HarOptions,
    file: HarFile,
    /// The files, with rotation.
    series: Option<Series>,
    name: String,
    seen: u64,
    written: u64,
    without_request: u64,
}

/// Why an exchange was not written: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum NotWritten {
    /// A response whose request was not seen.
    WithoutRequest,
    /// Not taken: the disk is full.
    WriteFailed,
}

impl HarSink {
    /// Writes to this file, or to a series of files.
    ///
    /// # Errors
    /// If it cannot be created, or is no file.
    pub fn create(to: &Destination, options: HarOptions) -> anyhow::Result<Self> {
        let name = to.path.display().to_string();
        let (file, series) = match to.rotation {
            None => (files::create(&to.path, to.existing)?, None),
            Some(rotation) => {
                let mut series = Series::new(to, rotation);
                (series.begin()?, Some(series))
            }
        };
        let file = HarFile::begin(file, options.comment.as_deref());
        let file = file.with_context(|| told(&to.path))?;
        Ok(Self { options, file, series, name, seen: 0, written: 0, without_request: 0 })
    }

    /// Switches to the next file if it is due.
    fn rotate(&mut self, at: Option<Timestamp>) -> anyhow::Result<()> {
        let Some(series) = self.series.as_mut().filter(|series| series.is_due(at)) else {
            return Ok(());
        };
        self.file.flush()?;
        series.complete()?;
        self.file = HarFile::begin(series.begin()?, self.options.comment.as_deref())?;
        Ok(())
    }

    fn write(&mut self, exchange: &Exchange) -> anyhow::Result<()> {
        let Some(entry) = Entry::of(exchange, &self.options)? else {
            self.without_request += 1;
            return Ok(());
        };
        self.rotate(Some(entry.at))?;
        let bytes = self.file.push(&entry)?;
        if let Some(series) = &mut self.series {
            series.wrote(entry.at, bytes);
        }
        self.written += 1;
        Ok(())
    }

    fn named<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        outcome.with_context(|| format!("{}: it takes no more", self.name))
    }
}

fn told(path: &Path) -> String {
    format!("{}: a HAR can be written to a file only", path.display())
}

impl Sink for HarSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        let written = self.write(exchange);
        self.named(written)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let flushed = self.rotate(None).and_then(|()| Ok(self.file.flush()?));
        self.named(flushed)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let flushed = self.file.flush().map_err(anyhow::Error::from);
        let completed = flushed.and_then(|()| match &mut self.series {
            Some(series) => series.complete(),
            None => Ok(()),
        });
        self.named(completed)
    }

    fn account(&self) -> Account {
        let failed = self.seen.saturating_sub(self.written).saturating_sub(self.without_request);
        let dropped = vec![
            (NotWritten::WithoutRequest.into(), self.without_request),
            (NotWritten::WriteFailed.into(), failed),
        ];
        let (seen, delivered) = (self.seen, self.written);
        Account { seen, delivered, dropped, ..Account::new(Seam::Exchanges) }
    }
}
