//! The file of a run while it runs: a valid change takes effect, an invalid one is refused, reported and
//! counted, and the last valid one stays in effect.
//!
//! The file is looked at four times a second, by its identity, length and time: that sees what
//! editors rename, what a ConfigMap swaps behind two symbolic links, and what lies on file systems
//! that announce nothing. It is read when two looks agree, so that half of it is not taken for all.

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

/// Between two looks at the file: with two looks and the reading, a change takes effect within a
/// second.
const LOOK: Duration = Duration::from_millis(250);

/// Follows a file and makes changes of it.
struct Watcher {
    source: FollowedFile,
    active: Active,
    handover: Arc<Handover>,
}

/// Follows the file from now on, until the run stops. Changes go to what is given back.
///
/// # Errors
/// When signals cannot be handled, or no thread could be started.
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
        let ticks = crossbeam_channel::tick(LOOK);
        let mut last = watcher.source.seen;
        while ticks.recv().is_ok() && !stop.requested() {
            let asked = hangup.swap(false, Relaxed);
            let seen = FileIdentity::of(&watcher.source.path);
            if asked || seen != watcher.source.seen && seen == last {
                watcher.source.seen = seen;
                watcher.reload(asked);
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
    fn reload(&mut self, asked: bool) {
        let name = self.source.path.display().to_string();
        match self.change() {
            Ok(true) => {
                emit!(ConfigReloaded, file = name, "{name}: reloaded");
                self.source.keep();
            }
            Ok(false) if asked => emit!(ConfigUnchanged, file = name, "{name}: unchanged"),
            Ok(false) => {}
            Err(error) => {
                self.handover.refuse();
                let reason = format!("{error:#}");
                emit!(
                    ConfigRefused,
                    file = name,
                    reason,
                    "{name}: refused, the last valid one stays in force:\n{reason}"
                );
            }
        }
    }

    /// Puts the file into effect; false when it says what is in effect already.
    fn change(&mut self) -> anyhow::Result<bool> {
        let text = command::text(&self.source.path)?;
        if text == self.source.text {
            return Ok(false);
        }
        let next = command::parse(&self.source.path, &text)?;
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
