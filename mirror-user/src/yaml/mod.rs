//! YAML in and out. A text becomes a tree whose values have places; a [`Reader`] takes typed values out
//! of the tree and notes everything that is wrong with them; [`write`](mod@write) prints a tree.
//!
//! Knows no setting and no format: which keys a map has is for its caller to say.

mod problem;
mod reader;
mod tree;
pub(crate) mod write;

#[cfg(test)]
pub(crate) use self::problem::MAX_PROBLEMS;
pub use self::problem::Problems;
pub(crate) use self::reader::{Fields, Reader};
pub(crate) use self::tree::{Key, Limits, Node, Value, parse};
pub use self::tree::{Place, Problem};
