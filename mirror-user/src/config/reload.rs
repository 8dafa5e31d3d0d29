//! The file of a run while it runs: a valid change takes effect, an invalid one is refused, told and
//! counted, and the last valid one stays in force. It is also kept in a state file, which a start
//! finds whose file is not valid.
//!
//! The file is looked at four times a second, by its identity, length and time: that sees what
//! editors rename, what a ConfigMap swaps behind two symbolic links, and what lies on file systems
//! that announce nothing. It is read when two looks agree, so that half of it is not taken for all.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::SIGHUP;

use super::change::{Force, InForce};
use super::command;
use super::file::File;
use super::target::Run;
use crate::cli::RunArgs;
use crate::pipeline::Handover;
use crate::shutdown::Stop;

/// Between two looks at the file: with two looks and the reading, a change takes effect within a
/// second.
const LOOK: Duration = Duration::from_millis(250);

/// What systemd names as the service's own folder that outlives it.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// What a run begins with.
pub(super) struct Start {
    pub(super) file: File,
    looked: Looked,
}

impl Start {
    /// Reads the file; where it is not valid, the last one that was.
    ///
    /// # Errors
    /// Everything that is wrong with the file, when there is no other.
    pub(super) fn read(args: &RunArgs) -> anyhow::Result<Self> {
        let state = args.state.clone().or_else(|| {
            env::var_os(STATE_DIRECTORY).map(|folder| PathBuf::from(folder).join("mirror.yaml"))
        });
        let seen = Looks::at(&args.config);
        let read = command::text(&args.config)
            .and_then(|text| Ok((command::parse(&args.config, &text)?, text)));
        let (file, text, fell_back) = match (read, &state) {
            (Ok((file, text)), _) => (file, text, false),
            (Err(error), Some(state)) if state.exists() => {
                eprintln!("mirror: {error:#}");
                let text = command::text(state)?;
                let file = command::parse(state, &text)?;
                eprintln!(
                    "mirror: {}: not valid; begins with the last valid one, {}",
                    args.config.display(),
                    state.display()
                );
                (file, text, true)
            }
            (Err(error), _) => return Err(error),
        };
        let handover = Arc::new(Handover::default());
        if fell_back {
            handover.refuse();
        }
        let mut apart = file.reads();
        apart.reads("--config", &args.config);
        state.iter().for_each(|state| apart.writes("--state", state));
        apart.ensure()?;
        let looked = Looked { path: args.config.clone(), state, handover, text, seen };
        looked.keep();
        Ok(Self { file, looked })
    }

    /// Looks after the file from now on as that of a run.
    pub(super) fn watcher(self, run: Run) -> Watcher {
        Watcher { looked: self.looked, file: self.file, run }
    }
}

/// Looks after the file of a run that is about to begin.
pub(super) struct Watcher {
    looked: Looked,
    file: File,
    run: Run,
}

/// The file as it was last seen.
struct Looked {
    path: PathBuf,
    state: Option<PathBuf>,
    handover: Arc<Handover>,
    /// What is in force.
    text: String,
    /// The file that was read last.
    seen: Looks,
}

/// What tells two versions of a file apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looks(Option<(u64, u64, u64, i64, i64)>);

impl Looks {
    fn at(path: &Path) -> Self {
        let looks = |meta: fs::Metadata| {
            (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
        };
        Self(fs::metadata(path).ok().map(looks))
    }
}

impl Watcher {
    /// The folder that it writes to.
    pub(super) fn writes(&self) -> Option<PathBuf> {
        let folder = self.looked.state.as_deref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() })
    }

    /// Where changes go.
    pub(super) fn handover(&self) -> Arc<Handover> {
        Arc::clone(&self.looked.handover)
    }

    /// Looks at the file from now on, until the run stops.
    ///
    /// # Errors
    /// When signals cannot be handled, or no thread could be started.
    pub(super) fn start(self, force: Force, stop: Stop) -> anyhow::Result<()> {
        let hangup = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&hangup))
            .context("SIGHUP: cannot be handled")?;
        let Self { mut looked, file, run } = self;
        let mut in_force = InForce::new(file, run, force, stop.clone());
        let watch = move || {
            let ticks = crossbeam_channel::tick(LOOK);
            let mut last = looked.seen;
            while ticks.recv().is_ok() && !stop.requested() {
                let asked = hangup.swap(false, Relaxed);
                let looks = Looks::at(&looked.path);
                if asked || looks != looked.seen && looks == last {
                    looked.seen = looks;
                    looked.reload(&mut in_force, asked);
                }
                last = looks;
            }
        };
        thread::Builder::new()
            .name("config".into())
            .spawn(watch)
            .context("config: no thread could be started")?;
        Ok(())
    }
}

impl Looked {
    fn reload(&mut self, in_force: &mut InForce, asked: bool) {
        let name = self.path.display().to_string();
        match self.changed(in_force) {
            Ok(true) => {
                eprintln!("mirror: {name}: reloaded");
                self.keep();
            }
            Ok(false) if asked => eprintln!("mirror: {name}: unchanged"),
            Ok(false) => {}
            Err(error) => {
                self.handover.refuse();
                eprintln!("mirror: {name}: refused, the last valid one stays in force:\n{error:#}");
            }
        }
    }

    /// Puts the file in force; false when it says what is in force already.
    fn changed(&mut self, in_force: &mut InForce) -> anyhow::Result<bool> {
        let text = command::text(&self.path)?;
        if text == self.text {
            return Ok(false);
        }
        let next = command::parse(&self.path, &text)?;
        let later = in_force.needs_restart(&next);
        self.handover.put(in_force.change(&next)?);
        for part in later {
            eprintln!(
                "mirror: {}: {part} changed; that takes effect at the next start",
                self.path.display()
            );
        }
        self.text = text;
        Ok(true)
    }

    /// Keeps what is in force for the next start: whole or not at all.
    fn keep(&self) {
        let Some(state) = &self.state else { return };
        let folder = state.parent().filter(|folder| !folder.as_os_str().is_empty());
        let kept = || -> std::io::Result<()> {
            let folder = folder.unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(self.text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(state)?;
            Ok(())
        };
        if let Err(error) = kept() {
            eprintln!(
                "mirror: {}: the configuration cannot be kept there: {error}",
                state.display()
            );
        }
    }
}
