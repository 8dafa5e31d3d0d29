//! Whether what is at a path is still what was opened there: names of cgroups and of network namespaces
//! are given anew when a service or a pod starts again.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is at a path now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// What was opened.
    Same,
    /// Another of its kind.
    Another,
    /// Nothing, or something of another kind.
    Gone,
}

/// What was opened: its file system, which is that of its kind alone, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of something that is open, whose number is nobody else's as long as it is.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::read(&metadata))
    }

    fn read(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// What is at `path` now. What may not be looked at is taken to be the same.
    pub(super) fn look(self, path: &Path) -> Presence {
        match fs::metadata(path).map(|metadata| Self::read(&metadata)) {
            Ok(found) if found == self => Presence::Same,
            Ok(found) if found.is_like(self) => Presence::Another,
            Ok(_) => Presence::Gone,
            Err(error) if error.kind() == ErrorKind::NotFound => Presence::Gone,
            Err(_) => Presence::Same,
        }
    }

    /// True for another of the same kind.
    pub(super) fn is_like(self, other: Self) -> bool {
        self.device == other.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_given_anew_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        fs::create_dir(&path).unwrap();
        let opened = File::open(&path).unwrap();
        let identity = Identity::of(&opened).unwrap();
        assert_eq!(identity.look(&path), Presence::Same);
        fs::remove_dir(&path).unwrap();
        assert_eq!(identity.look(&path), Presence::Gone);
        fs::create_dir(&path).unwrap();
        assert_eq!(identity.look(&path), Presence::Another);
        assert_eq!(identity.look(Path::new("/proc/self")), Presence::Gone, "of another kind");
    }
}
