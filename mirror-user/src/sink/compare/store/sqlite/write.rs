//! Writes pairs: each kind counts all of its own, and stores those below its threshold.

use std::collections::HashMap;

use mirror_compare::report::Finding;
use mirror_compare::samples::number;
use rusqlite::{Result, params};

use super::super::rows::{MINUTE, Row};
use super::open::hour;
use super::{Database, Known, told};

/// Kinds of one endpoint. Pairs of more are of one kind, whatever differs in them.
pub(super) const MAX_KINDS: usize = 128;
/// What stands for the fields of that kind.
const OTHERS: u64 = 0;
/// Bytes that a pair takes beside its data, with its places in the indexes, about.
const ROW_BYTES: i64 = 64;

/// What a batch adds to a kind.
#[derive(Default)]
struct Added {
    pairs: i64,
    bytes: i64,
}

impl Database {
    /// Writes a batch, and how many pairs were lost so far; how many of the batch are stored.
    ///
    /// # Errors
    /// If it cannot be written; then nothing of it is, and nothing may be any more.
    pub(in super::super) fn insert(&mut self, rows: &[Row<'_>], lost: u64) -> anyhow::Result<u64> {
        self.hour = hour().max(self.hour);
        let written = self.try_insert(rows, lost);
        if written.is_err() {
            // A statement for which there is no space has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        written.map_err(|error| told(&error))
    }

    fn try_insert(&mut self, rows: &[Row<'_>], lost: u64) -> Result<u64> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let kinds = rows.iter().map(|row| self.kind(row.finding)).collect::<Result<Vec<_>>>()?;
        let (mut seen, mut added) = (HashMap::new(), HashMap::<i64, Added>::new());
        let mut insert =
            self.connection.prepare("INSERT INTO pair VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let mut stored = 0;
        for (row, Known { id, threshold }) in rows.iter().zip(kinds) {
            let minute = row.finding.at.unwrap_or_default().div_euclid(MINUTE);
            *seen.entry((id, minute)).or_insert(0_i64) += 1;
            // The numbers of SQLite have a sign.
            let number = (number(&row.finding.id) >> 1).cast_signed();
            if number >= threshold {
                continue;
            }
            let (run, hour) = (self.run, self.hour);
            insert.execute(params![self.next, run, hour, id, minute, number, row.data])?;
            self.next += 1;
            stored += 1;
            let kind = added.entry(id).or_default();
            kind.pairs += 1;
            kind.bytes += ROW_BYTES + i64::try_from(row.data.len()).unwrap_or(0);
        }
        let count = "INSERT INTO seen VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs";
        let mut count = self.connection.prepare(count)?;
        for ((kind, minute), pairs) in seen {
            count.execute(params![self.hour, kind, minute, pairs])?;
        }
        let grow = "UPDATE kind SET pairs = pairs + ?2, bytes = bytes + ?3 WHERE id = ?1";
        let mut grow = self.connection.prepare(grow)?;
        for (kind, Added { pairs, bytes }) in added {
            grow.execute(params![kind, pairs, bytes])?;
        }
        self.tell_lost(lost)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(stored)
    }

    /// Writes how many pairs were lost so far.
    fn tell_lost(&self, lost: u64) -> Result<()> {
        let lost = i64::try_from(lost).unwrap_or(i64::MAX);
        let tell = "UPDATE run SET lost = ?2 WHERE id = ?1";
        self.connection.execute(tell, params![self.run, lost]).map(drop)
    }

    /// The same, by itself.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(in super::super) fn lost(&self, lost: u64) -> anyhow::Result<()> {
        if self.reads_only { Ok(()) } else { self.tell_lost(lost).map_err(|error| told(&error)) }
    }

    /// The kind of a pair.
    fn kind(&mut self, finding: &Finding) -> Result<Known> {
        let endpoint = &finding.endpoint;
        let of_endpoint = self.kinds_of.get(endpoint).copied().unwrap_or_default();
        let mut key = (endpoint.clone(), finding.kind);
        if !self.kinds.contains_key(&key) && of_endpoint >= MAX_KINDS {
            key.1 = OTHERS;
        }
        if let Some(known) = self.kinds.get(&key) {
            return Ok(*known);
        }
        let add = "INSERT INTO kind (endpoint, fields, threshold, pairs, bytes) VALUES (?1, ?2, ?3, 0, 0)";
        self.connection.execute(add, params![endpoint, key.1.cast_signed(), i64::MAX])?;
        let known = Known { id: self.connection.last_insert_rowid(), threshold: i64::MAX };
        if key.1 != OTHERS {
            let name = "INSERT OR IGNORE INTO field VALUES (?1, ?2, ?3)";
            let mut name = self.connection.prepare(name)?;
            for one in &finding.differences {
                name.execute(params![&*one.path, <&str>::from(one.class), known.id])?;
            }
        }
        *self.kinds_of.entry(endpoint.clone()).or_default() += 1;
        self.kinds.insert(key, known);
        Ok(known)
    }
}
