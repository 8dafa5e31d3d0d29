//! The candidate's exchanges, by request.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enum_map::EnumMap;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::message::memory;
use super::{NotCompared, counted, unfit};
use crate::http::message::{Exchange, Message, Moment};
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::{Account, Seam};

/// Bytes of heads and bodies that a recording may hold in memory: a gigabyte of captured traffic has about so many, and
/// more should be compared in parts.
pub const MAX_RECORDING_BYTES: usize = 256 << 20;
/// Bytes of a body that are read at once.
const BLOCK: usize = 16 * 1024;

/// Exchanges that wait for production's; shared by the sink that fills it and the one that empties it.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    exchanges: HashMap<Vec<u8>, VecDeque<Cleared>>,
    hasher: DefaultHashBuilder,
    count: usize,
    bytes: usize,
}

impl Recording {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table().count
    }

    /// True if none are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next one that answered an equal request.
    #[must_use]
    pub(super) fn take(&self, exchange: &Exchange) -> Option<Cleared> {
        let mut table = self.table();
        let key = table.key(exchange.request.as_deref()?)?;
        let found = table.exchanges.get_mut(&key)?.pop_front()?;
        table.count = table.count.saturating_sub(1);
        table.bytes = table.bytes.saturating_sub(memory(found.exchange()));
        Some(found)
    }

    fn add(&self, cleared: &Cleared) -> Result<(), NotCompared> {
        let mut table = self.table();
        let request = cleared.exchange().request.as_deref();
        let key = request.and_then(|request| table.key(request)).ok_or(NotCompared::Incomplete)?;
        let bytes = memory(cleared.exchange());
        if table.bytes.saturating_add(bytes) > MAX_RECORDING_BYTES {
            return Err(NotCompared::NoRoom);
        }
        table.bytes += bytes;
        table.count += 1;
        table.exchanges.entry(key).or_default().push_back(cleared.clone());
        Ok(())
    }
}

impl Table {
    /// Method, target and a hash of the body; `None` if the body was not kept.
    fn key(&self, request: &Message) -> Option<Vec<u8>> {
        let mut hasher = self.hasher.build_hasher();
        let mut content = request.body.content()?;
        let mut block = vec![0; BLOCK];
        loop {
            match content.read(&mut block).ok()? {
                0 => break,
                n => block
                    .get(..n)
                    .unwrap_or_default()
                    .iter()
                    .for_each(|byte| hasher.write_u8(*byte)),
            }
        }
        let body = hasher.finish().to_le_bytes();
        Some([request.head.method(), b" ", request.head.target(), b" ", &body].concat())
    }
}

/// Fills a recording.
pub struct RecordSink {
    recording: Recording,
    seen: u64,
    kept: u64,
    dropped: EnumMap<NotCompared, u64>,
}

impl RecordSink {
    /// Fills `recording`.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        Self { recording, seen: 0, kept: 0, dropped: EnumMap::default() }
    }
}

impl Sink for RecordSink {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        match unfit(exchange).map_or_else(|| self.recording.add(cleared), Err) {
            Ok(()) => self.kept += 1,
            Err(why) => self.dropped[why] += 1,
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn account(&self) -> Account {
        Account {
            seen: self.seen,
            delivered: self.kept,
            dropped: counted(&self.dropped),
            ..Account::new(Seam::Exchanges)
        }
    }

    fn warnings(&self) -> Vec<String> {
        let full = self.dropped[NotCompared::NoRoom];
        let text = || {
            format!(
                "--with: {full} exchanges were left out, because a recording takes at most {} MiB of memory; compare it \
                 in parts",
                MAX_RECORDING_BYTES >> 20
            )
        };
        if full > 0 { vec![text()] } else { Vec::new() }
    }
}
