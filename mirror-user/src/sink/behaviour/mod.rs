//! Behaviour logs: one flat row for each exchange, of the fields that were asked for, for analysis.
//!
//! Cleared exchanges in; JSON lines ([`RowLines`]) or Parquet (`parquet`) out, with the same columns and the same values.
//! What a field is, and its type and unit, is in [`field`].
//!
//! Refuses nothing: where something was not seen, the value is null. Remembers the words of paths, within the limits of
//! [`Endpoints`](mirror_compare::endpoint::Endpoints), and, for Parquet, the rows that are not in a file yet.

pub mod field;
mod lines;
#[cfg(feature = "parquet")]
pub mod parquet;
mod row;

pub use self::field::Fields;
pub use self::lines::RowLines;
pub use self::row::{Rows, Value};
