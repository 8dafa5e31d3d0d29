//! Files that a run writes: none of them overwrites another file, and only their owner can read them.
//!
//! An output that is also an input or another output is refused before anything is opened for writing
//! ([`apart`]). A file that is not empty is replaced only on request.

pub mod apart;
pub mod part;
pub mod rotate;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use self::rotate::Rotation;

/// What happens to an existing file that is not empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays as it is, and the run does not start.
    #[default]
    Refuse,
    /// It is replaced.
    Overwrite,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its path; `-` is the standard output.
    pub path: PathBuf,
    /// What happens to an existing one.
    pub existing: Existing,
    /// When the next file is started, if there are several.
    pub rotation: Option<Rotation>,
}

impl Destination {
    /// The path that must be writable during the run: the file, or the folder in which files are renamed.
    #[must_use]
    pub fn writes(&self) -> PathBuf {
        match self.rotation {
            Some(_) => folder_of(&self.path),
            None => self.path.clone(),
        }
    }
}

impl<P: AsRef<Path>> From<P> for Destination {
    /// A file that must not exist, or be empty.
    fn from(path: P) -> Self {
        Self { path: path.as_ref().to_owned(), existing: Existing::Refuse, rotation: None }
    }
}

/// Opens a file for writing. A new file is readable by its owner only, as captures hold credentials.
///
/// # Errors
/// When it cannot be written, or is not empty and must stay; the message names it.
pub fn create(path: &Path, existing: Existing) -> anyhow::Result<File> {
    let name = path.display();
    let file = open_private(path).map_err(|error| {
        anyhow!("{name}: it cannot be created ({error}); choose a folder that you may write to")
    })?;
    let there = file.metadata().map_err(|error| anyhow!("{name}: {error}"))?;
    // Devices and pipes have no content that could be lost.
    if there.is_file() {
        ensure!(
            there.len() == 0 || existing == Existing::Overwrite,
            "{name}: it exists and is not empty; choose another name, or say --overwrite"
        );
        file.set_len(0).map_err(|error| anyhow!("{name}: it cannot be emptied ({error})"))?;
    }
    Ok(file)
}

/// Checks that a file may get this name when it is whole.
///
/// # Errors
/// When what is there is no file, or is not empty and must stay; the message names it.
pub fn ensure_free(path: &Path, existing: Existing) -> anyhow::Result<()> {
    let name = path.display();
    let Ok(there) = fs::metadata(path) else { return Ok(()) };
    ensure!(there.is_file(), "{name}: it is there and no file; choose another name");
    ensure!(
        there.len() == 0 || existing == Existing::Overwrite,
        "{name}: it exists and is not empty; choose another name, or say --overwrite"
    );
    Ok(())
}

/// Opens a file for writing behind its end. A new file is readable by its owner only.
///
/// # Errors
/// When it cannot be written; the message names it.
pub fn append(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(|error| anyhow!("{}: it cannot be written ({error})", path.display()))
}

/// Makes a folder, readable by its owner only, unless it is there.
///
/// # Errors
/// When it cannot be made; the message names it.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("{}: it cannot be created", folder.display()))
}

/// Opens a file for writing without truncating it.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_holds_something_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.pcap");
        create(&path, Existing::Refuse).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // An empty one, as `mktemp` leaves it, holds nothing.
        create(&path, Existing::Refuse).unwrap();
        fs::write(&path, "yesterday").unwrap();
        let error = create(&path, Existing::Refuse).unwrap_err().to_string();
        assert!(error.contains("say --overwrite"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "yesterday");
        append(&path).unwrap().write_all(b" and today").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "yesterday and today");
        create(&path, Existing::Overwrite).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
