//! Stored pairs, compared and judged again: by other rules, or of a part of the time. Nothing is sent.
//!
//! Where pairs of a kind are not stored, those that are stand for them, each for as many: sums are exact, and what a
//! rule decides of a whole field is. Further passes take what was stored since.

use std::collections::HashMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use flate2::read::DeflateDecoder;
use mirror_compare::comparison::Pair;
use mirror_compare::kept::Kept;
use mirror_compare::report::{Basis, Finding};

use super::super::Shared;
pub use super::rows::Range;
use super::rows::{Contents, StoredPair, Wanted};
use super::{MAX_PAIR_BYTES, Store};

/// Pairs that are asked for at once.
const PART: usize = 256;

/// Judges what is stored.
pub struct Anew {
    store: Store,
    wanted: Wanted,
    /// The run of the last pair.
    run: Option<i64>,
    /// Pairs of each kind that were counted.
    counted: HashMap<i64, u64>,
    judged: u64,
}

/// How many pairs a stored one stands for.
struct Shares(HashMap<i64, Share>);

struct Share {
    pairs: u64,
    stored: u64,
    /// Stored pairs that were given theirs.
    given: u64,
}

impl Shares {
    /// Those of the next pair of a kind; all of them together are all pairs.
    fn next(&mut self, kind: i64) -> u64 {
        let Some(Share { pairs, stored, given }) = self.0.get_mut(&kind) else { return 0 };
        let upto = |n: u64| u128::from(*pairs) * u128::from(n) / u128::from(*stored).max(1);
        let share = upto(*given + 1).saturating_sub(upto(*given));
        *given += 1;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

impl Anew {
    /// Of this part of the time.
    #[must_use]
    pub fn new(store: Store, range: Range) -> Self {
        let wanted = Wanted { range, ..Wanted::default() };
        Self { store, wanted, run: None, counted: HashMap::new(), judged: 0 }
    }

    /// Judges what was stored since the last pass, by the rules of `comparison`; each pair is shown to `each`, which may
    /// end it.
    ///
    /// # Errors
    /// If the store cannot be read, or `each` fails.
    pub fn pass(
        &mut self,
        comparison: &Shared,
        mut each: impl FnMut(&Arc<Finding>) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let wanted = self.wanted.clone();
        let contents = self.store.ask(move |database| database.contents(&wanted))?;
        self.wanted.upto = contents.upto;
        let share = |kind: &super::rows::Kind| {
            let counted = self.counted.get(&kind.id).copied().unwrap_or_default();
            let pairs = kind.seen.saturating_sub(counted);
            (kind.id, Share { pairs, stored: kind.stored, given: 0 })
        };
        let mut shares = Shares(contents.kinds.iter().map(share).collect());
        comparison.lock().rest_on(self.basis(&contents));
        'all: loop {
            let wanted = self.wanted.clone();
            let pairs = self.store.ask(move |database| database.pairs(&wanted, PART))?;
            if pairs.is_empty() {
                self.wanted.after = contents.upto;
                break;
            }
            for pair in &pairs {
                self.wanted.after = pair.sequence;
                let share = shares.next(pair.kind);
                let finding = self.judge(comparison, pair, share)?;
                if each(&finding)?.is_break() {
                    break 'all;
                }
            }
            comparison.lock().rest_on(self.basis(&contents));
        }
        comparison.lock().rest_on(self.basis(&contents));
        Ok(())
    }

    fn judge(
        &mut self,
        comparison: &Shared,
        stored: &StoredPair,
        share: u64,
    ) -> anyhow::Result<Arc<Finding>> {
        let is_other = self.run.replace(stored.run).is_some_and(|run| run != stored.run);
        let finding = compared(stored, |pair| {
            let mut comparison = comparison.lock();
            if is_other {
                comparison.begin_run();
            }
            comparison.push_for(pair, share)
        })?;
        *self.counted.entry(stored.kind).or_default() += share;
        self.judged += 1;
        Ok(finding)
    }

    fn basis(&self, contents: &Contents) -> Basis {
        let seen: u64 = contents.kinds.iter().map(|kind| kind.seen).sum();
        let counted: u64 = self.counted.values().sum();
        // When pairs were lost is not known.
        let lost = if self.wanted.range.is_all() { contents.lost } else { 0 };
        let compared = seen.max(counted) + lost;
        Basis {
            runs: contents.runs,
            compared,
            judged: self.judged,
            missing: compared.saturating_sub(counted),
        }
    }
}

const DAMAGED: &str = "a pair in it is damaged; take another copy of it";

/// Compares a stored pair.
pub(super) fn compared(
    stored: &StoredPair,
    compare: impl FnOnce(&Pair<'_>) -> Arc<Finding>,
) -> anyhow::Result<Arc<Finding>> {
    let bytes = unpacked(&stored.data)?;
    let kept = Kept::read(&bytes).map_err(|_| anyhow!(DAMAGED))?;
    Ok(compare(&kept.pair()))
}

/// A pair as it was before it was compressed.
fn unpacked(data: &[u8]) -> anyhow::Result<Vec<u8>> {
    let most = MAX_PAIR_BYTES as u64;
    let mut bytes = Vec::new();
    let read = DeflateDecoder::new(data).take(most + 1).read_to_end(&mut bytes).context(DAMAGED)?;
    ensure!(read as u64 <= most, DAMAGED);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_sum_up() {
        for (pairs, stored) in [(10, 10), (10, 3), (1_000_003, 7), (0, 0), (u64::MAX, 3)] {
            let share = Share { pairs, stored, given: 0 };
            let mut shares = Shares(HashMap::from([(1, share)]));
            let all: Vec<u64> = (0..stored).map(|_| shares.next(1)).collect();
            assert_eq!(all.iter().sum::<u64>(), pairs, "{all:?}");
            let (least, most) = (all.iter().min(), all.iter().max());
            assert!(least.zip(most).is_none_or(|(a, b)| b - a <= 1), "{all:?}");
            assert_eq!(shares.next(2), 0);
        }
    }
}
