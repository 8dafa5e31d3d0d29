//! The thread that has the database: writes what was offered, in batches; answers who reads; bounds what is there.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::anyhow;
use crossbeam_channel::Receiver;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::counts::Counts;
use super::rows::{Deleted, Row};
use super::{Database, NotStored, Offered, Order, RunFacts};
use crate::logging::emit;
use crate::privileges::{self, Duty};

/// Pairs of one transaction.
const MAX_BATCH: usize = 512;
/// Bytes of them before they are compressed; with them it ends, and the last pair may be longer.
const MAX_BATCH_BYTES: usize = 512 << 10;

pub(super) struct Writer {
    database: Database,
    orders: Receiver<Order>,
    counts: Arc<Counts>,
    facts: RunFacts,
    /// Why nothing can be written any more.
    failed: Option<String>,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        orders: Receiver<Order>,
        counts: Arc<Counts>,
        facts: RunFacts,
    ) -> Self {
        Self { database, orders, counts, facts, failed: None }
    }

    /// Until it is closed, or nobody has the store any more.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        privileges::keep_for(Duty::Nothing)?;
        self.begin();
        while let Ok(first) = self.orders.recv() {
            if self.carry_out(first).is_break() {
                break;
            }
        }
        match self.failed.take() {
            Some(why) => Err(anyhow!(why)),
            None => {
                self.database.lost(self.counts.lost())?;
                self.database.close()
            }
        }
    }

    /// What waits, pairs that follow one another in one batch; breaks off when it is to be closed.
    fn carry_out(&mut self, first: Order) -> ControlFlow<()> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        let mut flow = ControlFlow::Continue(());
        while let Some(order) = next.take() {
            match order {
                Order::Store(offered) => {
                    bytes += offered.bytes.len();
                    batch.push(offered);
                }
                Order::Begin => {
                    self.write(&mut batch);
                    self.begin();
                }
                Order::Settle(done) => {
                    self.write(&mut batch);
                    let _ = done.send(());
                }
                Order::Look(look) => {
                    self.write(&mut batch);
                    look(&self.database);
                }
                Order::Close => flow = ControlFlow::Break(()),
            }
            if flow.is_continue() && batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
                next = self.orders.try_recv().ok();
            }
        }
        self.write(&mut batch);
        flow
    }

    fn begin(&mut self) {
        if let Err(why) = self.database.begin_run(&self.facts) {
            self.fail(&why);
        }
    }

    /// Writes a batch, and makes space for the next one.
    fn write(&mut self, batch: &mut Vec<Offered>) {
        if batch.is_empty() {
            return;
        }
        let bytes: usize = batch.iter().map(|one| one.bytes.len()).sum();
        let pairs = batch.len() as u64;
        let written = match self.failed {
            Some(_) => None,
            None => match self.try_write(batch) {
                Ok(stored) => Some(stored),
                Err(why) => {
                    self.fail(&why);
                    None
                }
            },
        };
        batch.clear();
        self.counts.room.give_back(bytes);
        match written {
            Some(stored) => {
                self.counts.stored(stored);
                self.counts.lose_all(NotStored::NotSampled, pairs.saturating_sub(stored));
            }
            None => self.counts.lose_all(NotStored::NotWritten, pairs),
        }
    }

    fn try_write(&mut self, batch: &[Offered]) -> anyhow::Result<u64> {
        let rows =
            batch.iter().map(|one| Ok(Row { finding: &one.finding, data: packed(&one.bytes)? }));
        let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
        let stored = self.database.insert(&rows, self.counts.lost())?;
        let Deleted { thinned, expired } = self.database.tend()?;
        self.counts.deleted(thinned, expired);
        Ok(stored)
    }

    fn fail(&mut self, why: &anyhow::Error) {
        let why = format!("{why:#}");
        emit!(StoreFailed, "store: {why}; pairs are compared, and not stored any more");
        self.failed = Some(why);
    }
}

/// Both sides of a pair are alike, so that together they take little more than one.
fn packed(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
