//! The configuration file: parses YAML into the typed [`File`], or returns all problems.
//!
//! Parsing opens no files, resolves no names and contacts no hosts, so `mirror config check` needs no
//! privileges. Unknown keys are refused: a misspelt condition would send requests that nobody cleared.

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

/// Maximum size of a configuration file in bytes: the limit of a Kubernetes ConfigMap.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Enough for 1,024 rules of 60 values.
pub(super) const LIMITS: Limits =
    Limits { bytes: MAX_FILE_BYTES, values: 64 * 1024, aliases: false };

#[cfg(test)]
mod tests;
