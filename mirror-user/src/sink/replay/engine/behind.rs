//! Says when requests are late because of what the replay keeps: the order of a captured connection, or
//! the number of connections. A slow target alone would not make them late.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Engine;
use crate::logging::emit;
use crate::sink::replay::outcome::report::short;
use crate::sink::replay::transport::connections::Connections;

/// How late is said: more than one slow response makes of a session whose client waited, too.
pub(in crate::sink::replay) const SAID_FROM: Duration = Duration::from_secs(1);

/// Whether it was said.
#[derive(Default)]
pub(in crate::sink::replay) struct Behind(Cell<bool>);

impl Behind {
    /// Takes note of a request that goes out now and was due at `due`, by somebody who was busy with
    /// the one before until `busy_until`.
    pub(in crate::sink::replay) fn note(
        &self,
        due: Option<Instant>,
        busy_until: Option<Instant>,
        engine: &Engine,
    ) {
        let late = due.zip(busy_until).map(|(due, until)| until.saturating_duration_since(due));
        let Some(late) = late.filter(|late| *late >= SAID_FROM) else { return };
        engine.queue.counters.behind.fetch_add(1, Relaxed);
        if !self.0.replace(true) {
            let (target, what) = (engine.authority(), told(engine.pool.policy, late));
            let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
            emit!(RequestsLate, target, late_ms, "{target}: {what}");
        }
    }
}

fn told(policy: Connections, late: Duration) -> String {
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
