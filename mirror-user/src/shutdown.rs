//! One stop signal for the whole run.
//!
//! The first SIGINT or SIGTERM asks every room to end: the source stops reading, what is inside
//! is finished, sinks drain for a bounded time, the summary is printed. The second one ends the
//! process at once. SIGHUP does the same where it does not ask for a reload.

use std::ffi::c_int;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::logging::emit;
use crate::privileges::{self, Duty};

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
        stop.obey(SIGINT)?;
        stop.obey(SIGTERM)?;
        Ok(stop)
    }

    /// SIGHUP sets it, too: a terminal that closes ends the run. A run that was started to outlive
    /// its terminal, by nohup(1), ignores the signal and goes on.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn on_hangup(&self) -> anyhow::Result<()> {
        if is_ignored(SIGHUP) { Ok(()) } else { self.obey(SIGHUP) }
    }

    fn obey(&self, signal: c_int) -> anyhow::Result<()> {
        // In this order: the second signal must find the flag set by the first, not by itself.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&self.0))
            .and_then(|_| flag::register(signal, Arc::clone(&self.0)))
            .context("signals: cannot be handled")?;
        Ok(())
    }

    /// Asks everyone to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Asks everyone to end when `time` has passed. To be called once the run is confined, so that
    /// the thread that waits is confined, too.
    ///
    /// # Errors
    /// When no thread could be started.
    pub fn request_after(&self, time: Duration) -> anyhow::Result<()> {
        let stop = self.clone();
        let wait = move || {
            if let Err(error) = privileges::keep_for(Duty::Nothing) {
                emit!(PrivilegesKept, thread = "timer", "{error:#}");
            }
            // A channel that fires once is a clock that needs no loop.
            let _ = crossbeam_channel::after(time).recv();
            stop.request();
        };
        thread::Builder::new()
            .name("timer".into())
            .spawn(wait)
            .context("--for: no thread could be started")?;
        Ok(())
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

/// True when this process ignores the signal, as its parent asked (proc(5), `SigIgn`).
fn is_ignored(signal: c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
