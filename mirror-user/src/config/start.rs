//! The start of `mirror run`: reads its configuration file, or, if that is invalid, the last valid one
//! from the state file.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::command;
use super::file::File;
use super::target::Run;
use crate::cli::RunArgs;
use crate::logging::emit;

/// Environment variable in which systemd passes the service's persistent directory.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// The configuration that a run starts with.
pub(super) struct Start {
    pub(super) file: File,
    source: FollowedFile,
    fell_back: bool,
}

/// The configuration file of a run, which may change while it runs.
pub(crate) struct Followed {
    /// Its contents.
    pub(crate) file: File,
    /// What all targets have in common, including targets that are added later.
    pub(crate) run: Run,
    /// Its path and state.
    pub(crate) source: FollowedFile,
    /// True if the run started with the last valid file because the current one is invalid.
    pub(crate) fell_back: bool,
}

/// A watched file, as last seen.
pub(crate) struct FollowedFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where the last valid text is stored.
    state: Option<PathBuf>,
    /// The active text.
    pub(crate) text: String,
    /// Identity of the file that was last read.
    pub(crate) seen: FileIdentity,
}

/// Distinguishes two versions of a file: device, inode, length and modification time; `None` if absent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity(Option<(u64, u64, u64, i64, i64)>);

impl FileIdentity {
    /// The identity of the file that is there now.
    pub(crate) fn of(path: &Path) -> Self {
        let identity = |meta: fs::Metadata| {
            (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
        };
        Self(fs::metadata(path).ok().map(identity))
    }
}

impl Start {
    /// Reads the file or, if it is invalid, the last valid one.
    ///
    /// # Errors
    /// All problems of the file, if there is no valid one to fall back to.
    pub(super) fn read(args: &RunArgs) -> anyhow::Result<Self> {
        let state = args.state.clone().or_else(|| {
            env::var_os(STATE_DIRECTORY).map(|folder| PathBuf::from(folder).join("mirror.yaml"))
        });
        let seen = FileIdentity::of(&args.config);
        let read = command::text(&args.config)
            .and_then(|text| Ok((command::parse_for_run(&args.config, &text)?, text)));
        let (file, text, fell_back) = match (read, &state) {
            (Ok((file, text)), _) => (file, text, false),
            (Err(error), Some(state)) if state.exists() => {
                emit!(ConfigInvalid, file = %args.config.display(), "{error:#}");
                let text = command::text(state)?;
                let file = command::parse_for_run(state, &text)?;
                let (config, last) = (args.config.display(), state.display());
                emit!(
                    ConfigFellBack,
                    file = %config,
                    state = %last,
                    "{config}: invalid; starting with the last valid one, {last}"
                );
                (file, text, true)
            }
            (Err(error), _) => return Err(error),
        };
        let mut apart = file.reads();
        apart.reads("--config", &args.config);
        state.iter().for_each(|state| apart.writes("--state", state));
        apart.ensure()?;
        let source = FollowedFile { path: args.config.clone(), state, text, seen };
        source.keep();
        Ok(Self { file, source, fell_back })
    }

    /// Turns it into the file that a run watches.
    pub(super) fn followed(self, run: Run) -> Followed {
        let Self { file, source, fell_back } = self;
        Followed { file, run, source, fell_back }
    }
}

impl FollowedFile {
    /// The directory that is written to for the last valid text.
    pub(crate) fn writes(&self) -> Option<PathBuf> {
        let folder = self.state.as_deref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() })
    }

    /// Stores the active text for the next start, atomically.
    pub(crate) fn keep(&self) {
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
            let file = state.display();
            emit!(
                ConfigStateNotWritten,
                file = %file,
                reason = %error,
                "{file}: the configuration cannot be kept there: {error}"
            );
        }
    }
}
