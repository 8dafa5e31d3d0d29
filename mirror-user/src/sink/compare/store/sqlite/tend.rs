//! Bounds what is stored: by age, and by thinning the kinds that take the most.
//!
//! A kind is thinned by halving its threshold: of the pairs that it has, those with the higher half of the random numbers
//! go, and of those that come, the same part is not stored. What is left is a uniform sample of all of them. Deleting
//! goes in parts, between two batches: no more than the next batch needs.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Result, params};

use super::super::rows::Deleted;
use super::{Database, told};

/// Pairs that are deleted at once.
const PART: i64 = 2_000;
/// A kind with no more pairs than this is thinned only where all are so small.
const FEW: [i64; 3] = [50, 5, 1];
/// The part of the limit above which pairs go; the rest is for the next batch.
const FULL: f64 = 0.85;

impl Database {
    /// Deletes what is too old, or too much.
    ///
    /// # Errors
    /// If the database fails.
    pub(in super::super) fn tend(&mut self) -> anyhow::Result<Deleted> {
        self.try_tend().map_err(|error| told(&error))
    }

    fn try_tend(&mut self) -> Result<Deleted> {
        let age = i64::try_from(self.limits.age.as_secs().div_ceil(3_600)).unwrap_or(i64::MAX);
        let mut deleted = Deleted::default();
        deleted.expired += self.expire(self.hour.saturating_sub(age))?;
        while self.is_full()? {
            if let Some(kind) = self.sweeping {
                deleted.thinned += self.sweep(kind)?;
            } else if !self.thin()? {
                // Even the smallest kinds are too much.
                let Some(oldest) = self.oldest()? else { break };
                deleted.expired += self.expire(oldest.saturating_add(1))?;
            }
        }
        Ok(deleted)
    }

    fn is_full(&self) -> Result<bool> {
        let pages = self.number("page_count")? - self.number("freelist_count")?;
        let used = pages.saturating_mul(self.number("page_size")?);
        Ok(used as f64 > self.limits.bytes as f64 * FULL)
    }

    /// The hour of the first pair.
    fn oldest(&self) -> Result<Option<i64>> {
        let oldest = "SELECT hour FROM pair ORDER BY sequence LIMIT 1";
        self.connection.query_row(oldest, [], |row| row.get(0)).optional()
    }

    /// Deletes a part of what is of hours before this one.
    fn expire(&mut self, hour: i64) -> Result<u64> {
        self.expired = self.expired.max(hour);
        if self.oldest()?.is_some_and(|oldest| oldest < self.expired) {
            let first = "sequence IN (SELECT sequence FROM (SELECT sequence, hour FROM pair \
                         ORDER BY sequence LIMIT ?2) WHERE hour < ?1)";
            return self.delete(first, self.expired);
        }
        self.connection.execute("DELETE FROM seen WHERE hour < ?1", [self.expired])?;
        Ok(0)
    }

    /// Halves the threshold of the kind that takes the most; false if there is none to thin.
    fn thin(&mut self) -> Result<bool> {
        let most = "SELECT id, threshold FROM kind WHERE pairs > ?1 ORDER BY bytes DESC LIMIT 1";
        for few in FEW {
            let found =
                self.connection.query_row(most, [few], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some::<(i64, i64)>((kind, threshold)) = found.optional()? else { continue };
            let half = threshold / 2;
            let halve = "UPDATE kind SET threshold = ?2 WHERE id = ?1";
            self.connection.execute(halve, params![kind, half])?;
            let known = self.kinds.values_mut().filter(|one| one.id == kind);
            known.for_each(|one| one.threshold = half);
            self.sweeping = Some(kind);
            return Ok(true);
        }
        Ok(false)
    }

    /// Deletes a part of what a kind stores from its threshold on.
    fn sweep(&mut self, kind: i64) -> Result<u64> {
        let beyond = "sequence IN (SELECT sequence FROM pair WHERE kind = ?1 \
                      AND number >= (SELECT threshold FROM kind WHERE id = ?1) LIMIT ?2)";
        let deleted = self.delete(beyond, kind)?;
        if deleted < PART.cast_unsigned() {
            self.sweeping = None;
        }
        Ok(deleted)
    }

    /// Deletes a part of the pairs for which `which` holds, with `value` as its first parameter.
    fn delete(&mut self, which: &str, value: i64) -> Result<u64> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let deleted = self.try_delete(which, value);
        self.connection.execute_batch(if deleted.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        deleted
    }

    fn try_delete(&self, which: &str, value: i64) -> Result<u64> {
        let text = format!("DELETE FROM pair WHERE {which} RETURNING kind, length(data)");
        let mut gone = HashMap::<i64, (i64, i64)>::new();
        let mut deleted = 0;
        let mut delete = self.connection.prepare(&text)?;
        let mut rows = delete.query(params![value, PART])?;
        while let Some(row) = rows.next()? {
            let (pairs, bytes) = gone.entry(row.get(0)?).or_default();
            *pairs += 1;
            *bytes += row.get::<_, i64>(1)?;
            deleted += 1;
        }
        let shrink =
            "UPDATE kind SET pairs = max(0, pairs - ?2), bytes = max(0, bytes - ?3) WHERE id = ?1";
        let mut shrink = self.connection.prepare(shrink)?;
        for (kind, (pairs, bytes)) in gone {
            shrink.execute(params![kind, pairs, bytes])?;
        }
        Ok(deleted)
    }
}
