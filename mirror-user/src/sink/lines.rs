//! Writes exchanges as lines of text: the part that all formats share.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::Context;
use strum::IntoStaticStr;

use crate::files::rotate::Series;
use crate::http::message::{Exchange, Moment};
use crate::packet::Timestamp;
use crate::rules::Cleared;
use crate::sink::{Event, Sink};
use crate::stats::{Account, Seam};

/// A text format of exchanges.
pub trait Form: Send {
    /// Writes the header before the first exchange.
    ///
    /// # Errors
    /// If `out` cannot be written.
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let _ = out;
        Ok(())
    }

    /// Writes one exchange; `interface` is the name of the interface on which it was seen.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and if a body in a file cannot be read.
    fn write(&mut self, cleared: &Cleared, interface: &str, out: &mut dyn Write) -> io::Result<()>;
}

/// Writes each exchange when it has ended.
pub struct Lines {
    form: Box<dyn Form>,
    out: BufWriter<Box<dyn Write + Send>>,
    /// The name of `out` in messages.
    name: String,
    /// The files, with rotation.
    series: Option<Series>,
    interfaces: Vec<String>,
    seen: u64,
    written: u64,
}

impl Lines {
    /// Writes lines in this format to the standard output, or a replacement for it.
    #[must_use]
    pub fn new(form: Box<dyn Form>, out: Box<dyn Write + Send>) -> Self {
        let (out, name) = (BufWriter::new(out), "the standard output".to_owned());
        Self { form, out, name, series: None, interfaces: Vec::new(), seen: 0, written: 0 }
    }

    /// Writes lines in this format to a file, which messages call `name`.
    #[must_use]
    pub fn to_file(form: Box<dyn Form>, file: File, name: String) -> Self {
        Self { name, ..Self::new(form, Box::new(file)) }
    }

    /// Writes lines in this format to a series of files.
    ///
    /// # Errors
    /// If the first file cannot be created.
    pub fn to_series(
        form: Box<dyn Form>,
        mut series: Series,
        name: String,
    ) -> anyhow::Result<Self> {
        let out = Box::new(series.begin()?);
        Ok(Self { series: Some(series), name, ..Self::new(form, out) })
    }

    /// Switches to the next file if it is due.
    fn rotate(&mut self, at: Option<Timestamp>) -> anyhow::Result<()> {
        let Some(series) = self.series.as_mut().filter(|series| series.is_due(at)) else {
            return Ok(());
        };
        self.out.flush()?;
        series.complete()?;
        self.out = BufWriter::new(Box::new(series.begin()?));
        Ok(())
    }

    fn write_exchange(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        let at = started_at(exchange);
        self.rotate(Some(at))?;
        let mut out = CountingWriter { out: &mut self.out, bytes: 0 };
        if self.seen == 1 {
            self.form.begin(&mut out)?;
        }
        let interface = self.interfaces.get(exchange.peers.interface.0 as usize);
        self.form.write(cleared, interface.map_or("", String::as_str), &mut out)?;
        let bytes = out.bytes;
        if let Some(series) = &mut self.series {
            series.wrote(at, bytes);
        }
        Ok(())
    }

    fn with_name<T>(&self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        outcome.with_context(|| format!("{}: it takes no more", self.name))
    }
}

/// Why an exchange was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum NotWritten {
    /// Writing failed: the disk is full, or the pipe is closed.
    WriteFailed,
}

/// The account of a sink that writes each exchange at once.
pub(super) fn exchanges(seen: u64, written: u64) -> Account {
    let failed = seen.saturating_sub(written);
    let dropped = vec![(NotWritten::WriteFailed.into(), failed)];
    Account { seen, delivered: written, dropped, ..Account::new(Seam::Exchanges) }
}

/// When the exchange began, as far as it was captured.
pub(super) fn started_at(exchange: &Exchange) -> Timestamp {
    let first = exchange.request.as_ref().or(exchange.response.as_ref());
    first.map(|message| message.started).unwrap_or_default()
}

/// Counts the bytes that are written.
struct CountingWriter<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for CountingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes = self.bytes.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Sink for Lines {
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
        let written = self.write_exchange(cleared);
        self.with_name(written)?;
        self.written += 1;
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let flushed = self.rotate(None).and_then(|()| Ok(self.out.flush()?));
        self.with_name(flushed)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush().map_err(anyhow::Error::from);
        let completed = flushed.and_then(|()| match &mut self.series {
            Some(series) => series.complete(),
            None => Ok(()),
        });
        self.with_name(completed)
    }

    fn account(&self) -> Account {
        exchanges(self.seen, self.written)
    }
}
