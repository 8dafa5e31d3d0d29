//! The commands that a run starts at its turning points, and what they are told.

use std::time::Duration;

use super::source::Source;
use crate::hooks::Plan;
use crate::packet::Timestamp;
use crate::settings::HookSettings;
use crate::source::folder;

/// For a command to end: a database of some gigabytes is cloned in that time.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The hooks of a run of this name, that reads files `passes` times; `None` if there are none.
pub(super) fn plan(
    settings: &HookSettings,
    run: &str,
    source: &Source,
    passes: u32,
) -> Option<Plan> {
    let HookSettings { before_run, on_ready, after_run, timeout, wal_lsn } = settings;
    if [before_run, on_ready, after_run].iter().all(|command| command.is_empty()) {
        return None;
    }
    let started = jiff::Timestamp::now();
    let capture_start = match source {
        Source::Live { .. } => Some(started),
        Source::Files { paths, .. } => folder::begins(paths).and_then(time),
        Source::Hars { .. } | Source::Reader { .. } | Source::Stream(_) => None,
    };
    Some(Plan {
        before_run: before_run.clone(),
        on_ready: on_ready.clone(),
        after_run: after_run.clone(),
        timeout: timeout.unwrap_or(TIMEOUT),
        wal_lsn: wal_lsn.clone(),
        run: run.to_owned(),
        passes,
        started: started.to_string(),
        capture_start: capture_start.map(|at| at.to_string()),
    })
}

fn time(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(at.as_nanos().into()).ok()
}
