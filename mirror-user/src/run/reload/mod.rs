//! Watches the configuration file of a run. A valid change takes effect. An invalid one is refused,
//! reported and counted, and the last valid configuration stays in effect.
//!
//! The file's identity, length and time are checked four times per second. This detects renames by
//! editors, a ConfigMap that is swapped behind two symbolic links, and changes on file systems
//! without notifications. The file is read once two checks agree, so that a partial write is not
//! read.

mod change;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::SIGHUP;

use self::change::Active;
pub(super) use self::change::Handles;
use crate::config::command;
use crate::config::start::{FileIdentity, Followed, FollowedFile};
use crate::logging::emit;
use crate::pipeline::Handover;
use crate::shutdown::Stop;

/// Time between two checks of the file. A change takes effect within a second, after two checks and
/// a read.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Watches a file and applies its changes.
struct Watcher {
    source: FollowedFile,
    active: Active,
    handover: Arc<Handover>,
}

/// Watches the file until the run stops. Changes are put into the returned handover.
///
/// # Errors
/// If signals cannot be handled, or no thread could be started.
pub(super) fn follow(
    followed: Followed,
    handles: Handles,
    stop: Stop,
) -> anyhow::Result<Arc<Handover>> {
    let hangup = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, Arc::clone(&hangup))
        .context("SIGHUP: cannot be handled")?;
    let Followed { file, run, source, fell_back } = followed;
    let handover = Arc::new(Handover::default());
    if fell_back {
        handover.refuse();
    }
    let active = Active::new(file, run, handles);
    let mut watcher = Watcher { source, active, handover: Arc::clone(&handover) };
    let watch = move || {
        let ticks = crossbeam_channel::tick(CHECK_INTERVAL);
        let mut last = watcher.source.seen;
        while ticks.recv().is_ok() && !stop.requested() {
            let requested = hangup.swap(false, Relaxed);
            let seen = FileIdentity::of(&watcher.source.path);
            if requested || seen != watcher.source.seen && seen == last {
                watcher.source.seen = seen;
                watcher.reload(requested);
            }
            last = seen;
        }
    };
    thread::Builder::new()
        .name("config".into())
        .spawn(watch)
        .context("config: no thread could be started")?;
    Ok(handover)
}

impl Watcher {
    fn reload(&mut self, requested: bool) {
        let name = self.source.path.display().to_string();
        match self.change() {
            Ok(true) => {
                emit!(ConfigReloaded, file = name, "{name}: reloaded");
                self.source.keep();
            }
            Ok(false) if requested => emit!(ConfigUnchanged, file = name, "{name}: unchanged"),
            Ok(false) => {}
            Err(error) => {
                self.handover.refuse();
                let reason = format!("{error:#}");
                emit!(
                    ConfigRefused,
                    file = name,
                    reason,
                    "{name}: refused, the last valid one stays in effect:\n{reason}"
                );
            }
        }
    }

    /// Applies the file; false if its text has not changed.
    fn change(&mut self) -> anyhow::Result<bool> {
        let text = command::text(&self.source.path)?;
        if text == self.source.text {
            self.handover.valid();
            return Ok(false);
        }
        let next = command::parse_for_run(&self.source.path, &text)?;
        let later = self.active.needs_restart(&next);
        self.handover.put(self.active.change(&next)?);
        for part in later {
            let file = self.source.path.display();
            emit!(
                ConfigNeedsRestart,
                file = %file,
                part,
                "{file}: {part} changed; that takes effect at the next start"
            );
        }
        self.source.text = text;
        Ok(true)
    }
}
