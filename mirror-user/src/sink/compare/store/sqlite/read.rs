//! Reads what is stored: how much of which kinds, and the pairs in the order in which they were compared.

use rusqlite::{Params, Result, params};

use super::super::rows::{Contents, FieldName, Kind, Range, StoredPair, Wanted};
use super::{Database, told};

/// Pairs of a kind that a file may say that there were: so many that their sums stay numbers.
const MOST: i64 = 1 << 40;

impl Database {
    /// How much of each kind there is, up to the last pair of this moment.
    ///
    /// # Errors
    /// If the database fails.
    pub(in super::super) fn contents(&self, wanted: &Wanted) -> anyhow::Result<Contents> {
        self.try_contents(wanted).map_err(|error| told(&error))
    }

    fn try_contents(&self, wanted: &Wanted) -> Result<Contents> {
        let last = "SELECT coalesce(max(sequence), 0) FROM pair";
        let upto = self.connection.query_row(last, [], |row| row.get(0))?;
        let runs = "SELECT count(*), coalesce(sum(lost), 0) FROM run";
        let (runs, lost): (i64, i64) =
            self.connection.query_row(runs, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (first, end) = wanted.range.minutes();
        let kinds = "WITH stored AS ( \
                SELECT p.kind, count(*) AS pairs FROM pair p JOIN kind k ON k.id = p.kind \
                WHERE p.sequence > ?1 AND p.sequence <= ?2 AND p.number < k.threshold AND p.hour >= ?3 \
                AND p.minute >= ?4 AND p.minute < ?5 GROUP BY p.kind) \
             SELECT s.kind, sum(s.pairs), coalesce((SELECT pairs FROM stored WHERE kind = s.kind), 0) \
             FROM seen s WHERE s.hour >= ?3 AND s.minute >= ?4 AND s.minute < ?5 GROUP BY s.kind";
        let mut kinds = self.connection.prepare(kinds)?;
        let count = |n: i64| n.clamp(0, MOST).cast_unsigned();
        let kinds =
            kinds.query_map(params![wanted.after, upto, self.expired, first, end], |row| {
                let (seen, stored) = (row.get(1).map(count)?, row.get(2).map(count)?);
                Ok(Kind { id: row.get(0)?, seen, stored })
            })?;
        let kinds = kinds.collect::<Result<_>>()?;
        Ok(Contents { upto, runs: count(runs), lost: count(lost), kinds })
    }

    /// The next wanted pairs, `most` of them at most.
    ///
    /// # Errors
    /// If the database fails.
    pub(in super::super) fn pairs(
        &self,
        wanted: &Wanted,
        most: usize,
    ) -> anyhow::Result<Vec<StoredPair>> {
        self.try_pairs(wanted, most).map_err(|error| told(&error))
    }

    fn try_pairs(&self, wanted: &Wanted, most: usize) -> Result<Vec<StoredPair>> {
        let (first, end) = wanted.range.minutes();
        let pairs = "SELECT p.sequence, p.kind, p.run, p.data FROM pair p JOIN kind k ON k.id = p.kind \
             WHERE p.sequence > ?1 AND p.sequence <= ?2 AND p.number < k.threshold AND p.hour >= ?3 \
             AND p.minute >= ?4 AND p.minute < ?5 ORDER BY p.sequence LIMIT ?6";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (after, upto) = (wanted.after, wanted.upto);
        self.select(pairs, params![after, upto, self.expired, first, end, most])
    }

    /// The last pairs in which a field differs, the latest first.
    ///
    /// # Errors
    /// If the database fails.
    pub(in super::super) fn of_field(
        &self,
        field: &FieldName,
        range: Range,
        most: usize,
    ) -> anyhow::Result<Vec<StoredPair>> {
        let (first, end) = range.minutes();
        // Places first, so that nothing is sorted with its data.
        let pairs = "SELECT sequence, kind, run, data FROM pair WHERE sequence IN ( \
                SELECT p.sequence FROM field f JOIN kind k ON k.id = f.kind JOIN pair p ON p.kind = k.id \
                WHERE f.path = ?1 AND f.class = ?2 AND k.endpoint = ?3 AND p.number < k.threshold \
                AND p.hour >= ?4 AND p.minute >= ?5 AND p.minute < ?6 \
                ORDER BY p.minute DESC, p.sequence DESC LIMIT ?7) \
             ORDER BY minute DESC, sequence DESC";
        let FieldName { endpoint, path, class } = field;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let wanted = params![path, class, endpoint, self.expired, first, end, most];
        self.select(pairs, wanted).map_err(|error| told(&error))
    }

    /// The pair at a place, if it is still there.
    ///
    /// # Errors
    /// If the database fails.
    pub(in super::super) fn pair(&self, place: i64) -> anyhow::Result<Option<StoredPair>> {
        let pair = "SELECT sequence, kind, run, data FROM pair WHERE sequence = ?1";
        let found = self.select(pair, [place]).map_err(|error| told(&error))?;
        Ok(found.into_iter().next())
    }

    fn select(&self, text: &str, parameters: impl Params) -> Result<Vec<StoredPair>> {
        let mut pairs = self.connection.prepare(text)?;
        let pairs = pairs.query_map(parameters, |row| {
            let (sequence, kind, run) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(StoredPair { sequence, kind, run, data: row.get(3)? })
        })?;
        pairs.collect()
    }
}
