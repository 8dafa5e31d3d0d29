//! Warns if requests are late because of the connection policy: the order within a captured
//! connection, or the number of connections. A slow target alone does not make requests late.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Engine;
use crate::logging::emit;
use crate::sink::replay::outcome::report::short;
use crate::sink::replay::transport::connections::Connections;

/// The lateness that causes a warning. A single slow response delays a session less, as its client
/// waited, too.
pub(in crate::sink::replay) const WARN_FROM: Duration = Duration::from_secs(1);

/// Warns once; true if it has.
#[derive(Default)]
pub(in crate::sink::replay) struct LateWarning(Cell<bool>);

impl LateWarning {
    /// Records a request that is sent now and was due at `due`. Its session or worker was busy with
    /// the request before it until `busy_until`.
    pub(in crate::sink::replay) fn note(
        &self,
        due: Option<Instant>,
        busy_until: Option<Instant>,
        engine: &Engine,
    ) {
        let late = due.zip(busy_until).map(|(due, until)| until.saturating_duration_since(due));
        let Some(late) = late.filter(|late| *late >= WARN_FROM) else { return };
        engine.queue.counters.behind.fetch_add(1, Relaxed);
        if !self.0.replace(true) {
            let (target, warning) = (engine.authority(), warning(engine.pool.policy, late));
            let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
            emit!(RequestsLate, target, late_ms, "{target}: {warning}");
        }
    }
}

fn warning(policy: Connections, late: Duration) -> String {
    let late = short(late);
    match policy {
        Connections::Independent(n) => format!(
            "requests are {late} late, as all {n} connections are busy; \
             allow more with --connections independent:N"
        ),
        Connections::Faithful | Connections::Pooled(_) => format!(
            "requests are {late} late, as each waits for the response to the one before it on its captured \
             connection; if that carries several clients' requests, as a proxy's does, \
             use --connections independent:N"
        ),
    }
}
