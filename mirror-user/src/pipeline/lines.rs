//! The front of JSON lines: the exchanges that `mirror capture --to x.jsonl` wrote, read again.
//!
//! A head is put together from its fields, so that names keep their case and their order, and read by the `http`
//! stage's parser. What a line does not hold is not there any more: white space around values, the sizes of chunks,
//! bytes of heads that were not UTF-8. Refuses lines that are no such exchange, by reason
//! ([`NotALine`]). Remembers one line, of at most [`MAX_LINE_BYTES`].

mod exchange;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use enum_map::{Enum, EnumMap};
use strum::IntoStaticStr;

use super::front::{Front, Observed, Reading};
use crate::filter::Ports;
use crate::http::message::Exchange;
use crate::stats::{Account, Seam};

/// Bytes of one line: `capture` writes bodies up to 1 MiB, in base64, and heads up to 64 KiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Lines that are read between two pauses.
const LINES_PER_PAUSE: usize = 64;

/// Why a line was not read: "it was …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Enum, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NotALine {
    /// Not JSON, or not an exchange.
    NotAnExchange,
    /// Longer than [`MAX_LINE_BYTES`].
    TooLong,
    /// Of a message whose head cannot be put together: a method, a name or a value that HTTP cannot carry.
    BadHead,
    /// Of a body that is not base64.
    BadBody,
    /// Of an exchange that switched to another protocol.
    Switched,
}

/// Reads files of lines, one after the other.
pub struct JsonLines {
    files: VecDeque<PathBuf>,
    open: Option<(BufReader<File>, String)>,
    line: Vec<u8>,
    /// In the file that is open.
    number: u64,
    lines: u64,
    read: u64,
    dropped: EnumMap<NotALine, u64>,
    /// Where the first line was that could not be read.
    first_bad: Option<String>,
    stopped: bool,
}

impl JsonLines {
    /// Reads these files in their order.
    ///
    /// # Errors
    /// If one cannot be opened; the message names it.
    pub fn open(files: Vec<PathBuf>) -> anyhow::Result<Self> {
        for path in &files {
            File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        }
        Ok(Self {
            files: files.into(),
            open: None,
            line: Vec::new(),
            number: 0,
            lines: 0,
            read: 0,
            dropped: EnumMap::default(),
            first_bad: None,
            stopped: false,
        })
    }

    /// Reads the next line; false at the end of all files.
    fn next_line(&mut self) -> anyhow::Result<bool> {
        loop {
            if self.open.is_none() {
                let Some(path) = self.files.pop_front() else { return Ok(false) };
                let name = path.display().to_string();
                let file = File::open(&path).with_context(|| format!("{name}: cannot be read"))?;
                self.number = 0;
                self.open = Some((BufReader::new(file), name));
            }
            let Some((reader, name)) = &mut self.open else { return Ok(false) };
            self.line.clear();
            let mut part = reader.by_ref().take(MAX_LINE_BYTES as u64);
            let length = part.read_until(b'\n', &mut self.line);
            if length.with_context(|| format!("{name}: cannot be read"))? == 0 {
                self.open = None;
                continue;
            }
            self.number += 1;
            let is_cut = self.line.len() >= MAX_LINE_BYTES && !self.line.ends_with(b"\n");
            if is_cut {
                skip_line(reader).with_context(|| format!("{name}: cannot be read"))?;
                self.lines += 1;
                self.drop(NotALine::TooLong);
                continue;
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            self.lines += 1;
            return Ok(true);
        }
    }

    fn drop(&mut self, why: NotALine) {
        self.dropped[why] += 1;
        let file = self.open.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
        let place = || format!("{file}, line {}: {}", self.number, <&'static str>::from(why));
        self.first_bad.get_or_insert_with(place);
    }
}

fn skip_line(reader: &mut BufReader<File>) -> io::Result<()> {
    loop {
        let block = reader.fill_buf()?;
        let (length, ended) = match memchr::memchr(b'\n', block) {
            Some(at) => (at + 1, true),
            None => (block.len(), block.is_empty()),
        };
        reader.consume(length);
        if ended {
            return Ok(());
        }
    }
}

impl Front for JsonLines {
    fn read(&mut self, _wait: Duration, out: &mut Vec<Exchange>) -> anyhow::Result<Reading> {
        for _ in 0..LINES_PER_PAUSE {
            if self.stopped || !self.next_line()? {
                if let (0, Some(bad)) = (self.read, &self.first_bad) {
                    bail!(
                        "{bad}; none of the lines is an exchange as `mirror capture --to x.jsonl` writes it"
                    );
                }
                return Ok(Reading::End);
            }
            match exchange::read(&self.line, self.lines) {
                Ok(exchange) => {
                    self.read += 1;
                    out.extend(exchange);
                }
                Err(why) => self.drop(why),
            }
        }
        Ok(Reading::Pause)
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn finish(&mut self, _out: &mut Vec<Exchange>) -> anyhow::Result<()> {
        Ok(())
    }

    fn interfaces(&self) -> &[String] {
        &[]
    }

    fn packets(&self) -> u64 {
        self.lines
    }

    fn server_ports(&mut self, _ports: Ports) {}

    fn observe(&self) -> Observed {
        let dropped = self.dropped.iter().map(|(why, n)| (why.into(), *n)).collect();
        let account = Account {
            seen: self.lines,
            delivered: self.read,
            dropped,
            ..Account::new(Seam::Lines)
        };
        Observed { accounts: vec![account], ..Observed::default() }
    }

    fn warnings(&self) -> Vec<String> {
        let count: u64 = self.dropped.values().sum();
        let text = |first: &String| format!("{count} lines could not be read; the first: {first}");
        self.first_bad.iter().map(text).collect()
    }

    fn when_nothing_was_seen(&self) -> Option<String> {
        None
    }
}
