//! Whether a path still leads to what was opened there: names of cgroups and network namespaces are reused
//! when a service or a pod restarts.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path leads to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// To what was opened.
    Same,
    /// To another object of the same kind.
    Another,
    /// To nothing, or to something of another kind.
    Gone,
}

/// The identity of an opened object: its file system, which holds objects of one kind only, and its inode.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of an open file. Its inode is not reused as long as it is open.
    ///
    /// # Errors
    /// When its metadata cannot be read.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::read(&metadata))
    }

    fn read(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// What `path` leads to now; the same if that cannot be read.
    pub(super) fn check(self, path: &Path) -> Presence {
        match fs::metadata(path).map(|metadata| Self::read(&metadata)) {
            Ok(found) if found == self => Presence::Same,
            Ok(found) if found.is_like(self) => Presence::Another,
            Ok(_) => Presence::Gone,
            Err(error) if error.kind() == ErrorKind::NotFound => Presence::Gone,
            Err(_) => Presence::Same,
        }
    }

    /// True if the other one is of the same kind.
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
        assert_eq!(identity.check(&path), Presence::Same);
        fs::remove_dir(&path).unwrap();
        assert_eq!(identity.check(&path), Presence::Gone);
        fs::create_dir(&path).unwrap();
        assert_eq!(identity.check(&path), Presence::Another);
        assert_eq!(identity.check(Path::new("/proc/self")), Presence::Gone, "of another kind");
    }
}
