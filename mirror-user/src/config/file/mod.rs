//! The configuration file: YAML in, the typed [`File`] out, or everything that is wrong with it.
//!
//! Reading opens, resolves and reaches nothing, so that `mirror config check` needs no privileges.
//! Unknown keys are refused: a misspelt condition would let out what nobody cleared.

mod check;
mod model;
mod print;
mod read;
mod read_rules;
mod read_target;
mod schema;

pub use self::model::{File, RuleSpec, TargetSpec, TargetUse, VERSION};
pub use self::schema::schema;
use crate::yaml::Limits;
pub use crate::yaml::{Place, Problem, Problems};

/// Bytes of a configuration file, at most: what a Kubernetes ConfigMap may hold.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// 1,024 rules of 60 values.
const LIMITS: Limits = Limits { bytes: MAX_FILE_BYTES, values: 64 * 1024, aliases: false };

#[cfg(test)]
mod tests;
