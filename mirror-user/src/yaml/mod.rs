//! Reads and writes YAML. A text is parsed into a tree whose values have positions; a [`Reader`] extracts
//! typed values from the tree and collects all problems; [`write`](mod@write) prints a tree.
//!
//! Knows no settings and no file format: the caller says which keys a map may have.

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
