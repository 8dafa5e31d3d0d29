//! What `mirror run` begins with: its file, or the last valid one where it is not valid, which a state
//! file keeps.

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

/// What systemd names as the service's own folder that outlives it.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// A file that was read.
pub(super) struct Start {
    pub(super) file: File,
    source: FollowedFile,
    fell_back: bool,
}

/// A run's file, which may change while it runs.
pub(crate) struct Followed {
    /// What it says.
    pub(crate) file: File,
    /// What all targets have in common, also those that come later.
    pub(crate) run: Run,
    /// Where it lies.
    pub(crate) source: FollowedFile,
    /// True when the run began with the last valid file, as the present one is not.
    pub(crate) fell_back: bool,
}

/// A file as it was seen last.
pub(crate) struct FollowedFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where the last valid text is kept.
    state: Option<PathBuf>,
    /// The text that is in effect.
    pub(crate) text: String,
    /// The file that was read last.
    pub(crate) seen: FileIdentity,
}

/// What tells two versions of a file apart: device, inode, length and time; `None` where it is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity(Option<(u64, u64, u64, i64, i64)>);

impl FileIdentity {
    /// That of the file which is there now.
    pub(crate) fn of(path: &Path) -> Self {
        let identity = |meta: fs::Metadata| {
            (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
        };
        Self(fs::metadata(path).ok().map(identity))
    }
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
        let seen = FileIdentity::of(&args.config);
        let read = command::text(&args.config)
            .and_then(|text| Ok((command::parse(&args.config, &text)?, text)));
        let (file, text, fell_back) = match (read, &state) {
            (Ok((file, text)), _) => (file, text, false),
            (Err(error), Some(state)) if state.exists() => {
                emit!(ConfigInvalid, file = %args.config.display(), "{error:#}");
                let text = command::text(state)?;
                let file = command::parse(state, &text)?;
                let (config, last) = (args.config.display(), state.display());
                emit!(
                    ConfigFellBack,
                    file = %config,
                    state = %last,
                    "{config}: not valid; begins with the last valid one, {last}"
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

    /// The file as one that a run follows.
    pub(super) fn followed(self, run: Run) -> Followed {
        let Self { file, source, fell_back } = self;
        Followed { file, run, source, fell_back }
    }
}

impl FollowedFile {
    /// The folder that is written to, for the last valid text.
    pub(crate) fn writes(&self) -> Option<PathBuf> {
        let folder = self.state.as_deref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() })
    }

    /// Keeps what is in effect for the next start: whole or not at all.
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
