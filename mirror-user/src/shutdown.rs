//! One stop signal for the whole run.
//!
//! The first SIGINT or SIGTERM asks every room to end: the source stops reading, what is inside
//! is finished, sinks drain for a bounded time, the summary is printed. The second one ends the
//! process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Shared by everyone who may have to end early.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A stop that SIGINT and SIGTERM set.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal must find the flag set by the first, not by itself.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.0))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.0)))
                .context("signals: cannot be handled")?;
        }
        Ok(stop)
    }

    /// Asks everyone to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Asks everyone to end when `time` has passed.
    pub fn request_after(&self, time: Duration) {
        let stop = self.clone();
        thread::spawn(move || {
            // A channel that fires once is a clock that needs no loop.
            let _ = crossbeam_channel::after(time).recv();
            stop.request();
        });
    }

    /// True once someone asked to end.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for rooms that know nothing of signals.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
