//! Commands that a run starts at its turning points.

use std::time::Duration;

use super::define::settings;
use crate::psql;

settings! {
    /// Commands that a run starts: a program and its arguments, without a shell.
    pub struct HookSettings under "Hooks", changed AtNextStart {
        /// Run this before the process confines itself and opens anything, and again before each further pass of `pace.loop`. If it fails, the run does not start
        setting before_run: Vec<String> { key: "before-run", file_only: true }
        /// Run this when everything is attached and reachable, before the first packet is read. If it fails, the run ends
        setting on_ready: Vec<String> { key: "on-ready", file_only: true }
        /// Run this at the end of the run, however it ended, and of each pass of `pace.loop`
        setting after_run: Vec<String> { key: "after-run", file_only: true }
        /// How long a command may take before it and its process group are killed
        setting timeout: Option<Duration> { key: "timeout", file_only: true, default: "1m" }
        /// Connection string of production's PostgreSQL: each command gets `MIRROR_WAL_LSN`, where its log stands, by psql
        setting wal_lsn: Option<String> {
            key: "wal-lsn",
            file_only: true,
            value: "DSN",
            check: psql::connection_string,
        }
    }
}
