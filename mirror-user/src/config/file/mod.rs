//! The configuration file: YAML in, the typed [`File`] out, or everything that is wrong with it.
//!
//! Reading opens, resolves and reaches nothing, so that `mirror config check` needs no privileges.
//! Unknown keys are refused: a misspelt condition would let out what nobody cleared.

mod check;
mod model;
mod node;
mod print;
mod problem;
mod read;
mod read_rules;
mod read_source;
mod read_target;
mod reader;
mod schema;
mod write;

pub use self::model::{File, RuleSpec, TargetSpec, TargetUse, VERSION};
pub use self::node::MAX_FILE_BYTES;
pub use self::problem::{Place, Problem, Problems};
pub use self::schema::SCHEMA;

#[cfg(test)]
mod tests;
