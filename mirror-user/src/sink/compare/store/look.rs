//! Single stored pairs, for whoever looks at them: compared as they are read.

use std::sync::Arc;

use mirror_compare::comparison::{Comparison, Options};
use mirror_compare::report::Finding;

use super::Store;
use super::anew::compared;
pub use super::rows::FieldName;
use super::rows::{Range, StoredPair};

/// Pairs of a field that are shown.
const SHOWN: usize = 200;

impl Store {
    /// The last pairs in which a field differs, the latest first, each with its place.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn of_field(
        &self,
        field: FieldName,
        range: Range,
        options: &Options,
    ) -> anyhow::Result<Vec<(i64, Arc<Finding>)>> {
        let pairs = self.ask(move |database| database.of_field(&field, range, SHOWN))?;
        pairs.iter().map(|pair| Ok((pair.sequence, alone(pair, options)?))).collect()
    }

    /// The pair at a place, if it is still there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn pair(&self, place: i64, options: &Options) -> anyhow::Result<Option<Arc<Finding>>> {
        let pair = self.ask(move |database| database.pair(place))?;
        pair.map(|pair| alone(&pair, options)).transpose()
    }
}

/// By itself: what other pairs say about noise is in none of its differences.
fn alone(pair: &StoredPair, options: &Options) -> anyhow::Result<Arc<Finding>> {
    let mut comparison = Comparison::new(options.clone());
    compared(pair, |pair| comparison.push(pair))
}
