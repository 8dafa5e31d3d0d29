//! Reads the entries of an index, one at a time, and as often as is wanted.

use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::dialogue::Dialogue;
use super::entry::Entry;
use super::index::{Index, Place};
use super::{MAX_ENTRIES, NotRead};
use crate::packet::Timestamp;
use crate::stats::{Account, Seam, Tally};

/// Time between the last entry of one pass and the first of the next, as between passes over packets.
const BETWEEN: Duration = Duration::from_secs(1);

/// What came of reading.
#[derive(Debug)]
pub enum Outcome {
    /// An exchange, and the number of its file. It is counted as delivered.
    Dialogue(Box<Dialogue>, u16),
    /// The entry was dropped, and counted.
    Dropped,
    /// The files are read again: times are so much later than recorded.
    Again(Duration),
    /// There are no more.
    End,
}

/// Reads entries in the order of their times.
#[derive(Debug)]
pub struct Reader {
    index: Index,
    next: usize,
    /// Passes that are left, this one included.
    passes: u32,
    shift: Duration,
    /// When the last message of this pass ended.
    last: Timestamp,
    serial: u64,
    delivered: u64,
    dropped: Tally<NotRead>,
    buffer: Vec<u8>,
}

/// Bytes of the buffer that are kept from one entry to the next.
const KEPT_BUFFER: usize = 1 << 20;

impl Reader {
    /// Reads all entries of `index` so many times.
    #[must_use]
    pub fn new(mut index: Index, passes: u32) -> Self {
        let dropped = std::mem::take(&mut index.dropped);
        let (last, shift) = (Timestamp::default(), Duration::ZERO);
        let buffer = Vec::new();
        Self { index, next: 0, passes, shift, last, serial: 0, delivered: 0, dropped, buffer }
    }

    /// The names of the files.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.index.files.iter().map(|(path, _)| path.display().to_string()).collect()
    }

    /// Reads the next entry.
    pub fn read(&mut self) -> Outcome {
        let Some(place) = self.index.places.get(self.next).copied() else {
            return self.again();
        };
        self.next += 1;
        self.serial += 1;
        match self.dialogue(place) {
            Ok(mut dialogue) => {
                let ended = dialogue.response.as_ref().unwrap_or(&dialogue.request).finished;
                self.last = self.last.max(ended);
                for part in std::iter::once(&mut dialogue.request).chain(&mut dialogue.response) {
                    part.started = part.started.later(self.shift);
                    part.finished = part.finished.later(self.shift);
                }
                self.delivered += 1;
                Outcome::Dialogue(Box::new(dialogue), place.file)
            }
            Err(why) => {
                self.dropped.count(why);
                Outcome::Dropped
            }
        }
    }

    /// The last one is dropped after all.
    pub fn drop_last(&mut self, why: NotRead) {
        self.delivered = self.delivered.saturating_sub(1);
        self.dropped.count(why);
    }

    fn again(&mut self) -> Outcome {
        if self.passes <= 1 || self.index.places.is_empty() {
            return Outcome::End;
        }
        self.passes -= 1;
        self.next = 0;
        let first = self.index.places.first().map(|place| place.at).unwrap_or_default();
        self.shift = self.shift.saturating_add(self.last.since(first)).saturating_add(BETWEEN);
        Outcome::Again(self.shift)
    }

    fn dialogue(&mut self, place: Place) -> Result<Dialogue, NotRead> {
        let (_, file) = self.index.files.get(usize::from(place.file)).ok_or(NotRead::Unreadable)?;
        self.buffer.resize(place.length as usize, 0);
        file.read_exact_at(&mut self.buffer, place.offset).map_err(|_| NotRead::Unreadable)?;
        let entry = serde_json::from_slice::<Entry>(&self.buffer).map_err(|_| NotRead::Malformed);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Dialogue::of(&entry?, self.serial)
    }

    /// Takes nothing further.
    pub fn stop(&mut self) {
        self.passes = 0;
        self.next = self.index.places.len();
    }

    /// How many entries were read.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.delivered.saturating_add(self.dropped.total())
    }

    /// What became of the entries that were looked at.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            seen: self.entries(),
            delivered: self.delivered,
            dropped: self.dropped.counts(),
            ..Account::new(Seam::Entries)
        }
    }

    /// What the operator should know at the end.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.index.warnings.clone();
        let too_many = self.dropped.get(NotRead::TooMany);
        if too_many > 0 {
            warnings.push(format!(
                "{too_many} entries were left out, because {MAX_ENTRIES} can be read at once; give fewer files"
            ));
        }
        warnings
    }
}
