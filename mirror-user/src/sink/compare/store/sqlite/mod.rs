//! The database: SQLite, by `rusqlite`, which nothing outside this module names.
//!
//! SQLite, because one file that any tool can read holds everything, and a process that is killed at any moment leaves it
//! whole. Changes go to a log beside the file (WAL) and reach the file later: a batch is one append and no wait for the
//! disk, and what a loss of power takes is the last batches and never the file. The lock is held as long as it is
//! written to: another process that opens it is told so. When it is closed, the log is gone and one file remains.

mod open;
mod read;
mod tend;
#[cfg(test)]
mod tests;
mod write;

use std::collections::HashMap;

use anyhow::anyhow;
use rusqlite::{Connection, Error, ErrorCode};

use super::Limits;

/// An open database.
pub(super) struct Database {
    connection: Connection,
    limits: Limits,
    /// Nothing is added to it.
    reads_only: bool,
    /// It is in a file.
    is_file: bool,
    /// The hour of the next pairs, since 1970.
    hour: i64,
    run: i64,
    /// The place of the next pair.
    next: i64,
    /// Kinds that were met, by endpoint and fields.
    kinds: HashMap<(String, u64), Known>,
    /// How many each endpoint has.
    kinds_of: HashMap<String, usize>,
    /// A kind whose pairs from its threshold on are still being deleted.
    sweeping: Option<i64>,
    /// Hours before this one are deleted, or will be; they are not read.
    expired: i64,
}

/// What is known of a kind without asking.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: i64,
    threshold: i64,
}

/// Why a database cannot be used: "it is …".
fn told(error: &Error) -> anyhow::Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            anyhow!("another mirror uses it; give each run a store of its own")
        }
        Some(ErrorCode::NotADatabase) => not_ours(),
        Some(ErrorCode::DatabaseCorrupt) => {
            anyhow!("it is cut off or damaged; take another copy, or another file")
        }
        Some(ErrorCode::DiskFull) => anyhow!("the disk is full"),
        Some(ErrorCode::ReadOnly) => anyhow!("it cannot be written to"),
        _ => anyhow!("{error}"),
    }
}

fn not_ours() -> anyhow::Error {
    anyhow!("it is no store of mirror compare; choose another file")
}
