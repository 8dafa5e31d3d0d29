//! One stop signal for the whole run.
//!
//! The first SIGINT or SIGTERM asks every stage to end: the source stops reading, what is in flight is
//! finished, sinks drain for a bounded time, and the summary is printed. The second signal ends the
//! process at once. SIGHUP does the same, except in a run that reloads its file on SIGHUP.

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

/// The stop flag, shared by every thread that may have to end early.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A stop flag that SIGINT and SIGTERM set.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        stop.request_at_signals()?;
        Ok(stop)
    }

    /// SIGINT and SIGTERM set it from now on.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn request_at_signals(&self) -> anyhow::Result<()> {
        self.set_on(SIGINT)?;
        self.set_on(SIGTERM)
    }

    /// SIGHUP sets it, too, so that closing the terminal ends the run. A run started with nohup(1)
    /// ignores the signal and continues.
    ///
    /// # Errors
    /// When the process may not handle signals.
    pub fn on_hangup(&self) -> anyhow::Result<()> {
        if is_ignored(SIGHUP) { Ok(()) } else { self.set_on(SIGHUP) }
    }

    fn set_on(&self, signal: c_int) -> anyhow::Result<()> {
        // In this order: the shutdown must see the flag set by the first signal, not by the second.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&self.0))
            .and_then(|_| flag::register(signal, Arc::clone(&self.0)))
            .context("signals: cannot be handled")?;
        Ok(())
    }

    /// Requests the stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Requests the stop after `time`. Call it once the run is confined, so that the thread that waits
    /// is confined, too.
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

    /// True once the stop was requested.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for stages that do not know this type.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// True when this process ignores the signal, as its parent set it up (proc(5), `SigIgn`).
fn is_ignored(signal: c_int) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
