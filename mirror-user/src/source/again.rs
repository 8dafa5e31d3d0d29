//! Reads captures several times.
//!
//! Times are shifted with every pass, so that time never goes back for later stages.

use std::path::PathBuf;
use std::time::Duration;

use super::{Next, PacketSource, folder};
use crate::packet::Timestamp;
use crate::stats::{Account, Seam};

/// Time between the last packet of one pass and the first of the next. Longer than the distance
/// between duplicates of a packet, so that the next pass is not taken for duplicates.
const BETWEEN: Duration = Duration::from_secs(1);

/// Files that are read several times, one pass after the other.
pub struct RepeatedSource {
    paths: Vec<PathBuf>,
    current: Box<dyn PacketSource>,
    /// Remaining passes.
    left: u32,
    /// The times of the first and the last packet of the capture.
    span: Option<(Timestamp, Timestamp)>,
    shift: Duration,
    /// The counters of earlier passes.
    before: Account,
}

impl RepeatedSource {
    /// Opens what `--from` names, and reads it `times` times.
    ///
    /// # Errors
    /// As [`folder::open`].
    pub fn open(paths: Vec<PathBuf>, times: u32) -> anyhow::Result<Self> {
        let current = folder::open(&paths)?;
        let before = Account::new(Seam::Packets);
        let left = times.saturating_sub(1);
        Ok(Self { paths, current, left, span: None, shift: Duration::ZERO, before })
    }

    fn rewind(&mut self) -> anyhow::Result<Next> {
        self.left -= 1;
        let next = folder::open(&self.paths)?;
        let done = std::mem::replace(&mut self.current, next);
        self.before.add(done.account());
        let (first, last) = self.span.unwrap_or_default();
        self.shift += last.since(first) + BETWEEN;
        Ok(Next::Again(self.shift))
    }
}

impl PacketSource for RepeatedSource {
    fn next(&mut self, wait: Duration) -> anyhow::Result<Next> {
        match self.current.next(wait)? {
            Next::Packet(mut packet) => {
                let (first, last) = self.span.get_or_insert((packet.at, packet.at));
                *first = packet.at.min(*first);
                *last = packet.at.max(*last);
                packet.at = packet.at.later(self.shift);
                Ok(Next::Packet(packet))
            }
            Next::End if self.left > 0 => self.rewind(),
            next => Ok(next),
        }
    }

    fn interfaces(&self) -> &[String] {
        self.current.interfaces()
    }

    fn account(&self) -> Account {
        let mut account = self.before.clone();
        account.add(self.current.account());
        account
    }

    fn stop(&mut self) {
        self.left = 0;
        self.current.stop();
    }

    fn verdict(&self) -> anyhow::Result<()> {
        self.current.verdict()
    }

    fn warnings(&self) -> Vec<String> {
        self.current.warnings()
    }
}
